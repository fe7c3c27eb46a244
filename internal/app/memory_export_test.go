package app

import (
	"context"

	"github.com/password-writeback/writeback/agent/config"
)

// RecordsFor exposes how many requests the ledger must have room for.
func RecordsFor(issuers []config.Issuer) int { return recordsFor(issuers) }

// Room returns how many requests the agent's ledger has room for.
func (a *Agent) Room(ctx context.Context) (int, error) {
	stats, err := a.ledger.Stats(ctx)
	return stats.MaxRecords, err
}

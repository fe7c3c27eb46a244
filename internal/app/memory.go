package app

import (
	"math"
	"time"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/ledger"
)

// longestRecord is how long the ledger may hold a request: until a day after its expiry, which counts as a day ahead at most.
const longestRecord = ledger.DefaultKeepAfterExpiry + 24*time.Hour

// recordsFor is how many requests the ledger must have room for, so that no portal can fill it for the others within its rate.
func recordsFor(issuers []config.Issuer) int {
	records := 0.0
	for _, issuer := range issuers {
		records += float64(issuer.Rate.Requests) * (1 + longestRecord.Hours()/issuer.Rate.Per.Hours())
	}
	return max(ledger.DefaultMaxRecords, int(math.Ceil(records)))
}

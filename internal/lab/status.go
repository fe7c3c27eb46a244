package lab

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

// Status is what "writeback-agent status --json" says.
type Status struct{ status.Report }

// Status asks the agent, as an administrator would.
func (p Program) Status(ctx context.Context) (Status, error) {
	text, _, err := p.Output(ctx, "status", "--json")
	var report Status
	// The exit code tells the agent's health; a report is there whatever it is.
	if broken := json.Unmarshal(text, &report.Report); broken != nil {
		if err == nil {
			err = broken
		}
		return Status{}, fmt.Errorf("ask for the agent's status: %w", err)
	}
	return report, nil
}

// Ready reports whether the agent takes requests and reaches its directory.
func (s Status) Ready() bool {
	for _, domain := range s.Domains {
		if domain.Health == health.Down {
			return false
		}
	}
	return s.Relay.Connected && s.Relay.Intake == status.IntakeOpen && s.Overall != health.Down
}

// Count returns how many messages have ended with a reason since the agent's start, answered or not.
func (s Status) Count(reason writeback.Reason) uint64 { return s.Reasons[reason] + s.Discarded[reason] }

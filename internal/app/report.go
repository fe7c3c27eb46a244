package app

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/relay"
)

// domainState is a domain as status shows it, and what to do about it.
type domainState struct {
	status.Domain
	asked  bool // a controller has answered, or failed to
	remedy string
}

// report answers "writeback-agent status".
func (a *Agent) report() status.Report {
	a.judge()
	stats := a.loop.Stats()
	report := status.Report{
		Time:       time.Now().UTC(),
		Agent:      status.Agent{Group: a.cfg.Group, ID: a.cfg.Agent, Version: a.version, Since: a.since},
		Overall:    a.board.Overall(),
		Conditions: a.board.Snapshot(),
		Relay: status.Relay{
			Connected: stats.Connected, Queue: a.cfg.Relay.RequestsQueue, InHand: stats.InHand, Intake: intake(stats.Intake),
		},
		Outbox: stats.OutboxPending, NotSealing: a.recorder.notSealing(),
	}
	if stats.Connected {
		report.Relay.ConnectedSince = stats.ConnectedSince // an error from before no longer matters
	} else {
		report.Relay.LastError, report.Relay.LastErrorAt = stats.LastReceiveError, stats.LastReceiveErrorAt.UTC()
	}
	for _, domain := range a.domains() {
		report.Domains = append(report.Domains, domain.Domain)
	}
	a.reportKeys(&report)
	a.counters.Fill(&report)
	if remembered, err := a.ledger.Stats(context.Background()); err == nil {
		report.Unresolved = remembered.Unresolved
	}
	return report
}

func intake(state relay.IntakeState) status.Intake {
	switch state {
	case relay.IntakeSlow:
		return status.IntakeSlow
	case relay.IntakeGateClosed:
		return status.IntakeClosed
	case relay.IntakeDraining, relay.IntakeStopped:
		return status.IntakeStopping
	}
	return status.IntakeOpen
}

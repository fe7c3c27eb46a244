package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/relay"
	"github.com/password-writeback/writeback/relay/envelope"
)

// monitorPeriod is how often conditions outside the pipeline are looked at, so that they are logged without anybody asking.
const monitorPeriod = 15 * time.Second

// monitor asks the controllers how they are, at once and then regularly, until ctx ends.
func (a *Agent) monitor(ctx context.Context) {
	tick := time.NewTicker(monitorPeriod)
	defer tick.Stop()
	for {
		a.directory.Health(ctx)
		a.refresh()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// refresh brings the conditions of relay, domains, outbox and issuers up to date.
func (a *Agent) refresh() {
	a.judgeRelay(a.loop.Stats())
	for _, domain := range a.domains() {
		name := health.Domain(domain.Name)
		if domain.Health == health.OK {
			a.board.Clear(name)
			continue
		}
		a.board.Set(name, domain.Health, domain.Message, "Check the network, the controllers and the bind account; requests for this domain are refused meanwhile.")
	}
	foreign := a.recorder.notSealing()
	for _, issuer := range a.cfg.Issuers {
		a.judgeIssuer(issuer.ID, foreign)
	}
}

func (a *Agent) judgeRelay(stats relay.Stats) {
	if stats.Connected {
		a.board.Clear(health.Relay)
	} else {
		message := "the requests queue cannot be reached"
		if stats.LastReceiveError != "" {
			message += ": " + stats.LastReceiveError
		}
		a.board.Set(health.Relay, health.Down, message, "Check outbound access to the namespace (port 5671) and the connection string's key.")
	}
	if len(stats.FailingQueues) == 0 {
		a.board.Clear(health.Outbox)
		return
	}
	message := fmt.Sprintf("results are refused by %s: %s", strings.Join(stats.FailingQueues, ", "), stats.LastSendError)
	a.board.Set(health.Outbox, health.Degraded, message, "Check that the results queues exist, require sessions, and grant Send to the agent's key.")
}

func (a *Agent) judgeIssuer(issuer string, foreign []string) {
	for _, other := range foreign {
		if issuer == other {
			a.board.Set(health.Issuer(issuer), health.Degraded, "its requests are not sealed for this agent",
				"Give the portal this agent's public keys: writeback-agent keys export.")
			return
		}
	}
	a.board.Clear(health.Issuer(issuer))
}

// report answers "writeback-agent status".
func (a *Agent) report() status.Report {
	a.refresh()
	stats := a.loop.Stats()
	report := status.Report{
		Time:       time.Now().UTC(),
		Agent:      status.Agent{Group: a.cfg.Group, ID: a.cfg.Agent, Version: a.options.Version, Since: a.since},
		Overall:    a.board.Overall(),
		Conditions: a.board.Snapshot(),
		Relay: status.Relay{
			Connected: stats.Connected, Queue: a.cfg.Relay.RequestsQueue, InHand: stats.InHand,
			Intake: intake(stats.Intake), LastError: stats.LastReceiveError,
		},
		Domains: a.domains(), Outbox: stats.OutboxPending, Keys: a.keys, NotSealing: a.recorder.notSealing(),
	}
	if stats.Connected {
		report.Relay.ConnectedSince = stats.ConnectedSince
	}
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

// domains sums up the controllers per domain: one that answers is enough.
func (a *Agent) domains() []status.Domain {
	controllers := a.directory.Status()
	domains := make([]status.Domain, 0, len(a.cfg.Domains))
	for _, domain := range a.cfg.Domains {
		domains = append(domains, domainStatus(domain.Name, controllers, len(a.cfg.Domains) > 1))
	}
	return domains
}

func domainStatus(name string, controllers []ldapwriter.ControllerStatus, oneOfSeveral bool) status.Domain {
	domain := status.Domain{Name: name, Health: health.Down, Message: "no controller answers"}
	if oneOfSeveral {
		domain.Health = health.Degraded // the other domains are served
	}
	for _, c := range controllers {
		switch {
		case c.Domain != name:
		case c.InUse && c.LastAnswer.After(c.LastErrorAt) && c.LastError == "":
			return status.Domain{Name: name, Controller: c.Address, Health: health.OK}
		case c.LastError != "":
			domain.Message = fmt.Sprintf("%s: %s", c.Address, c.LastError)
		}
	}
	return domain
}

// publicKeys describes the agent's keys for status.
func publicKeys(keys []envelope.PrivateKey) ([]status.Key, error) {
	described := make([]status.Key, 0, len(keys))
	for _, key := range keys {
		public, err := envelope.EncodePublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		use := "signing"
		if key.Public().Use() == envelope.UseSeal {
			use = "sealing"
		}
		described = append(described, status.Key{ID: key.KeyID(), Use: use, Created: key.Created(), Public: public})
	}
	return described, nil
}

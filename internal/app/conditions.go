package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/relay"
)

// monitorPeriod is how often conditions outside the pipeline are looked at, so that they are logged without anybody asking.
const monitorPeriod = 15 * time.Second

// monitor asks the controllers how they are, at once and then regularly, until ctx ends. The queue gets one period to
// connect before it is judged: at the start a connection that is not there yet is no news.
func (a *Agent) monitor(ctx context.Context) {
	tick := time.NewTicker(monitorPeriod)
	defer tick.Stop()
	a.directory.Health(ctx)
	a.judgeDomains()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.directory.Health(ctx)
		a.judge()
	}
}

// judge brings the conditions of relay, outbox, disk, domains, keys, lists and issuers up to date.
func (a *Agent) judge() {
	stats := a.loop.Stats()
	a.judgeRelay(stats)
	a.judgeOutbox(stats)
	a.judgeDisk()
	a.judgeDomains()
	a.judgeKeys()
	a.judgeLists()
	foreign := a.recorder.notSealing()
	for _, issuer := range a.cfg.Issuers {
		a.judgeIssuer(issuer.ID, slices.Contains(foreign, issuer.ID))
	}
}

func (a *Agent) judgeRelay(stats relay.Stats) {
	switch {
	case stats.Connected:
		a.board.Clear(health.Relay)
	case stats.LastReceiveError == "":
		// Not down before it is known: the change to down is what gets logged, with the reason.
		a.board.Set(health.Relay, health.Degraded, "the requests queue is not connected yet",
			"Wait a moment; if it stays so, check that this host may open connections to the namespace (TCP port 5671).")
	default:
		a.board.Set(health.Relay, health.Down, "the requests queue cannot be reached: "+stats.LastReceiveError,
			"Check that this host may open connections to the namespace (TCP port 5671), that the requests queue exists, and that the connection string's key is valid and grants Listen.")
	}
}

func (a *Agent) judgeOutbox(stats relay.Stats) {
	if len(stats.FailingQueues) == 0 {
		a.board.Clear(health.Outbox)
		return
	}
	a.board.Set(health.Outbox, health.Degraded,
		fmt.Sprintf("results are not accepted by %s: %s", strings.Join(stats.FailingQueues, ", "), stats.LastSendError),
		"Check that the results queues exist and require sessions, and that the connection string's key grants Send on them.")
}

func (a *Agent) judgeIssuer(issuer string, foreign bool) {
	if !foreign {
		a.board.Clear(health.Issuer(issuer))
		return
	}
	a.board.Set(health.Issuer(issuer), health.Degraded, "its last request was not sealed for this agent",
		"Give the portal this agent's public keys: writeback-agent keys export.")
}

func (a *Agent) judgeDomains() {
	for _, domain := range a.domains() {
		name := health.Domain(domain.Name)
		if domain.Health == health.OK {
			a.board.Clear(name)
			continue
		}
		severity := domain.Health
		if !domain.asked {
			severity = health.Degraded // as with the relay
		}
		a.board.Set(name, severity, domain.Message, domain.remedy)
	}
}

// domains sums up the controllers per domain.
func (a *Agent) domains() []domainState {
	controllers, unlisted := a.directory.Status(), a.directory.DiscoveryErrors()
	domains := make([]domainState, 0, len(a.cfg.Domains))
	for _, domain := range a.cfg.Domains {
		own := slices.DeleteFunc(slices.Clone(controllers), func(c ldapwriter.ControllerStatus) bool { return c.Domain != domain.Name })
		state := stateOf(domain.Name, own, a.cfg.Policy.Hints, len(a.cfg.Domains) > 1)
		if err := unlisted[domain.Name]; err != nil {
			state.unlisted(err)
		}
		state.advise(own, time.Now())
		state.Controllers = asControllers(own)
		domains = append(domains, state)
	}
	return domains
}

// stateOf judges a domain by its controllers: one that answers is enough. A domain that cannot be served leaves the agent
// degraded where it is one of several, for the others are served, and down where it is the only one.
func stateOf(name string, controllers []ldapwriter.ControllerStatus, hints config.HintsRule, oneOfSeveral bool) domainState {
	unserved := health.Down
	if oneOfSeveral {
		unserved = health.Degraded
	}
	var failures []string
	var remedy string
	for _, c := range controllers {
		switch {
		case c.InUse && c.LastError == "" && !c.LastAnswer.IsZero():
			return stateOfServed(name, c, hints, unserved)
		case c.LastError != "":
			failures = append(failures, c.Address+": "+c.LastError)
			remedy = cmp.Or(remedy, c.LastHint)
		}
	}
	state := domainState{remedy: "Wait a moment: the controllers are being asked."}
	state.Name, state.Health, state.Message = name, unserved, "no controller has answered yet"
	if len(failures) > 0 {
		state.asked = true
		state.Message = "no controller can be used: " + strings.Join(failures, "; ")
		state.remedy = cmp.Or(remedy, "Check the network, the controllers, their certificates and the bind account; requests for this domain are refused meanwhile.")
	}
	return state
}

// stateOfServed judges a domain whose controller answers: by whether it lets resets obey the password history.
func stateOfServed(name string, c ldapwriter.ControllerStatus, hints config.HintsRule, unserved health.Severity) domainState {
	state := domainState{asked: true, remedy: "Use a controller that knows the policy-hints control: Windows Server 2016 or later, or Samba 4.24; see policy.hints."}
	state.Name, state.Controller, state.Health = name, c.Address, health.OK
	if c.PolicyHints != "" {
		return state
	}
	switch hints {
	case config.HintsWarn:
		state.Health, state.Message = health.Degraded, c.Address+" cannot enforce the password history on a reset, and resets are written without it"
	case config.HintsRequire:
		state.Health, state.Message = unserved, c.Address+" cannot enforce the password history on a reset, so every reset is refused"
	}
	return state
}

// logCondition writes a line when a condition comes, changes or goes.
func (a *Agent) logCondition(before, after health.Condition) {
	log := a.log.WithFields(logrus.Fields{"condition": after.Name, "was": before.Severity, "is": after.Severity})
	if after.Severity == health.OK {
		log.Info("condition is over")
		return
	}
	log = log.WithField(logging.FieldHint, after.Remedy)
	if after.Reason != "" {
		log = log.WithField(logging.FieldReason, after.Reason)
	}
	log.Warn(after.Message)
}

package app_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

func TestARequestTravelsThroughTheAgentAndShowsInStatus(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	before := agent.ready(t)
	if before.Agent.Group != lab.Group || before.Agent.ID != lab.AgentName || before.Agent.Version != "1.2.3" || before.Agent.Since.IsZero() {
		t.Errorf("agent: %+v", before.Agent)
	}
	if before.Last != nil || len(before.Reasons) != 0 || before.Relay.ConnectedSince.IsZero() || before.Relay.Queue != lab.RequestsQueue {
		t.Errorf("at the start: last %v, reasons %v, relay %+v", before.Last, before.Reasons, before.Relay)
	}
	want := []status.Domain{{Name: "corp.example.com", Controller: in.controller.addr(), Health: health.OK}}
	for i := range before.Domains { // what is said of each controller has tests of its own
		if controllers := before.Domains[i].Controllers; len(controllers) != 1 || controllers[0].Address != in.controller.addr() {
			t.Errorf("controllers: %+v", controllers)
		}
		before.Domains[i].Controllers = nil
	}
	if diff := cmp.Diff(want, before.Domains); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	uses := map[string]bool{}
	for _, key := range before.Keys {
		uses[key.Use] = !key.Created.IsZero() && strings.Contains(string(key.Public), key.ID)
	}
	if diff := cmp.Diff(map[string]bool{"sealing": true, "signing": true}, uses); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}

	portal, password := in.portal(t), newPassword()
	wantOutcome(t, in.reset(t, portal, "ada", password), writeback.Written, writeback.ReasonOK)
	wantOutcome(t, in.reset(t, portal, "jan", newPassword()), writeback.NotWritten, writeback.PolicyOutOfScope)
	if code, err := in.directory.Logon(t.Context(), "ada", password); code != "" || err != nil {
		t.Errorf("logon with the new password: %q, %v", code, err)
	}
	after := agent.status(t, "two requests ended", func(r status.Report) bool { return len(r.Reasons) == 2 && r.Outbox == 0 && r.Relay.InHand == 0 })
	if diff := cmp.Diff(map[writeback.Reason]uint64{writeback.ReasonOK: 1, writeback.PolicyOutOfScope: 1}, after.Reasons); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if last := after.Last; last == nil || last.Reason != writeback.PolicyOutOfScope || last.Issuer != lab.Issuer || last.Operation != writeback.OpReset {
		t.Errorf("last request: %+v", last)
	}
}

func TestAForgedMessageIsCountedAndNothingElse(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.ready(t)
	portal := in.portal(t)
	token, err := portal.Token(portal.Draft(in.user(t, "mona"), newPassword()))
	check(t, err)
	if at := len(token) - 10; token[at] == 'A' { // in the signature, and still base64
		token[at] = 'B'
	} else {
		token[at] = 'A'
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _, _ = portal.Exchange(ctx, token) }() // nobody answers
	report := agent.status(t, "a message was discarded", func(r status.Report) bool { return r.Discarded[writeback.EnvelopeBadSignature] > 0 })
	if len(report.Reasons) != 0 || report.Overall != health.OK || in.directory.Writes("mona") != 0 {
		t.Errorf("reasons %v, overall %s, %d writes", report.Reasons, report.Overall, in.directory.Writes("mona"))
	}
}

func TestStopFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.ready(t)
	portal := in.portal(t)
	struck := make(chan string, 1)
	release := in.directory.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})
	outcome := make(chan writeback.Outcome, 1)
	go func() { outcome <- in.reset(t, portal, "ben", newPassword()) }()
	<-struck
	agent.interrupt()
	report := agent.status(t, "the intake is stopping", func(r status.Report) bool { return r.Relay.Intake == status.IntakeStopping })
	if report.Relay.InHand != 1 {
		t.Errorf("%d in hand, want 1", report.Relay.InHand)
	}
	release()
	check(t, agent.stop())
	wantOutcome(t, <-outcome, writeback.Written, writeback.ReasonOK)
	if _, err := os.Stat(agent.socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestTheNextStartRemembers(t *testing.T) {
	t.Parallel()
	in := install(t)
	first := in.start(t)
	first.ready(t)
	portal := in.portal(t)
	token, err := portal.Token(portal.Draft(in.user(t, "kira"), newPassword()))
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := portal.Exchange(ctx, token)
	check(t, err)
	wantOutcome(t, result.Outcome, writeback.Written, writeback.ReasonOK)
	check(t, first.stop())

	second := in.start(t)
	second.ready(t)
	result, err = portal.Exchange(ctx, token)
	check(t, err)
	wantOutcome(t, result.Outcome, writeback.Written, writeback.ReasonOK)
	if !result.Outcome.Replayed || in.directory.Writes("kira") != 1 {
		t.Errorf("replayed %t, %d writes; want true, 1", result.Outcome.Replayed, in.directory.Writes("kira"))
	}
	check(t, second.stop())

	kinds := auditKinds(t, in.path("state/audit"))
	if kinds[string(audit.KindStart)] != 2 || kinds[string(audit.KindStop)] != 2 {
		t.Errorf("the audit has %v, want two starts and two stops", kinds)
	}
}

func TestWhatTheStopCutsOffIsFoundOutAboutAtTheNextStart(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.edit(t, "config.yaml", "drain: 5s", "drain: 1s")
	first := in.start(t)
	first.ready(t)
	portal := in.portal(t)
	struck := make(chan string, 1)
	release := in.directory.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})
	password, outcome := newPassword(), make(chan writeback.Outcome, 1)
	go func() { outcome <- in.reset(t, portal, "hugo", password) }()
	<-struck
	check(t, first.stop())
	release() // the controller carries it out although nobody waits
	second := in.start(t)
	wantOutcome(t, <-outcome, writeback.Written, writeback.ReasonOK)
	report := second.status(t, "nothing is unresolved", func(r status.Report) bool { return r.Unresolved == 0 && r.Outbox == 0 })
	if report.Overall == health.Down || in.directory.Writes("hugo") != 1 {
		t.Errorf("overall %s, %d writes", report.Overall, in.directory.Writes("hugo"))
	}
	if code, err := in.directory.Logon(t.Context(), "hugo", password); code != "" || err != nil {
		t.Errorf("logon with the new password: %q, %v", code, err)
	}
}

func TestADomainThatIsAwayDegradesAnAgentThatServesAnother(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.edit(t, "config.yaml", "domains:\n", `domains:
  - name: lab.example.net
    controllers: ["127.0.0.1:1"]
    bind: {user: svc@lab.example.net, password_file: secrets/bind-password}
    scope: {include: ["DC=lab,DC=example,DC=net"]}
`)
	agent := in.start(t)
	away := health.Domain("lab.example.net")
	report := agent.status(t, "one domain is away", func(r status.Report) bool {
		return r.Relay.Connected && condition(r, away).Severity != health.OK && strings.Contains(condition(r, away).Message, "127.0.0.1:1")
	})
	if report.ExitCode() != status.ExitDegraded || condition(report, away).Severity != health.Degraded || report.Relay.Intake != status.IntakeOpen {
		t.Errorf("exit code %d, condition %+v, intake %s", report.ExitCode(), condition(report, away), report.Relay.Intake)
	}
	portal := in.portal(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A name with its domain: of another kind of name only all domains together can say that it is unique.
	for user, want := range map[string]writeback.Reason{`CORP\ada`: writeback.ReasonOK, `lab.example.net\ada`: writeback.DirectoryUnavailable} {
		subject := writeback.Subject{Kind: writeback.BySAM, Value: user}
		result, err := portal.Reset(ctx, requester.ResetRequest{User: subject, Password: newPassword(), By: lab.Verified()})
		check(t, err)
		if result.Outcome.Reason != want {
			t.Errorf("%s: %s, want %s", user, result.Outcome.Reason, want)
		}
	}
}

func TestItStartsWhileEverythingIsAwayAndRecovers(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.broker.close()
	in.controller.close()
	agent := in.start(t)
	down := agent.status(t, "both are away", func(r status.Report) bool {
		return strings.Contains(condition(r, health.Relay).Message, "cannot be reached: ") &&
			strings.Contains(condition(r, health.Domain("corp.example.com")).Message, in.controller.addr())
	})
	for _, name := range []health.Name{health.Relay, health.Domain("corp.example.com")} {
		if c := condition(down, name); c.Severity != health.Down || c.Remedy == "" || c.Since.IsZero() {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if down.ExitCode() != status.ExitDown || down.Relay.LastError == "" || down.Domains[0].Controller != "" {
		t.Errorf("exit code %d, last error %q, domain %+v", down.ExitCode(), down.Relay.LastError, down.Domains[0])
	}

	in.broker.open()
	agent.status(t, "the queue is connected", func(r status.Report) bool {
		return r.Relay.Connected && condition(r, health.Relay).Severity == health.OK && r.Relay.LastError == ""
	})
	portal := in.portal(t)
	wantOutcome(t, in.reset(t, portal, "chloe", newPassword()), writeback.NotWritten, writeback.DirectoryUnavailable)
	in.controller.open()
	wantOutcome(t, in.reset(t, portal, "chloe", newPassword()), writeback.Written, writeback.ReasonOK)
	agent.ready(t)

	// And once more while it runs.
	in.broker.close()
	in.controller.close()
	agent.status(t, "the queue is lost", func(r status.Report) bool { return condition(r, health.Relay).Severity == health.Down })
	in.broker.open()
	in.controller.open()
	wantOutcome(t, in.reset(t, portal, "dana", newPassword()), writeback.Written, writeback.ReasonOK)
	agent.ready(t)
	for _, line := range []string{`msg="the requests queue cannot be reached: `, `msg="no controller can be used: `, `msg="condition is over" condition=relay`, `msg="condition is over" condition="domain:corp.example.com"`} {
		if !strings.Contains(in.log.String(), line) {
			t.Errorf("the log does not tell: %s", line)
		}
	}
}

func TestAPortalThatDoesNotSealForThisAgentShows(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.ready(t)
	portal := in.portal(t)
	foreign, err := envelope.GenerateSealingKey()
	check(t, err)
	token, err := portal.Token(portal.Draft(in.user(t, "nils"), newPassword()), foreign.Public())
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answered := make(chan error, 1)
	go func() {
		_, err := portal.Exchange(ctx, token)
		answered <- err
	}()
	report := agent.status(t, "the portal does not seal for it", func(r status.Report) bool { return len(r.NotSealing) == 1 })
	c := condition(report, health.Issuer(lab.Issuer))
	if c.Severity != health.Degraded || !strings.Contains(c.Remedy, "keys export") || report.ExitCode() != status.ExitDegraded {
		t.Errorf("condition %+v, exit code %d", c, report.ExitCode())
	}
	check(t, <-answered)
	wantOutcome(t, in.reset(t, portal, "nils", newPassword()), writeback.Written, writeback.ReasonOK)
	if report := agent.ready(t); len(report.NotSealing) != 0 {
		t.Errorf("not sealing: %v", report.NotSealing)
	}
}

func TestResultsThatNoQueueAcceptsShowAndDoNotHoldUpTheStop(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.edit(t, "config.yaml", lab.ResultsQueue, "absent-queue")
	agent := in.start(t)
	agent.ready(t)
	portal := in.portal(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	token, err := portal.Token(portal.Draft(in.user(t, "gina"), newPassword()))
	check(t, err)
	go func() { _, _ = portal.Exchange(ctx, token) }() // the answer cannot come
	report := agent.status(t, "the result is not accepted", func(r status.Report) bool {
		return condition(r, health.Outbox).Severity != health.OK && len(r.Reasons) > 0 // counted when the result is on its way already
	})
	c := condition(report, health.Outbox)
	if c.Severity != health.Degraded || !strings.Contains(c.Message, "absent-queue") || report.Outbox != 1 || report.ExitCode() != status.ExitDegraded {
		t.Errorf("condition %+v, %d in the outbox, exit code %d", c, report.Outbox, report.ExitCode())
	}
	if report.Reasons[writeback.ReasonOK] != 1 || in.directory.Writes("gina") != 1 {
		t.Errorf("the reset itself: %v, %d writes", report.Reasons, in.directory.Writes("gina"))
	}
	check(t, agent.stop())
	// It waits on disk, and is counted again by the next process.
	agent = in.start(t)
	agent.status(t, "the result still waits", func(r status.Report) bool { return r.Outbox == 1 })
}

func TestWhatCannotBeOpenedStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *installation)
		reason writeback.Reason
		says   string
		remedy string
	}{
		"another agent on the same socket": {
			func(t *testing.T, in *installation) { in.start(t).ready(t) },
			writeback.AgentMisconfigured, "another agent answers at", "Stop the other agent",
		},
		"another agent on the same state": {
			func(t *testing.T, in *installation) {
				in.start(t).ready(t)
				in.edit(t, "config.yaml", "agent.sock", "other.sock")
			},
			writeback.AgentStorageUnavailable, "in use", "Another agent runs with this state directory",
		},
		"a damaged ledger": {
			func(t *testing.T, in *installation) {
				check(t, os.WriteFile(in.path("state/ledger.db"), []byte("x"), 0o600))
			},
			writeback.AgentStorageUnavailable, "ledger.db", "restore it from a backup",
		},
		"a state directory for everybody": {
			func(t *testing.T, in *installation) { in.openToAll(t, "state") },
			writeback.AgentStorageUnavailable, "may be written by others", "writable by nobody else",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			c.spoil(t, in)
			agent, err := in.open(t)
			if err == nil {
				agent.Close()
				t.Fatal("it starts")
			}
			var fault *writeback.Error
			if !errors.As(err, &fault) {
				t.Fatalf("%T: %v", err, err)
			}
			if fault.Reason != c.reason || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.Remedy(), c.remedy) {
				t.Errorf("%v\n%s", err, fault.Remedy())
			}
		})
	}
}

func TestAFailedStartGivesEverythingBack(t *testing.T) {
	t.Parallel()
	in := install(t)
	key := in.path("issuers/portal.jwk")
	pinned, err := os.ReadFile(key)
	check(t, err)
	cfg := in.config(t)
	check(t, os.WriteFile(key, []byte("{}"), 0o600)) // broken after it was checked
	if _, err := newAgent(t, cfg, in.log); err == nil || !strings.Contains(err.Error(), "issuers[0].keys[0]") {
		t.Fatalf("error %v, want one that names the field", err)
	}
	if _, err := os.Stat(cfg.Status.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	check(t, os.WriteFile(key, pinned, 0o600))
	in.start(t).ready(t) // ledger, audit and socket are free
}

func TestAnAgentThatIsStoppedBeforeItRunsEndsInOrder(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent, err := in.open(t)
	check(t, err)
	defer agent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	select {
	case err := <-ended:
		check(t, err)
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// What one portal signs, however wrong, is that portal's fault alone: it is told, and the intake stays open for the others.
func TestASignedRequestAgainstTheRulesIsAnsweredAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claim  string
		value  any
		reason writeback.Reason
	}{
		"a claim of a newer protocol": {"crit", "x", writeback.RequestUnsupported},
		"an operation of one":         {"op", "rename", writeback.RequestUnsupported},
		"a claim of the wrong type":   {"auth_time", "noon", writeback.EnvelopeMalformed},
		"a life too long":             {"exp", time.Now().Add(time.Hour).Unix(), writeback.EnvelopeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			agent := in.start(t)
			agent.ready(t)
			portal := in.portal(t)
			draft := portal.Draft(in.user(t, "ada"), newPassword())
			draft.Claims[c.claim] = c.value
			token, err := portal.Token(draft)
			check(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			result, err := portal.Exchange(ctx, token)
			check(t, err)
			wantOutcome(t, result.Outcome, writeback.NotWritten, c.reason)
			wantOutcome(t, in.reset(t, portal, "ben", newPassword()), writeback.Written, writeback.ReasonOK)
			report := agent.status(t, "nothing in hand", func(r status.Report) bool { return r.Relay.InHand == 0 })
			if report.Overall != health.OK {
				t.Errorf("overall %s: %+v", report.Overall, report.Conditions)
			}
		})
	}
}

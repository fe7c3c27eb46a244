package app_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

// serving waits until the agent takes requests, whatever else it has to say.
func (r *running) serving(t *testing.T) status.Report {
	t.Helper()
	return r.status(t, "it serves", func(report status.Report) bool {
		return report.Relay.Connected && report.Relay.Intake == status.IntakeOpen && len(report.Domains) == 1 && report.Domains[0].Controller != ""
	})
}

// takenOver waits until the running agent works with the key files as they are.
func (in *installation) takenOver(t *testing.T, agent *running) status.Report {
	t.Helper()
	wanted, err := app.KeyGeneration(in.config(t))
	check(t, err)
	return agent.status(t, "it has taken the keys over", func(r status.Report) bool { return r.KeyFiles.Generation == wanted })
}

// stream asks for one reset after the other until it is stopped, and says how many were made. Not one may fail.
func (in *installation) stream(t *testing.T, portal *lab.Portal, login string) (stop func() int) {
	t.Helper()
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	made := 0
	user := in.user(t, login)
	running.Go(func() {
		for ctx.Err() == nil {
			waited, done := context.WithTimeout(t.Context(), patience)
			result, err := portal.Reset(waited, requester.ResetRequest{User: user, Password: newPassword(), By: lab.Verified()})
			done()
			if err != nil || result.Outcome.Reason != writeback.ReasonOK {
				t.Errorf("request %d: %v, %v", made+1, result.Outcome, err)
				return
			}
			made++
		}
	})
	return func() int {
		cancel()
		running.Wait()
		return made
	}
}

// TestKeysRotateUnderAStreamOfRequests goes through a whole rotation as "keys rotate" makes it, with portals that get the new set at
// their own pace. No request is refused, and none is without an answer that its portal believes.
func TestKeysRotateUnderAStreamOfRequests(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.serving(t)
	store, err := envelope.OpenKeyStore(in.path("state/keys"))
	check(t, err)
	old, err := store.Scan()
	check(t, err)
	before := in.portal(t)
	stop := in.stream(t, before, "ada")

	_, err = store.Make(envelope.ECDHES, envelope.KeyLife{})
	check(t, err)
	next, err := store.Make(envelope.ES256, envelope.KeyLife{ActiveFrom: time.Now().Add(time.Hour)})
	check(t, err)
	for _, key := range old {
		check(t, store.SetLife(key, envelope.KeyLife{Expires: time.Now().Add(2 * time.Hour)}))
	}
	in.takenOver(t, agent)
	set, err := store.PublicSet(lab.Group + "/" + lab.AgentName)
	check(t, err)
	if in.public, err = envelope.ParsePublicKeys(set); err != nil || len(in.public) != 4 {
		t.Fatalf("exported %d keys, %v", len(in.public), err)
	}
	after := in.portal(t)
	wantOutcome(t, in.reset(t, after, "ben", newPassword()), writeback.Written, writeback.ReasonOK)
	if made := stop(); made == 0 {
		t.Error("the stream made no request before every portal had the new set")
	}

	stop = in.stream(t, after, "ada")
	check(t, store.SetLife(next, envelope.KeyLife{})) // keys rotate --activate
	in.takenOver(t, agent)
	wantOutcome(t, in.reset(t, after, "ben", newPassword()), writeback.Written, writeback.ReasonOK)
	for _, key := range old {
		// Long ago: they are only deleted when a controller has confirmed that the time has come.
		check(t, store.SetLife(key, envelope.KeyLife{Expires: time.Now().Add(-time.Hour)}))
	}
	report := agent.status(t, "the expired keys are deleted", func(r status.Report) bool { return len(r.Keys) == 2 })
	wantOutcome(t, in.reset(t, after, "ben", newPassword()), writeback.Written, writeback.ReasonOK)
	if made := stop(); made == 0 {
		t.Error("the stream made no request")
	}
	for _, key := range report.Keys {
		if key.Signs != (key.ID == next.ID) {
			t.Errorf("%s signs: %t", key.ID, key.Signs)
		}
	}
	if refused := len(report.Discarded) + len(report.NotSealing); refused != 0 {
		t.Errorf("discarded %v, not sealing %v", report.Discarded, report.NotSealing)
	}
	if kinds := auditKinds(t, in.path("state/audit")); kinds[string(audit.KindKeys)] < 3 {
		t.Errorf("the audit has %v: not every change of keys", kinds)
	}
}

func TestARevocationCountsWithoutARestart(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.serving(t)
	trust, err := envelope.OpenTrustStore(in.path("state/trust"))
	check(t, err)
	stolen := in.site.PortalKey
	before := in.portal(t)
	wantOutcome(t, in.reset(t, before, "ada", newPassword()), writeback.Written, writeback.ReasonOK)
	second, err := envelope.GenerateSigningKey()
	check(t, err)
	check(t, trust.Pin(lab.Issuer, second.Public(), time.Now(), time.Time{}))
	in.takenOver(t, agent)
	in.site.PortalKey = second
	after := in.portal(t)
	wantOutcome(t, in.reset(t, after, "ada", newPassword()), writeback.Written, writeback.ReasonOK)

	check(t, trust.Revoke(stolen.KeyID(), time.Now(), "stolen"))
	report := in.takenOver(t, agent)
	for _, key := range report.Trusted {
		want := map[bool]string{true: "revoked", false: "active"}[key.ID == stolen.KeyID()]
		if key.State != want {
			t.Errorf("%s is %s, want %s", key.ID, key.State, want)
		}
	}
	writes := in.directory.Writes("mona")
	token, err := before.Token(before.Draft(in.user(t, "mona"), newPassword()))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _, _ = before.Exchange(ctx, token) }() // nobody answers
	agent.status(t, "it was discarded", func(r status.Report) bool { return r.Discarded[writeback.EnvelopeUntrustedIssuer] == 1 })
	wantOutcome(t, in.reset(t, after, "ada", newPassword()), writeback.Written, writeback.ReasonOK)
	if in.directory.Writes("mona") != writes {
		t.Error("the revoked key wrote")
	}
}

// paused waits until the agent says that a part of its host was set back, and takes no request.
func (r *running) paused(t *testing.T, why string) {
	t.Helper()
	r.status(t, "it was set back: "+why, func(report status.Report) bool {
		c := condition(report, health.Snapshot)
		return c.Severity == health.Down && strings.Contains(c.Message, why) && c.Remedy != "" && report.Relay.Intake != status.IntakeOpen
	})
}

// stopped is a clock that only a test moves.
type stopped struct{ at atomic.Pointer[time.Time] }

// stopClock stops the clock by which agents that are started from now on close and open their intake: however slow this host is, a pause ends
// when the test says so.
func (in *installation) stopClock() *stopped {
	clock, now := &stopped{}, time.Now()
	clock.at.Store(&now)
	in.prepare = append(in.prepare, func(a *app.Agent) { app.SetClock(a, func() time.Time { return *clock.at.Load() }) })
	return clock
}

func (s *stopped) pass(d time.Duration) {
	later := s.at.Load().Add(d)
	s.at.Store(&later)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, content, 0o600))
}

// TestAnOldLedgerIsNoticed puts back a copy of the ledger that does not know the last write. The same request must not be written again.
func TestAnOldLedgerIsNoticed(t *testing.T) {
	t.Parallel()
	in := install(t)
	first := in.start(t)
	first.serving(t)
	portal := in.portal(t)
	wantOutcome(t, in.reset(t, portal, "ada", newPassword()), writeback.Written, writeback.ReasonOK)
	check(t, first.stop())
	copyFile(t, in.path("state/ledger.db"), in.path("ledger.copy"))

	second := in.start(t)
	second.serving(t)
	if c := condition(second.serving(t), health.Snapshot); c.Severity != health.OK {
		t.Errorf("an ordinary restart: %+v", c)
	}
	token, err := portal.Token(portal.Draft(in.user(t, "kira"), newPassword()))
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := portal.Exchange(ctx, token)
	check(t, err)
	wantOutcome(t, result.Outcome, writeback.Written, writeback.ReasonOK)
	check(t, second.stop())
	copyFile(t, in.path("ledger.copy"), in.path("state/ledger.db"))

	third := in.start(t)
	third.paused(t, "the ledger is older than the audit")
	if in.directory.Writes("kira") != 1 {
		t.Errorf("%d writes", in.directory.Writes("kira"))
	}
	check(t, third.stop())
	if kinds := auditKinds(t, in.path("state/audit")); kinds[string(audit.KindSnapshot)] != 1 {
		t.Errorf("the audit has %v", kinds)
	}
}

func TestAnOldAuditIsNoticedAndThePauseEnds(t *testing.T) {
	t.Parallel()
	in := install(t)
	first := in.start(t)
	first.serving(t)
	portal := in.portal(t)
	clock := in.stopClock() // for the second agent
	wantOutcome(t, in.reset(t, portal, "ada", newPassword()), writeback.Written, writeback.ReasonOK)
	first.status(t, "the answer is out", func(r status.Report) bool { return r.Outbox == 0 && r.Relay.InHand == 0 })
	check(t, first.stop())
	check(t, os.RemoveAll(in.path("state/audit")))
	second := in.start(t)
	second.paused(t, "the audit is older than the ledger")
	clock.pass(time.Hour)
	report := second.serving(t) // the pause ends by itself
	if c := condition(report, health.Snapshot); c.Severity != health.OK {
		t.Errorf("condition %+v", c)
	}
	if kinds := auditKinds(t, in.path("state/audit")); kinds[string(audit.KindSnapshot)] != 2 {
		t.Errorf("the audit has %v: not both the beginning and the end", kinds)
	}
}

// A host whose clock was an hour ahead, or is an hour behind, must not be locked out until that hour has passed.
func TestAClockThatWentBackIsNoticedAndThePauseEnds(t *testing.T) {
	t.Parallel()
	in := install(t)
	lines, err := audit.Open(t.Context(), audit.Options{
		Dir: in.path("state/audit"), Now: func() time.Time { return time.Now().Add(time.Hour) },
	})
	check(t, err)
	check(t, lines.Append(t.Context(), audit.Event{Kind: audit.KindStop}))
	check(t, lines.Close())
	clock := in.stopClock()
	agent := in.start(t)
	agent.paused(t, "the clock went back")
	clock.pass(time.Hour)
	if c := condition(agent.serving(t), health.Snapshot); c.Severity != health.OK {
		t.Errorf("condition %+v", c)
	}
}

func TestAClockThatJumpsClosesTheIntake(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.serving(t)
	ctx, stop := context.WithCancel(t.Context())
	begin, ended, asked := time.Now(), make(chan struct{}), 0
	go func() {
		defer close(ended)
		app.WatchClock(ctx, agent.agent, func() time.Time {
			if asked++; asked == 1 {
				return begin
			}
			return time.Now().Add(-time.Hour)
		})
	}()
	agent.status(t, "the clock jumped", func(r status.Report) bool {
		return strings.Contains(condition(r, health.Snapshot).Message, "the clock jumped by -1h0m0s")
	})
	stop()
	<-ended
}

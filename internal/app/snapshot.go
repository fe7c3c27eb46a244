package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/writeback"
)

// A ledger that was set back, alone or with its host, has forgotten requests that may still be valid, and would let them be written again. So
// ledger, audit and clock are compared at the start, and the clock is watched while the agent runs. Where they do not agree, the agent takes
// no request until none can be valid any more that was served before; then it goes on.
const (
	comparedLines  = 200             // of the audit's end
	snapshotLeeway = 5 * time.Second // between times of the same host
	clockPeriod    = time.Second
	clockJump      = 10 * time.Second // between two looks at both clocks
)

const remedySnapshot = "Nothing need be done: the intake opens by itself. Keep state_dir and audit.dir out of restored snapshots, and do not restore one without the other."

// history is what of the past is on the disk at the start.
type history struct {
	last    []audit.Entry // the end of the audit, before this start
	audited time.Time     // newest outcome of which the ledger says that the audit holds it
}

// readHistory reads it before the agent writes its first line.
func (a *Agent) readHistory(ctx context.Context) (history, error) {
	last, err := audit.LastEntries(ctx, a.cfg.Audit.Dir, comparedLines)
	if err != nil {
		return history{}, err
	}
	audited, err := a.ledger.NewestAudited(ctx)
	return history{last: last, audited: audited}, err
}

// end returns the time of the audit's last line.
func (h history) end() time.Time {
	if len(h.last) == 0 {
		return time.Time{}
	}
	return h.last[len(h.last)-1].Position.Time
}

// compareHistory returns what does not agree; empty: everything does.
func (a *Agent) compareHistory(ctx context.Context, h history, now time.Time) ([]string, error) {
	var found []string
	forgotten, err := forgotten(ctx, a.ledger, h.last, now)
	if err != nil {
		return nil, err
	}
	if forgotten != "" {
		found = append(found, "the ledger is older than the audit: "+forgotten)
	}
	if h.audited.Sub(h.end()) > snapshotLeeway {
		found = append(found, fmt.Sprintf("the audit is older than the ledger: it ends at %s, and the ledger has an outcome of %s", inSeconds(h.end()), inSeconds(h.audited)))
	}
	if latest := h.latest(); latest.Sub(now) > snapshotLeeway {
		found = append(found, fmt.Sprintf("the clock went back: it shows %s, and something was recorded at %s", inSeconds(now), inSeconds(latest)))
	}
	return found, nil
}

func (h history) latest() time.Time {
	if h.audited.After(h.end()) {
		return h.audited
	}
	return h.end()
}

func inSeconds(at time.Time) string {
	if at.IsZero() {
		return "nothing"
	}
	return at.UTC().Format(time.RFC3339)
}

// forgotten names a write that the audit tells of and the ledger does not, or not so far: each is claimed in the ledger before the audit hears of
// the intent, and done before its outcome is audited. Old lines say nothing: the ledger forgets requests after a day.
func forgotten(ctx context.Context, memory *ledger.Ledger, last []audit.Entry, now time.Time) (string, error) {
	meant := map[writeback.RequestKey]bool{}
	for _, entry := range last {
		if now.Sub(entry.Position.Time) > ledger.DefaultKeepAfterExpiry/2 {
			continue
		}
		if entry.Kind == audit.KindIntent {
			meant[entry.Request] = true
		}
		ended := entry.Kind == audit.KindOutcome || entry.Kind == audit.KindRevised || entry.Kind == audit.KindSettled
		if !meant[entry.Request] || entry.Kind != audit.KindIntent && !ended {
			continue
		}
		record, known, err := memory.Get(ctx, entry.Request)
		if err != nil {
			return "", err
		}
		if !known || ended && record.State != ledger.StateDone {
			return fmt.Sprintf("it does not know what became of %s at %s", entry.Request, inSeconds(entry.Position.Time)), nil
		}
	}
	return "", nil
}

// danger is how long a request that was served may still be valid: its life, and the clocks' difference at its beginning and at its end.
func (a *Agent) danger() time.Duration { return a.cfg.Policy.MaxRequestLife + 2*a.cfg.Policy.ClockSkew }

// checkSnapshot compares at the start, and closes the intake where a forgotten request may still be valid.
func (a *Agent) checkSnapshot(ctx context.Context, h history) error {
	now := a.now()
	found, err := a.compareHistory(ctx, h, now)
	if err != nil || len(found) == 0 {
		return err
	}
	return a.hold(ctx, strings.Join(found, "; "), minTime(h.latest(), now).Add(a.danger()), now)
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// hold closes the intake until a time, and records why. Where that time has passed, only the record is made.
func (a *Agent) hold(ctx context.Context, what string, until, now time.Time) error {
	if until.After(now) {
		what += "; no request is taken until " + inSeconds(until)
		a.board.Set(health.Snapshot, health.Down, what, remedySnapshot)
		a.heldUntil.Store(&until)
	}
	a.log.WithField(logging.FieldHint, remedySnapshot).Warn("this host, or a part of it, was set back: " + what)
	if err := a.audit.Append(ctx, audit.Event{Kind: audit.KindSnapshot, Note: what}); err != nil {
		return fmt.Errorf("record a restored snapshot: %w", err)
	}
	return nil
}

// watchClock notices a clock that jumps, as it does when a running machine is set back to a snapshot or put to sleep, and opens the intake when
// it may be opened, until ctx ends. The steady clock, which only measures, tells how far the other one should have moved.
func (a *Agent) watchClock(ctx context.Context, now func() time.Time) {
	tick := time.NewTicker(clockPeriod)
	defer tick.Stop()
	steady, before := time.Now(), now().Round(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		passed, shown := time.Since(steady), now().Round(0)
		steady = steady.Add(passed)
		if jump := shown.Sub(before) - passed; jump.Abs() > clockJump {
			what, from := fmt.Sprintf("the clock jumped by %s", jump.Round(time.Second)), a.now()
			if err := a.hold(ctx, what, from.Add(a.danger()), from); err != nil && ctx.Err() == nil {
				logging.WithError(a.log, err).Warn("a jump of the clock is not in the audit")
			}
		}
		before = shown
		a.endHold(ctx, a.now())
	}
}

// endHold opens the intake when the time has come.
func (a *Agent) endHold(ctx context.Context, now time.Time) {
	until := a.heldUntil.Load()
	if until == nil || now.Before(*until) {
		return
	}
	a.heldUntil.Store(nil)
	a.board.Clear(health.Snapshot)
	if err := a.audit.Append(ctx, audit.Event{Kind: audit.KindSnapshot, Note: "requests are taken again"}); err != nil && ctx.Err() == nil {
		logging.WithError(a.log, err).Warn("the end of a pause is not in the audit")
	}
}

// AcceptClock takes back the highest time that a controller confirmed, to the present, and records it. confirmed must be that time as the administrator
// was shown it. The agent must not run.
func AcceptClock(ctx context.Context, memory *ledger.Ledger, lines *audit.Log, confirmed, now time.Time) error {
	highest, err := memory.HighestTime(ctx)
	if err != nil {
		return err
	}
	if !highest.Truncate(time.Second).Equal(confirmed.Truncate(time.Second)) {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the highest confirmed time is %s", inSeconds(highest)),
			Hint: "Run the command without --confirm, and repeat the time it prints.",
		}
	}
	if !highest.After(now) {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: errors.New("the clock is not behind the highest confirmed time"),
			Hint: "Nothing need be done.",
		}
	}
	note := fmt.Sprintf("an administrator took the highest confirmed time back from %s to %s", inSeconds(highest), inSeconds(now))
	if err := lines.Append(ctx, audit.Event{Kind: audit.KindClock, Note: note}); err != nil {
		return err
	}
	return memory.ResetTime(ctx, now)
}

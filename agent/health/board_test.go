package health_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/writeback"
)

// clock is a time that moves when told.
type clock struct{ time time.Time }

func (c *clock) now() time.Time { return c.time }

func (c *clock) pass(d time.Duration) time.Time {
	c.time = c.time.Add(d)
	return c.time
}

func newBoard(observe ...func(before, after health.Condition)) (*health.Board, *clock) {
	c := &clock{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	return health.New(c.now, observe...), c
}

func TestABoardWithoutConditionsIsHealthy(t *testing.T) {
	board, _ := newBoard()
	if got := board.Overall(); got != health.OK {
		t.Errorf("Overall() = %s", got)
	}
	if got := board.Snapshot(); len(got) != 0 {
		t.Errorf("Snapshot() = %v", got)
	}
}

func TestTheWorstConditionDecides(t *testing.T) {
	board, _ := newBoard()
	steps := []struct {
		name     health.Name
		severity health.Severity
		want     health.Severity
	}{
		{health.Relay, health.OK, health.OK},
		{health.Domain("a.example"), health.Degraded, health.Degraded},
		{health.Ledger, health.Down, health.Down},
		{health.Relay, health.Degraded, health.Down},
		{health.Ledger, health.OK, health.Degraded},
		{health.Outbox, "odd", "odd"}, // a severity nobody knows must not pass for health
	}
	for _, step := range steps {
		board.Set(step.name, step.severity, "", "")
		if got := board.Overall(); got != step.want {
			t.Errorf("after %s = %s: Overall() = %s, want %s", step.name, step.severity, got, step.want)
		}
	}
}

func TestSnapshotIsSortedWorstFirst(t *testing.T) {
	board, clock := newBoard()
	start := clock.now()
	board.Set(health.Relay, health.OK, "connected", "")
	board.Set(health.Outbox, health.Degraded, "12 results wait", "Look at the results queue.")
	later := clock.pass(time.Minute)
	board.Set(health.Ledger, health.Down, "disk full", "Make room.")
	board.Set(health.Issuer("portal"), health.Degraded, "does not seal for this agent", "Give it the keys.")
	want := []health.Condition{
		{Name: "ledger", Severity: "down", Since: later, Message: "disk full", Remedy: "Make room."},
		{Name: "issuer:portal", Severity: "degraded", Since: later, Message: "does not seal for this agent", Remedy: "Give it the keys."},
		{Name: "outbox", Severity: "degraded", Since: start, Message: "12 results wait", Remedy: "Look at the results queue."},
		{Name: "relay", Severity: "ok", Since: start, Message: "connected"},
	}
	if diff := cmp.Diff(want, board.Snapshot()); diff != "" {
		t.Errorf("Snapshot (-want +got):\n%s", diff)
	}
}

func TestSinceFollowsTheSeverity(t *testing.T) {
	board, clock := newBoard()
	since := func() time.Time { return board.Snapshot()[0].Since }
	start := clock.now()
	board.Set(health.Disk, health.Degraded, "5 % free", "")
	clock.pass(time.Hour)
	board.Set(health.Disk, health.Degraded, "4 % free", "")
	if got := since(); !got.Equal(start) {
		t.Errorf("a new message moved Since to %s", got)
	}
	if got := board.Snapshot()[0].Message; got != "4 % free" {
		t.Errorf("message = %q", got)
	}
	worse := clock.pass(time.Hour)
	board.Set(health.Disk, health.Down, "full", "")
	if got := since(); !got.Equal(worse) {
		t.Errorf("Since = %s, want %s", got, worse)
	}
	board.Clear(health.Disk)
	again := clock.pass(time.Hour)
	board.Set(health.Disk, health.Down, "full", "")
	if got := since(); !got.Equal(again) {
		t.Errorf("after Clear: Since = %s, want %s", got, again)
	}
}

func TestFailTakesReasonAndRemedyFromTheError(t *testing.T) {
	board, clock := newBoard()
	typed := &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: "Start the controller.", Cause: errors.New("refused")}
	board.Fail(health.Domain("corp"), health.Degraded, fmt.Errorf("corp: %w", typed))
	board.Fail(health.Audit, health.Degraded, errors.New("plain"))
	want := []health.Condition{
		{Name: "audit", Severity: "degraded", Since: clock.now(), Message: "plain"},
		{
			Name: "domain:corp", Severity: "degraded", Since: clock.now(), Message: "corp: directory.unavailable: refused",
			Remedy: "Start the controller.", Reason: writeback.DirectoryUnavailable,
		},
	}
	if diff := cmp.Diff(want, board.Snapshot()); diff != "" {
		t.Errorf("Snapshot (-want +got):\n%s", diff)
	}
}

func TestObserversHearOfChangesOnly(t *testing.T) {
	var heard []string
	board, _ := newBoard(func(before, after health.Condition) {
		heard = append(heard, fmt.Sprintf("%s %s->%s %s", after.Name, before.Severity, after.Severity, after.Message))
	})
	board.Set(health.Relay, health.OK, "connected", "")
	board.Set(health.Relay, health.Degraded, "lost", "")
	board.Set(health.Relay, health.Degraded, "still lost", "")
	board.Set(health.Relay, health.Down, "gone", "")
	board.Clear(health.Relay)
	board.Clear(health.Relay)
	want := []string{"relay ok->degraded lost", "relay degraded->down gone", "relay down->ok "}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

func TestAnObserverMayAskTheBoard(t *testing.T) {
	var board *health.Board
	var seen health.Severity
	board, _ = newBoard(func(health.Condition, health.Condition) { seen = board.Overall() })
	board.Set(health.Clock, health.Down, "behind", "")
	if seen != health.Down {
		t.Errorf("the observer saw %q", seen)
	}
}

func TestManyWriters(t *testing.T) {
	board, _ := newBoard()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := health.Domain(fmt.Sprint(i % 4))
			for range 100 {
				board.Set(name, health.Degraded, "", "")
				_ = board.Overall()
				board.Clear(name)
			}
		})
	}
	all.Wait()
	if got := board.Overall(); got != health.OK {
		t.Errorf("Overall() = %s", got)
	}
}

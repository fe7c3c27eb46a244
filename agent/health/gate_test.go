package health_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/agent/health"
)

func TestWhatClosesTheGate(t *testing.T) {
	cases := []struct {
		name     health.Name
		severity health.Severity
		open     bool
	}{
		{health.Ledger, health.Down, false},
		{health.Audit, health.Down, false},
		{health.Disk, health.Down, false},
		{health.Clock, health.Down, false},
		{health.Keys, health.Down, false},
		{health.Keys, health.Degraded, true},
		{health.Snapshot, health.Down, false},
		{health.Disk, health.Degraded, true},
		{health.Ledger, health.OK, true},
		{health.Relay, health.Down, true},
		{health.Outbox, health.Down, true},
		{health.Domain("corp"), health.Down, true}, // one sick domain among several must not stop the others
		{health.Issuer("portal"), health.Down, true},
	}
	for _, c := range cases {
		board, _ := newBoard()
		board.Set(c.name, c.severity, "", "")
		if got := board.Gate().Open(); got != c.open {
			t.Errorf("%s %s: open = %v, want %v", c.name, c.severity, got, c.open)
		}
	}
}

// waiter waits at the gate; done is closed when it has passed.
func waiter(ctx context.Context, gate health.Gate) (done chan struct{}, result *error) {
	done, result = make(chan struct{}), new(error)
	go func() {
		defer close(done)
		*result = gate.Wait(ctx)
	}()
	return done, result
}

func passed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestWaitEndsWhenTheLastReasonIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := health.New(time.Now)
		board.Set(health.Ledger, health.Down, "", "")
		board.Set(health.Audit, health.Down, "", "")
		first, _ := waiter(t.Context(), board.Gate())
		second, _ := waiter(t.Context(), board.Gate())
		for _, step := range []func(){
			func() {},
			func() { board.Clear(health.Ledger) },
			func() { board.Set(health.Disk, health.Down, "", "") },
			func() { board.Clear(health.Audit) },
		} {
			step()
			synctest.Wait()
			if passed(first) || passed(second) {
				t.Fatal("passed a closed gate")
			}
		}
		board.Set(health.Disk, health.Degraded, "", "")
		synctest.Wait()
		if !passed(first) || !passed(second) {
			t.Error("still waiting at an open gate")
		}
	})
}

// A gate that closes again at once must hold those it has just woken: they look again.
func TestAGateThatOnlyFlickersLetsNobodyStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := health.New(time.Now)
		board.Set(health.Clock, health.Down, "", "")
		done, result := waiter(t.Context(), board.Gate())
		synctest.Wait()
		board.Clear(health.Clock)
		board.Set(health.Clock, health.Down, "", "")
		board.Clear(health.Clock)
		synctest.Wait()
		if !passed(done) || *result != nil {
			t.Errorf("passed = %v, error %v", passed(done), *result)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := health.New(time.Now)
		board.Set(health.Ledger, health.Down, "", "")
		ctx, cancel := context.WithCancel(t.Context())
		done, result := waiter(ctx, board.Gate())
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !passed(done) || !errors.Is(*result, context.Canceled) {
			t.Errorf("passed = %v, error %v", passed(done), *result)
		}
	})
}

func TestWaitPrefersTheEndOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	board, _ := newBoard()
	if err := board.Gate().Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait on an open gate with an ended context: %v", err)
	}
}

func TestWaitAtAnOpenGateReturnsAtOnce(t *testing.T) {
	board, _ := newBoard()
	if err := board.Gate().Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
}

package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay"
)

func TestNewNamesEverythingThatIsMissing(t *testing.T) {
	_, err := relay.New(relay.Config{Concurrency: -1})
	if err == nil {
		t.Fatal("an empty Config was accepted")
	}
	for _, field := range []string{"Source", "Sender", "Handler", "Outbox", "Gate", "Logger", "Concurrency"} {
		if !contains(err.Error(), "Config."+field+" ") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func TestRunOnlyOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.start(c)
		if err := b.loop.Run(t.Context()); !errors.Is(err, relay.ErrAlreadyRun) {
			t.Errorf("a second Run returned %v, want ErrAlreadyRun", err)
		}
		b.end()
	})
}

func TestStatsTellTheConnection(t *testing.T) {
	_, c := config(t, working(0))
	loop, err := relay.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := loop.Stats(); !got.Connected || !got.ConnectedSince.Equal(time.Unix(1, 0)) || got.Intake != relay.IntakeStopped {
		t.Errorf("connected %v since %v, intake %q before the run", got.Connected, got.ConnectedSince, got.Intake)
	}
}

func TestStatsAreASnapshot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.start(c)
		before := b.loop.Stats()
		b.source.put("a", time.Hour)
		synctest.Wait()
		if before.Received != 0 || len(before.Settled) != 0 {
			t.Errorf("a snapshot changed afterwards: %+v", before)
		}
		if after := b.loop.Stats(); after.Received != 1 || !after.LastReceive.Equal(time.Now()) {
			t.Errorf("received %d, last at %v; want 1, just now", after.Received, after.LastReceive)
		}
		b.end()
	})
}

func TestConcurrencyIsBoundedAndNothingIsReceivedWithoutASlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
			<-release
			return completed()
		})
		c.Concurrency = 3
		for i := range 5 {
			b.source.put(fmt.Sprint(i), time.Hour)
		}
		b.start(c)
		if got := b.loop.Stats().InHand; got != 3 {
			t.Errorf("in hand: %d, want 3", got)
		}
		if got := b.source.receives(); got != 3 {
			t.Errorf("Receive was called %d times while 3 slots were taken, want 3", got)
		}
		close(release)
		synctest.Wait()
		if got := len(b.source.done()); got != 5 {
			t.Errorf("settled %d, want all 5", got)
		}
		if b.source.overlap {
			t.Error("Receive was called while another Receive was under way")
		}
		b.end()
	})
}

func TestClosedGateStopsReceiving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.gate.shut()
		b.source.put("a", time.Hour)
		b.start(c)
		time.Sleep(time.Hour)
		if got := b.source.receives(); got != 0 {
			t.Errorf("Receive was called %d times behind a closed gate", got)
		}
		if got := b.loop.Stats().Intake; got != relay.IntakeGateClosed {
			t.Errorf("intake is %q, want %q", got, relay.IntakeGateClosed)
		}
		b.gate.reopen()
		synctest.Wait()
		if diff := cmp.Diff([]string{"complete a"}, b.source.done()); diff != "" {
			t.Error(diff)
		}
		if got := b.loop.Stats().Intake; got != relay.IntakeRunning {
			t.Errorf("intake is %q, want %q", got, relay.IntakeRunning)
		}
		b.end()
	})
}

func TestStopBehindAClosedGate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.gate.shut()
		b.start(c)
		b.end()
	})
}

func TestReceiveErrorsBackOffAndSuccessResets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		for range 8 {
			b.source.failures <- errBroker
		}
		b.start(c)
		if got := b.loop.Stats().LastReceiveError; got != errBroker.Error() {
			t.Errorf("last receive error %q, want %q", got, errBroker)
		}
		time.Sleep(10 * time.Minute)
		pauses := gaps(b.source.askedAt())
		if len(pauses) != 8 {
			t.Fatalf("%d pauses after 8 errors, want 8", len(pauses))
		}
		for i, pause := range pauses {
			nominal := min(250*time.Millisecond<<i, 30*time.Second)
			if pause < nominal/2 || pause > nominal*3/2+time.Millisecond {
				t.Errorf("pause %d is %v, want %v with at most half of jitter", i, pause, nominal)
			}
		}

		b.source.put("a", time.Hour)
		synctest.Wait()
		if got := b.loop.Stats().LastReceiveError; got != "" {
			t.Errorf("last receive error %q after a message came, want none", got)
		}
		before := b.source.receives()
		b.source.failures <- errBroker
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		if got := b.source.receives(); got != before+1 {
			t.Errorf("%d receives within 400 ms after a new error, want 1: the pause starts small again", got-before)
		}
		b.end()
	})
}

func TestConnectionThatHeldForAWhileResetsThePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		for range 8 {
			b.source.failures <- errBroker
		}
		b.start(c)
		time.Sleep(10 * time.Minute) // no message in all that time, but no trouble either
		before := b.source.receives()
		b.source.failures <- errBroker
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		if got := b.source.receives(); got != before+1 {
			t.Errorf("%d receives within 400 ms after the connection was lost, want 1", got-before)
		}
		b.end()
	})
}

func TestNothingFromTheSourceIsNoBusyLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		for range 100 {
			b.source.failures <- nil
		}
		b.start(c)
		time.Sleep(10 * time.Second)
		if got := b.source.receives(); got > 10 {
			t.Errorf("%d receives in 10 s from a source that returns nothing at once", got)
		}
		b.end()
	})
}

func TestHeldMessageHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(_ context.Context, d *writeback.Delivery) writeback.Disposition {
			if d.MessageID == "held" {
				return writeback.Disposition{Reason: writeback.EnvelopeNotForUs, Settlement: writeback.Abandon, Delay: 2 * time.Second}
			}
			return completed()
		})
		b.source.put("held", time.Hour)
		b.source.put("b", time.Hour)
		b.start(c)
		if diff := cmp.Diff([]string{"complete b"}, b.source.done()); diff != "" {
			t.Errorf("before the delay is over: %s", diff)
		}
		if got := b.loop.Stats().InHand; got != 1 {
			t.Errorf("in hand while one is held: %d, want 1", got)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if diff := cmp.Diff([]string{"complete b", "abandon held"}, b.source.done()); diff != "" {
			t.Error(diff)
		}
		b.end()
	})
}

func TestSlowIntakeTakesOneAtATimeUntilToldOtherwise(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(_ context.Context, d *writeback.Delivery) writeback.Disposition {
			if d.MessageID[0] == 's' {
				return writeback.Disposition{Settlement: writeback.Abandon, Delay: 2 * time.Second, SlowIntake: true}
			}
			return writeback.Disposition{Settlement: writeback.Complete, Delay: 2 * time.Second}
		})
		c.Concurrency = 4
		b.source.put("s1", time.Hour)
		b.start(c) // one receive is under way already and will bring s2 at once
		for _, id := range []string{"s2", "s3", "s4", "f1", "f2", "f3"} {
			b.source.put(id, time.Hour)
		}
		synctest.Wait()
		if got := b.loop.Stats(); got.InHand != 2 || got.Received != 2 {
			t.Errorf("in hand %d of %d received, want the slow one and the one that was being received", got.InHand, got.Received)
		}
		time.Sleep(2*time.Second + time.Millisecond) // s1 and s2 are settled; s3 is in hand, alone
		if got := b.loop.Stats(); got.InHand != 1 || got.Received != 3 {
			t.Errorf("in hand %d of %d received, want s3 alone", got.InHand, got.Received)
		}
		if got := b.loop.Stats().Intake; got != relay.IntakeSlow {
			t.Errorf("intake is %q, want %q", got, relay.IntakeSlow)
		}
		time.Sleep(2 * time.Second) // s4 alone
		time.Sleep(2 * time.Second) // f1 says: go on
		if got := b.loop.Stats(); got.InHand != 3 || got.Received != 7 {
			t.Errorf("in hand %d of %d received, want f1, f2 and f3 together", got.InHand, got.Received)
		}
		time.Sleep(3 * time.Second)
		if got := b.loop.Stats().Intake; got != relay.IntakeRunning {
			t.Errorf("intake is %q, want %q", got, relay.IntakeRunning)
		}
		b.end()
	})
}

// gaps returns the times between consecutive moments.
func gaps(moments []time.Time) []time.Duration {
	var between []time.Duration
	for i := 1; i < len(moments); i++ {
		between = append(between, moments[i].Sub(moments[i-1]))
	}
	return between
}

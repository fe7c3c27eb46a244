package relay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay"
)

func TestStoppingFinishesWhatIsInHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b *bench
		b, c := config(t, func(ctx context.Context, d *writeback.Delivery) writeback.Disposition {
			select {
			case <-time.After(15 * time.Second):
			case <-ctx.Done():
				t.Error("the handler was cancelled within the drain time")
			}
			b.outbox.put("results", "answer", time.Hour)
			return completed()
		})
		b.source.put("a", time.Hour)
		b.start(c)
		b.stop()
		b.source.put("late", time.Hour)
		time.Sleep(time.Second)
		if got := b.loop.Stats().Intake; got != relay.IntakeDraining {
			t.Errorf("intake is %q, want %q", got, relay.IntakeDraining)
		}
		b.outbox.put("results", "earlier", time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"earlier"}, b.sender.accepted()); diff != "" {
			t.Errorf("results are sent while draining: %s", diff)
		}
		b.end()
		if diff := cmp.Diff([]string{"complete a"}, b.source.done()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"earlier", "answer"}, b.sender.accepted()); diff != "" {
			t.Errorf("the last answer leaves before Run returns: %s", diff)
		}
		if got := b.loop.Stats(); got.Intake != relay.IntakeStopped || got.OutboxPending != 0 {
			t.Errorf("at the end: intake %q, outbox %d", got.Intake, got.OutboxPending)
		}
	})
}

func TestCancelledAfterTheDrainTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var cancelled time.Time
		var b *bench
		b, c := config(t, func(ctx context.Context, _ *writeback.Delivery) writeback.Disposition {
			<-ctx.Done()
			cancelled = time.Now()
			b.outbox.put("results", "answer", time.Hour)
			return writeback.Disposition{Reason: writeback.AgentStopping, Settlement: writeback.Abandon}
		})
		b.source.put("a", time.Hour)
		b.start(c)
		stopped := time.Now()
		b.end()
		if got := cancelled.Sub(stopped); got != relay.DefaultDrain {
			t.Errorf("cancelled %v after the stop, want %v", got, relay.DefaultDrain)
		}
		if diff := cmp.Diff([]string{"abandon a"}, b.source.done()); diff != "" {
			t.Errorf("a cancelled message is still given back: %s", diff)
		}
		if diff := cmp.Diff([]string{"answer"}, b.sender.accepted()); diff != "" {
			t.Errorf("a cancelled request is still answered: %s", diff)
		}
	})
}

func TestHandlerThatIgnoresItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
			<-release
			return completed()
		})
		b.source.put("a", time.Hour)
		b.start(c)
		stopped := time.Now()
		b.stop()
		err := <-b.result
		if !errors.Is(err, relay.ErrStillInHand) {
			t.Errorf("Run returned %v, want ErrStillInHand", err)
		}
		if got, want := time.Since(stopped), relay.DefaultDrain+relay.DefaultCancelGrace; got != want {
			t.Errorf("Run returned %v after the stop, want %v", got, want)
		}
		close(release)
	})
}

func TestStoppingLetsGoOfHeldMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
			return writeback.Disposition{Settlement: writeback.Abandon, Delay: time.Minute}
		})
		b.source.put("a", time.Hour)
		b.start(c)
		stopped := time.Now()
		b.end()
		if got := time.Since(stopped); got != 0 {
			t.Errorf("the stop took %v, want it to cut the delay short", got)
		}
		if diff := cmp.Diff([]string{"abandon a"}, b.source.done()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheOutboxIsReadOnceMoreAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.start(c)
		b.outbox.putSilently("results", "a", time.Hour)
		b.end()
		if diff := cmp.Diff([]string{"a"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRefusedResultsDoNotHoldUpTheStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.sender.refuseWith(func(writeback.PendingResult) error { return errBroker })
		b.outbox.put("results", "a", time.Hour)
		b.start(c)
		stopped := time.Now()
		b.end()
		if got := time.Since(stopped); got > relay.DefaultCancelGrace {
			t.Errorf("the stop took %v", got)
		}
		if b.outbox.left() != 1 {
			t.Error("a result that was not accepted left the outbox")
		}
	})
}

func TestHangingSendDoesNotHoldUpTheStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		hang := hangingSender{}
		c.Sender = hang
		b.outbox.put("results", "a", time.Hour)
		b.start(c)
		stopped := time.Now()
		b.end()
		if got := time.Since(stopped); got != relay.DefaultCancelGrace {
			t.Errorf("the stop took %v, want %v", got, relay.DefaultCancelGrace)
		}
	})
}

// hangingSender never sends, but obeys its context.
type hangingSender struct{}

func (hangingSender) SendResult(ctx context.Context, _ writeback.PendingResult) error {
	<-ctx.Done()
	return ctx.Err()
}

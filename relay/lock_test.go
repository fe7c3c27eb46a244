package relay_test

import (
	"context"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// working returns a handler that takes its time.
func working(span time.Duration) handlerFunc {
	return func(context.Context, *writeback.Delivery) writeback.Disposition {
		time.Sleep(span)
		return completed()
	}
}

func TestLockIsRenewedOnlyWhenNeeded(t *testing.T) {
	for _, row := range []struct {
		name       string
		lock, work time.Duration
		held       time.Duration
		renewals   int
	}{
		{name: "done long before the lock ends", lock: 5 * time.Minute, work: 3 * time.Minute, renewals: 0},
		{name: "a minute before the end", lock: 5 * time.Minute, work: 4*time.Minute + time.Second, renewals: 1},
		{name: "again and again", lock: 5 * time.Minute, work: 13 * time.Minute, renewals: 3},
		{name: "short locks at their half", lock: 30 * time.Second, work: 50 * time.Second, renewals: 3},
		{name: "also while held", lock: 5 * time.Minute, work: time.Second, held: 6 * time.Minute, renewals: 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
					time.Sleep(row.work)
					return writeback.Disposition{Settlement: writeback.Complete, Delay: row.held}
				})
				delivery := b.source.put("a", row.lock)
				b.start(c)
				time.Sleep(row.work + row.held + time.Second)
				if b.source.renewed() != row.renewals {
					t.Errorf("%d renewals, want %d", b.source.renewed(), row.renewals)
				}
				if row.renewals > 0 && !delivery.LockedUntil().After(time.Now()) {
					t.Error("the delivery does not show the new end of the lock")
				}
				if got := b.loop.Stats().LocksLost; got != 0 {
					t.Errorf("%d locks lost, want none", got)
				}
				b.end()
			})
		})
	}
}

func TestRefusedRenewalIsRepeatedUntilTheLockIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(10*time.Minute))
		b.source.renewErr = errBroker
		b.source.put("a", 5*time.Minute)
		b.start(c)
		time.Sleep(9 * time.Minute)
		if got := b.source.renewed(); got != 4 {
			t.Errorf("%d tries in the last minute of the lock, want 4", got)
		}
		if got := b.loop.Stats().LocksLost; got != 1 {
			t.Errorf("%d locks lost, want 1", got)
		}
		time.Sleep(2 * time.Minute)
		b.end()
	})
}

func TestNoRenewalAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(time.Second))
		b.source.put("a", 5*time.Minute)
		b.start(c)
		time.Sleep(time.Hour)
		if b.source.renewed() != 0 {
			t.Errorf("%d renewals of a message that was settled", b.source.renewed())
		}
		b.end()
	})
}

func TestDeliveryWithoutALock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(time.Second))
		b.source.queue <- &writeback.Delivery{MessageID: "a"}
		b.start(c)
		time.Sleep(2 * time.Second)
		if got := b.source.done(); len(got) != 1 {
			t.Errorf("settled %v, want a", got)
		}
		b.end()
	})
}

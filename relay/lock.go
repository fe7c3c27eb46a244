package relay

import (
	"context"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// renewTries is how often the renewal of a lock is tried, at most, in the time between the first try and the lock's end.
const renewTries = 4

// watchLock renews the lock of a delivery whenever it is about to run out, until the returned function is called.
func (l *Loop) watchLock(ctx context.Context, delivery *writeback.Delivery) (stop func()) {
	if delivery.LockedUntil == nil {
		return func() {}
	}
	// Cancelling the handlers does not end the watch: until they have returned, nobody else may get the message.
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { l.keepLocked(watching, delivery) })
	return func() {
		cancel()
		watch.Wait()
	}
}

func (l *Loop) keepLocked(ctx context.Context, delivery *writeback.Delivery) {
	margin := min(l.config.RenewBefore, time.Until(delivery.LockedUntil())/2)
	for ctx.Err() == nil {
		until := delivery.LockedUntil()
		if !time.Now().Before(until) {
			l.tally.lockLost()
			l.log.WithField("message_id", printable(delivery.MessageID)).Warn("relay: the lock on a message ran out while it was in hand")
			return
		}
		if pause := time.Until(until) - margin; pause > 0 {
			sleep(ctx.Done(), pause)
			continue
		}
		if err := l.renew(ctx, delivery); err != nil || !delivery.LockedUntil().After(until) {
			sleep(ctx.Done(), max(margin/renewTries, time.Millisecond))
		}
	}
}

func (l *Loop) renew(ctx context.Context, delivery *writeback.Delivery) error {
	limited, cancel := context.WithTimeout(ctx, l.config.SettleTimeout)
	defer cancel()
	err := l.config.Source.Renew(limited, delivery)
	if err != nil && ctx.Err() == nil {
		l.log.WithError(err).WithField("message_id", printable(delivery.MessageID)).Warn("relay: cannot renew the lock on a message")
	}
	return err
}

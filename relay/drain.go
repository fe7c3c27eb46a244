package relay

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// drain waits for the messages in hand: first for as long as they may take, then, with the handlers cancelled, a little longer.
func (l *Loop) drain(hands *sync.WaitGroup, cancelWork context.CancelFunc) error {
	l.tally.setIntake(IntakeDraining)
	done := make(chan struct{})
	go func() {
		hands.Wait()
		close(done)
	}()
	if within(done, l.config.Drain) {
		return nil
	}
	l.log.WithField("in_hand", l.tally.inHand()).Warn("relay: the drain time is over, cancelling what is still in hand")
	cancelWork()
	if within(done, l.config.CancelGrace) {
		return nil
	}
	return fmt.Errorf("%w: %d", ErrStillInHand, l.tally.inHand())
}

// within reports whether done was closed before the time was over.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// startPump starts sending results. The returned function lets the pump bring away what it can within the time given, and ends it.
func (l *Loop) startPump(ctx context.Context) (stop func(grace time.Duration)) {
	// Not the handlers' context: the results of handlers that were cancelled still have to leave.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	finish, done := make(chan struct{}), make(chan struct{})
	pump := newPump(l.config, l.tally)
	go func() {
		defer close(done)
		pump.run(sending, finish)
	}()
	return func(grace time.Duration) {
		close(finish)
		within(done, grace)
		cancel()
		<-done
	}
}

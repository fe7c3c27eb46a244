package relay

import (
	"context"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Waiting times after connection trouble: doubled each time, with jitter, so that many agents do not come back at once.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// steady is how long a receive must have blocked for the connection to count as good: after that the waiting begins small again,
// even on a queue so quiet that no message proved it.
const steady = time.Minute

func newBackOff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: firstRetry, MaxInterval: lastRetry, Multiplier: 2, RandomizationFactor: 0.5,
	}
}

// intake takes messages until ctx ends and starts a goroutine in hands for each. The handlers get the context working.
func (l *Loop) intake(ctx, working context.Context, hands *sync.WaitGroup) {
	retry := newBackOff()
	for {
		if l.slots.take(ctx) != nil {
			return
		}
		asked := time.Now()
		delivery, err := l.receive(ctx)
		if delivery != nil {
			retry.Reset()
			l.tally.received()
			hands.Go(func() { l.work(working, ctx.Done(), delivery) })
			continue
		}
		l.slots.release()
		if ctx.Err() != nil {
			return
		}
		if time.Since(asked) >= steady {
			retry.Reset()
		}
		l.backOff(ctx, retry.NextBackOff(), err)
	}
}

// receive asks the gate and then the source for one message.
func (l *Loop) receive(ctx context.Context) (*writeback.Delivery, error) {
	l.tally.setIntake(IntakeGateClosed)
	if err := l.config.Gate.Wait(ctx); err != nil {
		return nil, err
	}
	l.tally.setIntake(l.slots.state())
	return l.config.Source.Receive(ctx)
}

// backOff waits after a receive that brought nothing. err may be nil: the source had nothing to hand over.
func (l *Loop) backOff(ctx context.Context, pause time.Duration, err error) {
	if err != nil {
		l.tally.receiveFailed(err)
		l.log.WithError(err).WithField("retry_in", pause.String()).Warn("relay: cannot receive requests")
	}
	sleep(ctx.Done(), pause)
}

// sleep waits for the pause to pass or cut to be closed.
func sleep(cut <-chan struct{}, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-cut:
	case <-timer.C:
	}
}

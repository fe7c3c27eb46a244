package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"
)

// Errors of [Loop.Run].
var (
	// ErrAlreadyRun says that Run was called a second time; a Loop runs once.
	ErrAlreadyRun = errors.New("relay: the loop has been run before")
	// ErrStillInHand says that handlers did not return although their context was cancelled. Their messages stay locked until the
	// queue gives them to somebody else.
	ErrStillInHand = errors.New("relay: messages are still in hand")
)

// Loop receives requests, has them handled, settles them and sends the results. Make one with [New].
type Loop struct {
	config  Config
	log     logrus.FieldLogger
	slots   *slots
	samples *sampler
	tally   *tally
	started atomic.Bool
}

// New checks config and returns a Loop that waits to be run.
func New(config Config) (*Loop, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	return &Loop{
		config:  config,
		log:     config.Logger,
		slots:   newSlots(config.Concurrency),
		samples: &sampler{perHour: config.SamplesPerHour},
		tally:   newTally(),
	}, nil
}

// Run works until ctx ends, then drains: see the package comment. It returns nil when everything in hand was finished,
// [ErrStillInHand] when not.
func (l *Loop) Run(ctx context.Context) error {
	if !l.started.CompareAndSwap(false, true) {
		return ErrAlreadyRun
	}
	working, cancelWork := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelWork()
	stopPump := l.startPump(working)
	var purging sync.WaitGroup
	purging.Go(func() { l.purgeSamples(ctx) })

	var hands sync.WaitGroup
	l.intake(ctx, working, &hands)

	err := l.drain(&hands, cancelWork)
	stopPump(l.config.CancelGrace)
	purging.Wait()
	l.tally.setIntake(IntakeStopped)
	return err
}

// Stats returns what happened so far and what is going on at the moment.
func (l *Loop) Stats() Stats {
	stats := l.tally.snapshot()
	stats.Connected, stats.ConnectedSince = l.config.Source.Connected()
	return stats
}

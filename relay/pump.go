package relay

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// parcel is one result on its way. accepted is set once the queue has taken it, while the outbox may not know yet.
type parcel struct {
	writeback.PendingResult
	accepted bool
}

// landing is how one flight of a parcel ended.
type landing struct {
	parcel *parcel
	err    error
}

// pump sends the results of the outbox. One goroutine, run, owns all of its state; flights only report to it.
type pump struct {
	outbox  Outbox
	sender  Sender
	log     logrus.FieldLogger
	tally   *tally
	timeout time.Duration

	changed <-chan struct{}
	lanes   map[string]*lane // by results queue
	known   map[uint64]bool  // sequences in some lane or in flight, so that none is sent twice
	landed  chan landing
	flying  int
	reread  retryTime // of the outbox itself
}

func newPump(config Config, tally *tally) *pump {
	return &pump{
		outbox: config.Outbox, sender: config.Sender, log: config.Logger, tally: tally, timeout: config.SendTimeout,
		lanes: map[string]*lane{}, known: map[uint64]bool{}, landed: make(chan landing), reread: newRetryTime(),
	}
}

// run sends until ctx ends. Once finish is closed it only brings away what can go at once, then returns.
func (p *pump) run(ctx context.Context, finish <-chan struct{}) {
	defer p.recall()
	finishing := false
	p.read(ctx)
	for {
		p.launch(ctx)
		p.report()
		if finishing && p.flying == 0 {
			return
		}
		timer := time.NewTimer(p.untilRetry())
		select {
		case <-ctx.Done():
		case <-finish:
			finishing, finish = true, nil
			p.read(ctx)
		case <-p.changed:
			p.read(ctx)
		case end := <-p.landed:
			p.land(end)
		case <-timer.C:
			p.retryRead(ctx)
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// recall waits for what is in flight, so that nothing of the pump is left when run returns.
func (p *pump) recall() {
	for p.flying > 0 {
		p.land(<-p.landed)
	}
	p.report()
}

// read puts the outbox's new results into the lanes of their queues.
func (p *pump) read(ctx context.Context) {
	// Asked for before reading, so that a result added in between is not overlooked.
	p.changed = p.outbox.Changed()
	pending, err := p.outbox.Pending(ctx)
	if err != nil {
		p.reread.failed(time.Now())
		p.log.WithError(err).Error("relay: cannot read the outbox")
		return
	}
	p.reread.succeeded()
	for _, result := range pending {
		if !p.known[result.Sequence] {
			p.known[result.Sequence] = true
			p.lane(result.Queue).add(&parcel{PendingResult: result})
		}
	}
}

func (p *pump) retryRead(ctx context.Context) {
	if p.reread.due(time.Now()) {
		p.read(ctx)
	}
}

func (p *pump) lane(queue string) *lane {
	if p.lanes[queue] == nil {
		p.lanes[queue] = newLane()
	}
	return p.lanes[queue]
}

// launch starts a flight for every parcel whose lane lets it go now.
func (p *pump) launch(ctx context.Context) {
	now := time.Now()
	for _, lane := range p.lanes {
		for next := lane.next(now); next != nil; next = lane.next(now) {
			p.flying++
			go func() { p.landed <- landing{parcel: next, err: p.fly(ctx, next)} }()
		}
	}
}

// fly sends one parcel, unless that is no longer worth it, and tells the outbox.
func (p *pump) fly(ctx context.Context, parcel *parcel) error {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if !parcel.accepted && !time.Now().Before(parcel.Expires) {
		p.tally.resultExpired()
		p.log.WithFields(parcelFields(parcel)).Warn("relay: a result could not be sent in time and is given up")
		parcel.accepted = true
	}
	if !parcel.accepted {
		if err := p.sender.SendResult(limited, parcel.PendingResult); err != nil {
			return err
		}
		p.tally.resultSent()
		parcel.accepted = true
	}
	return p.outbox.Delivered(limited, parcel.Sequence)
}

// land notes how a flight ended: a parcel that did not arrive goes back into its lane.
func (p *pump) land(end landing) {
	p.flying--
	lane := p.lane(end.parcel.Queue)
	if end.err == nil {
		lane.arrived()
		delete(p.known, end.parcel.Sequence)
		return
	}
	pause := lane.returned(end.parcel, time.Now())
	p.tally.sendFailed(end.err)
	p.log.WithError(end.err).WithFields(parcelFields(end.parcel)).WithField("retry_in", pause.String()).Warn("relay: cannot send a result")
}

func parcelFields(parcel *parcel) logrus.Fields {
	return logrus.Fields{"queue": parcel.Queue, "request": parcel.Request.String(), "sequence": parcel.Sequence}
}

// untilRetry returns how long nothing needs to be done unless something happens.
func (p *pump) untilRetry() time.Duration {
	now := time.Now()
	pause := p.reread.pause(now)
	for _, lane := range p.lanes {
		// A lane with something in flight is looked at when that lands.
		if len(lane.waiting) > 0 && lane.flying == 0 {
			pause = min(pause, lane.retry.pause(now))
		}
	}
	return pause
}

// report brings the tally up to date.
func (p *pump) report() {
	pending := p.flying
	var failing []string
	for queue, lane := range p.lanes {
		pending += len(lane.waiting)
		if lane.retry.failing {
			failing = append(failing, queue)
		}
	}
	p.tally.outbox(pending, failing)
}

package relay_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay"
)

var errBroker = errors.New("the broker is gone")

// source is a requests queue in memory that notes what is done to its messages.
type source struct {
	queue    chan *writeback.Delivery
	failures chan error // each is returned by one Receive

	mu        sync.Mutex
	asked     []time.Time // when Receive was called
	receiving int
	overlap   bool
	actions   []string // "complete a", in order
	reasons   map[string]string
	renewals  int
	renewErr  error
	settleErr error
	settling  chan struct{} // not nil: settlements wait until it is closed
	purges    []time.Time   // the ages asked for
	purgeErr  error
}

func newSource() *source {
	return &source{queue: make(chan *writeback.Delivery, 1000), failures: make(chan error, 1000), reasons: map[string]string{}}
}

func (s *source) Receive(ctx context.Context) (*writeback.Delivery, error) {
	s.note(func() {
		s.asked = append(s.asked, time.Now())
		s.receiving++
		s.overlap = s.overlap || s.receiving > 1
	})
	defer s.note(func() { s.receiving-- })
	select {
	case err := <-s.failures:
		return nil, err
	default:
	}
	select {
	case err := <-s.failures:
		return nil, err
	case delivery := <-s.queue:
		return delivery, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *source) Complete(ctx context.Context, d *writeback.Delivery) error {
	return s.settle(ctx, "complete", d)
}

func (s *source) Abandon(ctx context.Context, d *writeback.Delivery) error {
	return s.settle(ctx, "abandon", d)
}

func (s *source) DeadLetter(ctx context.Context, d *writeback.Delivery, reason, description string) error {
	s.note(func() { s.reasons[reason] = description })
	return s.settle(ctx, "deadletter", d)
}

func (s *source) settle(ctx context.Context, action string, d *writeback.Delivery) error {
	if s.settling != nil {
		select {
		case <-s.settling:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions = append(s.actions, action+" "+d.MessageID)
	return s.settleErr
}

func (s *source) Renew(_ context.Context, d *writeback.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewals++
	if s.renewErr == nil {
		d.Handle.(*lock).prolong()
	}
	return s.renewErr
}

func (s *source) PurgeSamples(_ context.Context, olderThan time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purges = append(s.purges, olderThan)
	return len(s.purges), s.purgeErr
}

func (s *source) Connected() (bool, time.Time) { return true, time.Unix(1, 0) }

func (s *source) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *source) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.actions)
}

func (s *source) receives() int { return len(s.askedAt()) }

func (s *source) askedAt() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *source) purgedAt() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.purges)
}

func (s *source) renewed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewals
}

// lock is the lock of one message, on the fake clock.
type lock struct {
	mu    sync.Mutex
	span  time.Duration
	until time.Time
}

func (l *lock) prolong() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(l.span)
}

func (l *lock) lockedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// put adds a message that is locked for span from now on.
func (s *source) put(id string, span time.Duration) *writeback.Delivery {
	held := &lock{span: span, until: time.Now().Add(span)}
	delivery := &writeback.Delivery{MessageID: id, Body: []byte("payload of " + id), Count: 1, LockedUntil: held.lockedUntil, Handle: held}
	s.queue <- delivery
	return delivery
}

// handlerFunc is a relay.Handler.
type handlerFunc func(ctx context.Context, d *writeback.Delivery) writeback.Disposition

func (f handlerFunc) Handle(ctx context.Context, d *writeback.Delivery) writeback.Disposition {
	return f(ctx, d)
}

func completed() writeback.Disposition {
	return writeback.Disposition{Reason: writeback.ReasonOK, Settlement: writeback.Complete}
}

// outbox is a relay.Outbox in memory.
type outbox struct {
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]writeback.PendingResult
	changed chan struct{}
	readErr error
	markErr error
}

func newOutbox() *outbox {
	return &outbox{waiting: map[uint64]writeback.PendingResult{}, changed: make(chan struct{}, 1)}
}

func (o *outbox) put(queue, id string, life time.Duration) {
	o.putSilently(queue, id, life)
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// putSilently adds a result and gives no sign of it.
func (o *outbox) putSilently(queue, id string, life time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	o.waiting[o.next] = writeback.PendingResult{
		Sequence: o.next, Queue: queue, MessageID: id, Expires: time.Now().Add(life), Request: writeback.RequestKey{Issuer: "portal", ID: id},
	}
}

func (o *outbox) Pending(context.Context) ([]writeback.PendingResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.readErr != nil {
		return nil, o.readErr
	}
	var all []writeback.PendingResult
	for _, sequence := range slices.Sorted(maps.Keys(o.waiting)) {
		all = append(all, o.waiting[sequence])
	}
	return all, nil
}

func (o *outbox) Delivered(_ context.Context, sequence uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.markErr != nil {
		return o.markErr
	}
	delete(o.waiting, sequence)
	return nil
}

func (o *outbox) Changed() <-chan struct{} { return o.changed }

func (o *outbox) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// sender is a relay.Sender that notes what it accepted; refuse decides what it does not.
type sender struct {
	mu     sync.Mutex
	sent   []string
	tries  map[string][]time.Time
	refuse func(r writeback.PendingResult) error
}

func newSender() *sender { return &sender{tries: map[string][]time.Time{}} }

func (s *sender) SendResult(ctx context.Context, r writeback.PendingResult) error {
	s.mu.Lock()
	s.tries[r.Queue] = append(s.tries[r.Queue], time.Now())
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil {
		if err := refuse(r); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, r.MessageID)
	return nil
}

func (s *sender) refuseWith(refuse func(r writeback.PendingResult) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *sender) accepted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

func (s *sender) attempts(queue string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries[queue])
}

// gate is a relay.Gate that starts open.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
}

func (g *gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bench is a Loop with fakes on all sides, inside a synctest bubble.
type bench struct {
	t      *testing.T
	source *source
	sender *sender
	outbox *outbox
	gate   *gate
	logs   *logtest.Hook
	loop   *relay.Loop
	stop   context.CancelFunc
	result chan error
}

// config returns a valid configuration of fresh fakes, and the bench that holds them.
func config(t *testing.T, handler handlerFunc) (*bench, relay.Config) {
	logger, logs := logtest.NewNullLogger()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.DebugLevel)
	b := &bench{t: t, source: newSource(), sender: newSender(), outbox: newOutbox(), gate: newGate(), logs: logs, result: make(chan error, 1)}
	return b, relay.Config{Source: b.source, Sender: b.sender, Handler: handler, Outbox: b.outbox, Gate: b.gate, Logger: logger}
}

// start runs the loop of c.
func (b *bench) start(c relay.Config) {
	b.t.Helper()
	loop, err := relay.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.loop, b.stop = loop, cancel
	go func() { b.result <- loop.Run(ctx) }()
	synctest.Wait()
}

// end stops the loop and expects Run to return without an error.
func (b *bench) end() {
	b.t.Helper()
	b.stop()
	if err := <-b.result; err != nil {
		b.t.Errorf("Run returned %v, want nil", err)
	}
}

// told returns the last log entry of a level.
func (b *bench) told(level logrus.Level) *logrus.Entry {
	b.t.Helper()
	for _, entry := range slices.Backward(b.logs.AllEntries()) {
		if entry.Level == level {
			return entry
		}
	}
	b.t.Fatalf("nothing was logged as %s", level)
	return nil
}

// bubble runs a test with a fake clock.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

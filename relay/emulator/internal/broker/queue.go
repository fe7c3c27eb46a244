package broker

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Errors of the operations. The caller turns them into the answer of its protocol.
var (
	// ErrLockLost means that the message is not locked under this token: expired, settled, or never was.
	ErrLockLost = errors.New("the lock supplied is invalid: it expired, or the message was already removed from the queue")
	// ErrSessionRequired refuses a consumer without a session on a queue that requires sessions.
	ErrSessionRequired = errors.New("it is not possible for an entity that requires sessions to create a non-sessionful message receiver")
	// ErrNoSessions refuses a session on a queue without sessions.
	ErrNoSessions = errors.New("a sessionful message receiver cannot be created on an entity that does not require sessions")
	// ErrSessionLocked means that another consumer holds the session.
	ErrSessionLocked = errors.New("the requested session cannot be accepted: it is locked by another receiver")
	// ErrSessionLockLost means that nobody holds the session, or no longer.
	ErrSessionLockLost = errors.New("the session lock has expired")
	// ErrSessionIDMissing refuses a message without a session id on a queue that requires sessions.
	ErrSessionIDMissing = errors.New("the SessionId was not set on a message, and it cannot be sent to an entity that requires sessions")
	// ErrTimeout means that no session became free in time.
	ErrTimeout = errors.New("no session with messages became available in time")
	// ErrNotFound means that a sequence number names no message in the state asked for.
	ErrNotFound = errors.New("the message was not found")
	// ErrClosed means that the queue is no longer there.
	ErrClosed = errors.New("the messaging entity could not be found: it was removed")
	// ErrNotAllowed refuses an operation that the kind of queue rules out.
	ErrNotAllowed = errors.New("the operation is not allowed on this entity")
)

// Settings describe a queue. Zero durations switch the feature off, except that LockDuration must be set.
type Settings struct {
	Name               string
	RequiresSession    bool
	LockDuration       time.Duration
	DefaultTTL         time.Duration
	DuplicateWindow    time.Duration
	MaxDeliveryCount   int
	DeadLetterOnExpiry bool
}

// Queue is a queue or a dead-letter queue. Its methods may be called from any goroutine.
type Queue struct {
	set Settings
	now func() time.Time
	// dlq is nil for a dead-letter queue. Locks are taken from the queue to its dead-letter queue, never back.
	dlq *Queue

	mu      sync.Mutex
	closed  bool
	alarms  alarms
	timer   *time.Timer
	armed   time.Time
	nextSeq int64
	log     journal
	locked  map[amqp.UUID]*entry
	lanes   map[string]*lane
	idle    *list.List // lanes with messages that nobody holds, oldest first
	waiters *list.List // consumers waiting for any session, oldest first
	seen    duplicates
	totals  Counts

	// What the log must be told when the operation ends; see record.go.
	out     Log
	touched []*entry
	notes   []byte
}

// New makes a queue and its dead-letter queue. now is the clock by which locks and messages expire.
func New(s Settings, now func() time.Time) *Queue {
	q := bare(s, now)
	q.dlq = bare(Settings{Name: s.Name, LockDuration: s.LockDuration}, now)
	return q
}

func bare(s Settings, now func() time.Time) *Queue {
	q := &Queue{
		set: s, now: now, nextSeq: 1,
		locked: map[amqp.UUID]*entry{}, lanes: map[string]*lane{},
		idle: list.New(), waiters: list.New(),
		seen: duplicates{window: s.DuplicateWindow, at: map[any]time.Time{}},
	}
	if !s.RequiresSession {
		q.lanes[""] = newLane("")
	}
	return q
}

// Settings returns how the queue is set.
func (q *Queue) Settings() Settings {
	q.lock()
	defer q.unlock()
	return q.set
}

// Set changes the settings. Messages that are there keep their locks and times to live. Name and RequiresSession cannot
// be changed.
func (q *Queue) Set(s Settings) error {
	q.lock()
	defer q.unlock()
	if s.Name != q.set.Name || s.RequiresSession != q.set.RequiresSession || q.dlq == nil {
		return ErrNotAllowed
	}
	q.set, q.seen.window = s, s.DuplicateWindow
	q.dlq.lock()
	defer q.dlq.unlock()
	q.dlq.set.LockDuration = s.LockDuration
	return nil
}

// DeadLetter is the dead-letter queue, nil for a dead-letter queue.
func (q *Queue) DeadLetter() *Queue { return q.dlq }

// Close stops the timers and takes no more messages. Those there are stay readable.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	if q.dlq != nil {
		q.dlq.Close()
	}
}

// Send stores the messages, all or none, and returns their sequence numbers. A message whose
// x-opt-scheduled-enqueue-time lies ahead waits for it. A duplicate within the window is dropped silently; its number
// is 0.
func (q *Queue) Send(msgs []*amqp.Message) ([]int64, error) {
	q.lock()
	defer q.unlock()
	switch {
	case q.closed:
		return nil, ErrClosed
	case q.dlq == nil:
		return nil, ErrNotAllowed
	}
	for _, m := range msgs {
		if q.set.RequiresSession && m.GroupID() == "" {
			return nil, ErrSessionIDMissing
		}
	}
	seqs := make([]int64, 0, len(msgs))
	for _, m := range msgs {
		seqs = append(seqs, q.accept(m))
	}
	return seqs, q.flush()
}

func (q *Queue) accept(m *amqp.Message) int64 {
	now := q.now()
	if q.seen.repeated(m.MessageID(), now) {
		q.totals.Duplicates++
		return 0
	}
	if id := m.MessageID(); q.seen.window > 0 && id != nil {
		_ = q.note(seenRecord(id, now), nil) // ids are of types that can be written
	}
	e := q.store(m)
	if at, ok := amqp.Lookup[amqp.Timestamp](m.Annotations, annScheduled); ok && at.Time().After(now) {
		e.state, e.enqueued = Scheduled, at.Time()
		q.wake(e, e.enqueued)
	} else {
		q.enqueue(e, now)
	}
	return e.seq
}

// store makes an entry and puts it in the journal and its lane.
func (q *Queue) store(m *amqp.Message) *entry {
	id := ""
	if q.set.RequiresSession {
		id = m.GroupID()
	}
	e := &entry{msg: m, seq: q.nextSeq, lane: q.lane(id)}
	q.nextSeq++
	q.log.add(e)
	e.lane.messages++
	q.touch(e)
	return e
}

// enqueue makes a stored entry visible for the first time and starts its time to live.
func (q *Queue) enqueue(e *entry, now time.Time) {
	e.enqueued = now
	if ttl, ok := q.ttl(e.msg); ok {
		e.expires = now.Add(ttl)
	}
	q.ready(e, now)
}

// ttl is the shorter of the message's own and the queue's default.
func (q *Queue) ttl(m *amqp.Message) (time.Duration, bool) {
	ttl, ok := q.set.DefaultTTL, q.set.DefaultTTL > 0
	if m.Header.TTL != nil {
		if own := time.Duration(*m.Header.TTL) * time.Millisecond; !ok || own < ttl {
			ttl, ok = own, true
		}
	}
	return ttl, ok
}

// Cancel removes scheduled messages, all or none.
func (q *Queue) Cancel(seqs []int64) error {
	q.lock()
	defer q.unlock()
	found := make([]*entry, 0, len(seqs))
	for _, seq := range seqs {
		e := q.log.find(seq)
		if e == nil || e.state != Scheduled {
			return ErrNotFound
		}
		found = append(found, e)
	}
	for _, e := range found {
		q.remove(e)
	}
	return q.flush()
}

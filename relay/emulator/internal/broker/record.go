package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Log takes records of what happens in a queue, so that a History can bring the queue back. Append is called with the
// queue locked; what it is given it must not keep. What it was given at once belongs together.
//
// When an operation that changes something returns without an error, its records have been taken. When Append fails, the
// operation returns that error although it has taken effect in memory: whoever asked must take it for undone, and may find
// later that it was not.
type Log interface {
	Append(record []byte) error
}

// Kinds of records. A record is a list, its kind first.
const (
	recordMessage uint8 = iota + 1 // where a message stands, and the message
	recordState                    // where a message stands
	recordGone                     // a message is no longer there
	recordNext                     // the next sequence number
	recordSeen                     // a message id, for duplicate detection
	recordSession                  // a session's state
)

// touch notes that e is not as the log knows it.
func (q *Queue) touch(e *entry) {
	if q.out != nil && !e.touched {
		e.touched = true
		q.touched = append(q.touched, e)
	}
}

// flush hands the log what has changed.
func (q *Queue) flush() error {
	if q.out == nil {
		return nil
	}
	var faults []error
	for _, e := range q.touched {
		if e.touched = false; !e.logged && e.state == gone {
			continue // came and went
		}
		faults = append(faults, q.note(q.record(e)))
		e.logged, e.changed = true, false
	}
	q.touched = q.touched[:0]
	if len(q.notes) > 0 {
		faults = append(faults, q.out.Append(q.notes))
		q.notes = nil
	}
	return errors.Join(faults...)
}

// note adds a record to what flush hands over.
func (q *Queue) note(record amqp.List, err error) error {
	if q.out == nil || err != nil {
		return err
	}
	notes, err := amqp.Append(q.notes, record)
	if err == nil {
		q.notes = notes
	}
	return err
}

// record is where e stands. The message goes with it only if the log does not have it yet.
func (q *Queue) record(e *entry) (amqp.List, error) {
	dead := q.dlq == nil
	switch {
	case e.state == gone:
		return goneRecord(dead, e.seq), nil
	case e.logged && !e.changed:
		return append(amqp.List{recordState, dead}, e.standing()...), nil
	}
	msg, err := e.msg.Append(nil)
	return append(append(amqp.List{recordMessage, dead}, e.standing()...), e.source, msg), err
}

func goneRecord(dead bool, seq int64) amqp.List { return amqp.List{recordGone, dead, seq} }

func (e *entry) standing() amqp.List {
	return amqp.List{e.seq, int32(e.state), e.deferred, e.failures, stamp(e.enqueued), stamp(e.expires)}
}

// stamp is a moment in a record, null for none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return amqp.TimestampOf(t)
}

// Snapshot writes records that stand for all the queue and its dead-letter queue hold.
func (q *Queue) Snapshot(write func(record []byte) error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	put := func(record amqp.List, err error) error {
		if err != nil {
			return err
		}
		b, err := amqp.Append(nil, record)
		if err != nil {
			return err
		}
		return write(b)
	}
	if q.dlq != nil {
		if err := q.dlq.Snapshot(write); err != nil {
			return err
		}
	}
	if err := put(amqp.List{recordNext, q.dlq == nil, q.nextSeq}, nil); err != nil {
		return err
	}
	for _, e := range q.log.entries {
		if e.state == gone {
			continue
		}
		e.logged = false // not in this log
		if err := put(q.record(e)); err != nil {
			return err
		}
		e.logged = true
	}
	return q.snapshotRest(put)
}

// snapshotRest writes what is not messages.
func (q *Queue) snapshotRest(put func(amqp.List, error) error) error {
	for _, id := range q.seen.order {
		if err := put(seenRecord(id, q.seen.at[id]), nil); err != nil {
			return err
		}
	}
	for _, l := range q.lanes {
		if l.state == nil {
			continue
		}
		if err := put(sessionRecord(l), nil); err != nil {
			return err
		}
	}
	return nil
}

func seenRecord(id any, at time.Time) amqp.List {
	if b, ok := id.(binaryID); ok {
		id = []byte(b)
	}
	return amqp.List{recordSeen, id, amqp.TimestampOf(at)}
}

func sessionRecord(l *lane) amqp.List {
	var state any
	if l.state != nil {
		state = l.state
	}
	return amqp.List{recordSession, l.id, state, amqp.TimestampOf(l.updated)}
}

// Start begins to keep the queue in a log, which must know all of it: either it is empty and so is the queue, or it holds
// a Snapshot. It also sets the timers of a queue that a History made.
func (q *Queue) Start(out Log) {
	q.mu.Lock()
	q.out = out
	q.dlq.mu.Lock()
	q.dlq.out = out
	q.dlq.mu.Unlock()
	q.mu.Unlock()
	for _, each := range []*Queue{q, q.dlq} {
		each.lock()
		each.unlock()
	}
}

// ErrRecord is wrapped by what History.Record returns.
var ErrRecord = errors.New("not a record of a queue")

func badRecord(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRecord, fmt.Sprintf(format, args...))
}

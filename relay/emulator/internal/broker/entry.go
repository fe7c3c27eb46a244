package broker

import (
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// State is where a message stands.
type State int

// States of a message. The first three have the numbers of the x-opt-message-state annotation.
const (
	Active State = iota
	Deferred
	Scheduled
	locked
	gone
)

// entry is one stored message.
type entry struct {
	alarm
	seq      int64
	msg      *amqp.Message
	lane     *lane
	state    State
	deferred bool // locked after having been deferred: giving it back defers it again
	touched  bool // not as the log knows it
	logged   bool // the log has the message,
	changed  bool // but as it was before
	failures uint32
	enqueued time.Time
	expires  time.Time // zero: never
	source   string
	token    amqp.UUID
	until    time.Time
	original int64 // of a copy: the sequence number of the message it repeats
	place    int   // position in the lane's heap plus one
}

// due follows from the state: a visible message's time to live is over, a lock has expired, or a scheduled
// message's time has come.
func (e *entry) due(q *Queue, now time.Time) {
	switch e.state {
	case Active:
		q.expire(e)
	case Scheduled:
		q.enqueue(e, now)
	case locked:
		q.giveBack(e, true)
	}
}

// ready makes e visible: at its place by sequence number, so that an abandoned message does not lose its turn.
func (q *Queue) ready(e *entry, now time.Time) {
	q.touch(e)
	e.state = Active
	if !e.expires.IsZero() && !e.expires.After(now) {
		q.expire(e)
		return
	}
	if e.expires.IsZero() {
		q.silence(e)
	} else {
		q.wake(e, e.expires)
	}
	e.lane.push(e)
	e.lane.dispatch(q)
}

// take locks e for a consumer and describes it.
func (q *Queue) take(e *entry) Delivery {
	q.touch(e)
	e.deferred = e.state == Deferred
	e.state = locked
	e.token = newToken()
	q.locked[e.token] = e
	if q.set.RequiresSession {
		e.until = e.lane.until
		e.lane.locked[e] = struct{}{}
		q.silence(e)
	} else {
		e.until = q.now().Add(q.set.LockDuration)
		q.wake(e, e.until)
	}
	return q.describe(e)
}

// unlockEntry forgets the lock of e.
func (q *Queue) unlockEntry(e *entry) {
	delete(q.locked, e.token)
	delete(e.lane.locked, e)
	e.token, e.until = amqp.UUID{}, time.Time{}
}

// giveBack ends a lock without a result. A failed attempt counts, except in the dead-letter queue, where nothing
// is behind the last one.
func (q *Queue) giveBack(e *entry, failed bool) {
	q.touch(e)
	q.unlockEntry(e)
	if failed && q.dlq != nil {
		e.failures++
		if q.set.MaxDeliveryCount > 0 && int(e.failures) >= q.set.MaxDeliveryCount {
			q.bury(e, "MaxDeliveryCountExceeded", "Message could not be consumed after the maximum number of delivery attempts.")
			return
		}
	}
	if e.deferred {
		e.state = Deferred
		q.silence(e)
		return
	}
	q.ready(e, q.now())
}

// expire ends a message whose time to live is over.
func (q *Queue) expire(e *entry) {
	q.totals.Expired++
	if q.set.DeadLetterOnExpiry && q.dlq != nil {
		q.bury(e, "TTLExpiredException", "The message expired and was dead lettered.")
		return
	}
	q.remove(e)
}

// bury moves e to the dead-letter queue.
func (q *Queue) bury(e *entry, reason, description string) {
	m := *e.msg
	if reason != "" {
		m.ApplicationProperties = m.ApplicationProperties.With(PropertyReason, reason)
	}
	if description != "" {
		m.ApplicationProperties = m.ApplicationProperties.With(PropertyDescription, description)
	}
	q.remove(e)
	q.dlq.inter(&m, e, q.set.Name)
}

// inter receives a dead message, which was from. It keeps its history but not its time to live: nothing expires here.
// The log is told of both places at once, or a message could be in two, or in none.
func (q *Queue) inter(m *amqp.Message, from *entry, source string) {
	q.lock()
	defer q.unlock()
	if from.logged {
		_ = q.note(goneRecord(false, from.seq), nil) // always of types that can be written
	}
	e := q.store(m)
	e.failures, e.enqueued, e.source = from.failures, from.enqueued, source
	q.ready(e, q.now())
}

// remove takes e out of everything.
func (q *Queue) remove(e *entry) {
	if e.state == locked {
		q.unlockEntry(e)
	}
	q.touch(e)
	q.silence(e)
	e.lane.pull(e)
	e.lane.messages--
	e.state = gone
	q.log.drop()
	q.tidy(e.lane)
}

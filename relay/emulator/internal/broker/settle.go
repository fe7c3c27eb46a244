package broker

import (
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Kind is what happens to a locked message.
type Kind int

// Kinds of settlement.
const (
	// Complete removes the message: it is done.
	Complete Kind = iota
	// Abandon makes it visible again and counts a failed attempt.
	Abandon
	// Release makes it visible again as if it had never been handed out.
	Release
	// Defer sets it aside, to be had by sequence number only.
	Defer
	// DeadLetter moves it to the dead-letter queue.
	DeadLetter
)

// Application properties by which a dead-lettered message tells why it is there.
const (
	PropertyReason      = "DeadLetterReason"
	PropertyDescription = "DeadLetterErrorDescription"
)

// Outcome is a settlement. Modify are application properties to set on the message, except for Complete. Reason and
// Description are for DeadLetter and may be empty.
type Outcome struct {
	Kind                Kind
	Modify              amqp.Map
	Reason, Description string
}

// Settle ends the lock with this token.
func (q *Queue) Settle(token amqp.UUID, o Outcome) error {
	q.lock()
	defer q.unlock()
	e := q.locked[token]
	if e == nil {
		return ErrLockLost
	}
	if o.Kind == DeadLetter && q.dlq == nil {
		return ErrNotAllowed
	}
	if len(o.Modify) > 0 && o.Kind != Complete {
		e.msg, e.changed = modified(e.msg, o.Modify), true
	}
	q.apply(e, o)
	return q.flush()
}

func (q *Queue) apply(e *entry, o Outcome) {
	switch o.Kind {
	case Complete:
		q.totals.Completed++
		q.remove(e)
	case Abandon:
		q.giveBack(e, true)
	case Release:
		q.giveBack(e, false)
	case Defer:
		e.deferred = true
		q.giveBack(e, false)
	case DeadLetter:
		q.bury(e, o.Reason, o.Description)
	}
}

// modified is a copy of m with more application properties. Keys that are no text are left out: application
// properties have string keys.
func modified(m *amqp.Message, props amqp.Map) *amqp.Message {
	c := *m
	for _, p := range props {
		switch k := p.Key.(type) {
		case string:
			c.ApplicationProperties = c.ApplicationProperties.With(k, p.Value)
		case amqp.Symbol:
			c.ApplicationProperties = c.ApplicationProperties.With(string(k), p.Value)
		}
	}
	return &c
}

// Renew extends a message's lock by the queue's lock duration. Messages of a session are locked by their session.
func (q *Queue) Renew(token amqp.UUID) (time.Time, error) {
	q.lock()
	defer q.unlock()
	if q.set.RequiresSession {
		return time.Time{}, ErrNotAllowed
	}
	e := q.locked[token]
	if e == nil {
		return time.Time{}, ErrLockLost
	}
	e.until = q.now().Add(q.set.LockDuration)
	q.wake(e, e.until)
	return e.until, nil
}

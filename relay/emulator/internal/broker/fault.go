package broker

import (
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Repeat prepares to hand out a locked message once more, as a broker with a fault would: the function it returns stores
// a copy that looks the same, sequence number included, whatever has become of the message in the meantime. The copy
// passes duplicate detection. Of what is not locked, or is a copy itself, there are no copies: the function does nothing.
func (q *Queue) Repeat(token amqp.UUID) (again func()) {
	q.lock()
	defer q.unlock()
	e := q.locked[token]
	if e == nil || e.original != 0 {
		return func() {}
	}
	was := *e // what follows from being stored is made anew; only the message and its history are taken over
	return func() {
		q.lock()
		defer q.unlock()
		c := q.store(was.msg)
		c.original, c.failures, c.enqueued, c.expires, c.source = was.seq, was.failures, was.enqueued, was.expires, was.source
		q.ready(c, q.now())
	}
}

// ClockMoved looks at all times anew, here and in the dead-letter queue, after the clock was set.
func (q *Queue) ClockMoved() {
	q.lock()
	q.armed = time.Time{} // so that unlock sets the timer
	q.unlock()
	if q.dlq != nil {
		q.dlq.ClockMoved()
	}
}

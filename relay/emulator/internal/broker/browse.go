package broker

import "github.com/password-writeback/writeback/relay/emulator/internal/amqp"

// Counts are the messages of a queue: how many there are now, and how many came to which end since it was made.
type Counts struct {
	// Active are visible to receivers.
	Active int
	// Locked are in some receiver's hands.
	Locked int
	// Deferred were set aside.
	Deferred int
	// Scheduled wait for their time.
	Scheduled int
	// DeadLettered are in the dead-letter queue now, in whatever state.
	DeadLettered int
	// Completed, Expired and Duplicates were removed so far: done, out of time, dropped by duplicate detection.
	Completed, Expired, Duplicates int
}

// Counts counts. It walks the journal: for tests and displays.
func (q *Queue) Counts() Counts {
	q.lock()
	defer q.unlock()
	c := q.totals
	for _, e := range q.log.entries {
		switch e.state {
		case Active:
			c.Active++
		case locked:
			c.Locked++
		case Deferred:
			c.Deferred++
		case Scheduled:
			c.Scheduled++
		}
	}
	if q.dlq != nil {
		c.DeadLettered = q.dlq.size()
	}
	return c
}

func (q *Queue) size() int {
	q.lock()
	defer q.unlock()
	return len(q.log.entries) - q.log.gaps
}

// Bytes is how much the bodies of the messages take. Like Counts it walks the journal.
func (q *Queue) Bytes() int64 {
	q.lock()
	defer q.unlock()
	var n int64
	for _, e := range q.log.entries {
		if e.state != gone {
			n += int64(len(e.msg.Body))
		}
	}
	return n
}

// Peek looks at up to limit messages from a sequence number on, in any state, without touching them. session
// narrows it to one session unless it is nil.
func (q *Queue) Peek(from int64, limit int, session *string) []Delivery {
	q.lock()
	defer q.unlock()
	var out []Delivery
	for _, e := range q.log.from(from) {
		if len(out) >= limit {
			break
		}
		if e.state != gone && (session == nil || e.lane.id == *session) {
			out = append(out, e.snapshot())
		}
	}
	return out
}

// TakeDeferred locks deferred messages by sequence number, all or none. On a queue with sessions they must belong
// to a session that is held.
func (q *Queue) TakeDeferred(seqs []int64) ([]Delivery, error) {
	q.lock()
	defer q.unlock()
	found := make([]*entry, 0, len(seqs))
	chosen := map[int64]bool{}
	for _, seq := range seqs {
		e := q.log.find(seq)
		if e == nil || e.state != Deferred || chosen[seq] {
			return nil, ErrNotFound
		}
		if q.set.RequiresSession && e.lane.holder == nil {
			return nil, ErrSessionLockLost
		}
		chosen[seq] = true
		found = append(found, e)
	}
	out := make([]Delivery, 0, len(found))
	for _, e := range found {
		out = append(out, q.take(e))
	}
	return out, nil
}

// MessageID gives m a random message-id unless it has one: receivers rely on there being one.
func MessageID(m *amqp.Message) {
	if m.MessageID() == nil {
		m.SetMessageID(newToken().String())
	}
}

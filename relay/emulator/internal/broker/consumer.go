package broker

import "time"

// Sink takes note of what a queue hands out. Its methods are called with the queue locked: they must not block and
// must not call the queue.
type Sink interface {
	// Deliver hands over a locked message.
	Deliver(Delivery)
	// Lost says that the consumer's session lock has expired; it gets nothing more.
	Lost()
}

// Consumer takes messages from a queue, or from one session of it.
type Consumer struct {
	q        *Queue
	lane     *lane
	sink     Sink
	assigned uint64
	limit    uint64
	queued   bool
	closed   bool
}

// Consume adds a consumer to a queue without sessions. It gets nothing before Allow.
func (q *Queue) Consume(s Sink) (*Consumer, error) {
	q.lock()
	defer q.unlock()
	if q.set.RequiresSession {
		return nil, ErrSessionRequired
	}
	return &Consumer{q: q, lane: q.lanes[""], sink: s}, nil
}

// Allow lets the consumer have limit messages in total since it was made. Lowering the limit does not take back what
// was already handed over.
func (c *Consumer) Allow(limit uint64) {
	c.q.lock()
	defer c.q.unlock()
	if c.closed {
		return
	}
	c.limit = limit
	c.enlist()
	c.lane.dispatch(c.q)
}

func (c *Consumer) enlist() {
	if !c.queued && !c.closed && c.assigned < c.limit {
		c.queued = true
		c.lane.waiting = append(c.lane.waiting, c)
	}
}

// Close ends the consumer. Without sessions, the locks of what it holds run on until they expire. With sessions the
// session is free at once and its locked messages are visible again; that is no failed attempt.
func (c *Consumer) Close() {
	c.q.lock()
	defer c.q.unlock()
	if c.closed {
		return
	}
	c.end(false)
}

// end stops the consumer and frees its session.
func (c *Consumer) end(failed bool) {
	c.closed = true
	for i, w := range c.lane.waiting {
		if w == c {
			c.lane.waiting = append(c.lane.waiting[:i:i], c.lane.waiting[i+1:]...)
			break
		}
	}
	if c.q.set.RequiresSession {
		c.q.free(c.lane, failed)
	}
}

// SessionID is the id of the session held, "" on a queue without sessions.
func (c *Consumer) SessionID() string { return c.lane.id }

// LockedUntil is when the session's lock expires.
func (c *Consumer) LockedUntil() time.Time {
	c.q.lock()
	defer c.q.unlock()
	return c.lane.until
}

package emulator

import (
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// faultSwitch holds the function that makes faults, which may change at any moment.
type faultSwitch struct{ atomic.Pointer[FaultFunc] }

// SetFaults replaces Config.Fault from now on; nil ends all faults. Operations under way keep theirs.
func (s *Server) SetFaults(f FaultFunc) { s.faults.Store(&f) }

// fault asks for a fault; a connection to be cut before the operation is cut here.
func (c *conn) fault(e Event) Fault {
	ask := c.srv.faults.Load()
	if ask == nil || *ask == nil || c.silent {
		return Fault{}
	}
	f := (*ask)(c.ctx, e)
	if f.Drop == DropBefore {
		f.cut(c)
	}
	return f
}

// cut ends the connection, or its side of the conversation, if the fault wants that.
func (f Fault) cut(c *conn) {
	switch {
	case f.Drop == DropNone:
	case f.Silent:
		c.silent = true
		c.trace.Silent()
	default:
		c.cancel()
	}
}

// refusal is the error the fault answers with, nil for none.
func (f Fault) refusal() *amqp.Error {
	if f.Condition == "" {
		return nil
	}
	return &amqp.Error{Condition: amqp.Symbol(f.Condition), Description: f.Description}
}

// repeat prepares the copies of a locked message that the fault asks for; the function it returns stores them.
func (f Fault) repeat(q *broker.Queue, token amqp.UUID) func() {
	again := func() {}
	if f.Again > 0 {
		again = q.Repeat(token)
	}
	return func() {
		for range f.Again {
			again()
		}
	}
}

// faultAttach asks for a fault to a link to a queue. After a cut nobody sees the answer, so only the effect matters.
func (c *conn) faultAttach(n node, receiver bool) *amqp.Error {
	f := c.fault(Event{Op: OpAttach, Queue: n.name, Receiver: receiver})
	switch f.Drop {
	case DropBefore:
		return amqp.Errorf("amqp:connection:forced", "the connection was cut")
	case DropAfter:
		f.cut(c)
	}
	return f.refusal()
}

// faultDeliver asks for a fault to a message that is about to leave, and says whether it stays here.
func (l *outLink) faultDeliver(token amqp.UUID) (stays bool) {
	f := l.sess.conn.fault(Event{Op: OpDeliver, Queue: l.node.name})
	f.repeat(l.node.broker, token)()
	refusal := f.refusal()
	switch {
	case f.Drop == DropBefore:
		l.close() // first, or the message would come back to it
		l.giveBack(token)
	case refusal != nil:
		l.sess.detachWith(l, refusal)
		l.giveBack(token)
	case f.Drop == DropAfter:
		if l.settled {
			_ = l.node.broker.Settle(token, broker.Outcome{Kind: broker.Complete})
		}
		f.cut(l.sess.conn)
	default:
		return false
	}
	return true
}

// clock is the service's clock with an error that can be set.
type clock struct {
	base func() time.Time
	skew atomic.Int64
}

func (c *clock) now() time.Time { return c.base().Add(time.Duration(c.skew.Load())) }

// SetClockSkew makes the service's clock wrong by d: ahead, or, when negative, behind. Locks and messages that are over
// by the new time end at once. Tokens of connections that are open already are looked at again when they would have
// expired by the old time.
func (s *Server) SetClockSkew(d time.Duration) {
	s.clock.skew.Store(int64(d))
	for _, e := range s.queues.all() {
		e.broker.ClockMoved()
	}
}

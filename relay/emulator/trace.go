package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/trace"
)

// traceFrame shows a frame that was read, or is about to be written, before anything follows from it.
func (c *conn) traceFrame(d trace.Direction, channel uint16, p amqp.Performative, payload []byte) {
	switch {
	case c.trace == nil:
	case p == nil:
		c.trace.Heartbeat(d)
	default:
		c.trace.Frame(d, channel, p, payload, c.isRequest(channel, p))
	}
}

// isRequest says whether a transfer carries a request or the answer to one, rather than a message of a queue.
func (c *conn) isRequest(channel uint16, p amqp.Performative) bool {
	t, ok := p.(*amqp.Transfer)
	s := c.sessions[channel]
	if !ok || s == nil || s.links[t.Handle] == nil {
		return false
	}
	return s.links[t.Handle].base().node.kind != nodeQueue
}

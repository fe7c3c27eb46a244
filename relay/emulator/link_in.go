package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// Credit for senders: topped up when half is used.
const (
	senderCredit    = 1000
	batchFormat     = 0x80013700 // a message whose data sections are messages
	maxBatch        = 4500       // messages in a batch; the service documents this number
	requestMaxBytes = 256 << 10
)

// inLink receives messages from a client's sender.
type inLink struct {
	linkBase
	maxSize       int
	credit        uint32
	deliveryCount uint32
	current       *incoming // message of which more is to come
}

// incoming is a message in the course of arriving.
type incoming struct {
	id      uint32
	format  uint32
	settled bool
	size    int    // bytes that have come
	data    []byte // what is kept of them: nothing once they are more than the link takes
}

func (s *session) attachIn(p *amqp.Attach, base linkBase) {
	l := &inLink{linkBase: base, maxSize: requestMaxBytes}
	if err := l.admit(p.Target.Address(), p.Target.IsCoordinator(), access.Send); err != nil {
		s.refuse(p, base, err)
		return
	}
	if l.node.kind == nodeQueue {
		if l.node.broker.DeadLetter() == nil {
			s.refuse(p, base, amqp.Errorf("amqp:not-allowed", "It is not possible to send to a dead-letter queue."))
			return
		}
		l.maxSize = l.node.entity.MaxMessageSize
	}
	if p.InitialDeliveryCount != nil {
		l.deliveryCount = *p.InitialDeliveryCount
	}
	s.links[p.Handle] = l
	s.send(&amqp.Attach{
		Name: p.Name, Handle: p.Handle, Role: amqp.RoleReceiver, SndSettleMode: p.SndSettleMode,
		RcvSettleMode: p.RcvSettleMode, Source: p.Source, Target: p.Target, MaxMessageSize: uint64(l.maxSize),
	}, nil)
	l.grant()
}

// grant gives full credit.
func (l *inLink) grant() {
	l.credit = senderCredit
	handle, count, credit := l.handle, l.deliveryCount, l.credit
	l.sess.sendFlow(&amqp.Flow{Handle: &handle, DeliveryCount: &count, LinkCredit: &credit})
}

func (l *inLink) flow(p *amqp.Flow) {
	if p.DeliveryCount != nil && *p.DeliveryCount != l.deliveryCount {
		l.deliveryCount = *p.DeliveryCount
		l.grant()
	} else if p.Echo {
		l.grant()
	}
}

func (l *inLink) close() {
	l.drop()
	l.closed = true
}

// drop forgets a message of which only a part has come.
func (l *inLink) drop() {
	if l.current != nil {
		l.sess.conn.partial -= len(l.current.data)
		l.current = nil
	}
}

// transfer takes one frame of a message. Its error ends the session.
func (l *inLink) transfer(p *amqp.Transfer, payload []byte) error {
	if l.current == nil {
		if p.DeliveryID == nil {
			return amqp.Errorf("amqp:invalid-field", "delivery-id is missing")
		}
		l.credit-- // never below zero: it is topped up before the peer can have used it up
		l.deliveryCount++
		l.current = &incoming{id: *p.DeliveryID}
		if p.MessageFormat != nil {
			l.current.format = *p.MessageFormat
		}
	}
	l.current.settled = l.current.settled || p.Settled
	if p.Aborted {
		l.drop()
		return nil
	}
	return l.arrive(p.More, payload)
}

func (l *inLink) arrive(more bool, payload []byte) error {
	if err := l.keep(payload); err != nil {
		return err
	}
	if more {
		return nil
	}
	whole := l.current
	l.drop()
	l.complete(whole)
	if !l.detached && l.credit <= senderCredit/2 {
		l.grant()
	}
	return nil
}

// keep adds a frame's payload to the current message. Of one that is too long nothing is kept, but the rest of it is let
// pass and counted, so that it can be refused with its size.
func (l *inLink) keep(payload []byte) error {
	c, in := l.sess.conn, l.current
	in.size += len(payload)
	if in.size > l.maxSize {
		c.partial -= len(in.data)
		in.data = nil
		return nil
	}
	c.partial += len(payload)
	if c.partial > maxPartialBytes {
		return amqp.Errorf("amqp:resource-limit-exceeded", "more than %d bytes in unfinished messages", maxPartialBytes)
	}
	in.data = append(in.data, payload...)
	return nil
}

// complete acts on a whole message and settles it. One that is too long is rejected, with the condition that in AMQP
// detaches a link: the service's text names the whole size, and clients report it as the outcome of the one message.
func (l *inLink) complete(in *incoming) {
	if in.size > l.maxSize {
		l.settle(in, amqp.Rejected{Error: amqp.Errorf("amqp:link:message-size-exceeded",
			"The received message (delivery-id:%d, size:%d bytes) exceeds the limit (%d bytes) currently allowed on the link.", in.id, in.size, l.maxSize)})
		return
	}
	if l.node.kind != nodeQueue {
		l.request(in)
		return
	}
	c := l.sess.conn
	f := c.fault(Event{Op: OpSend, Queue: l.node.name})
	if f.Drop == DropBefore {
		return
	}
	if err := f.refusal(); err != nil {
		if f.Detach {
			l.sess.detachWith(l, err)
		} else {
			l.settle(in, amqp.Rejected{Error: err})
		}
		return
	}
	state := l.store(in)
	if f.Drop != DropAfter {
		l.settle(in, state)
	}
	f.cut(c)
}

// store puts the message, or the messages of a batch, in the queue and returns the delivery state to answer.
func (l *inLink) store(in *incoming) any {
	msgs, err := parseMessages(in)
	if err != nil {
		return amqp.Rejected{Error: amqp.Errorf("amqp:decode-error", "%v", err)}
	}
	for _, m := range msgs {
		broker.MessageID(m)
	}
	if _, err := l.node.broker.Send(msgs); err != nil {
		return amqp.Rejected{Error: brokerError(err)}
	}
	return amqp.Accepted{}
}

func parseMessages(in *incoming) ([]*amqp.Message, error) {
	m, err := amqp.ParseMessage(in.data)
	if err != nil || in.format != batchFormat {
		return []*amqp.Message{m}, err
	}
	parts, err := m.DataSections()
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 || len(parts) > maxBatch {
		return nil, amqp.Errorf("amqp:not-allowed", "a batch of %d messages", len(parts))
	}
	msgs := make([]*amqp.Message, 0, len(parts))
	for _, part := range parts {
		m, err := amqp.ParseMessage(part)
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, m)
	}
	return msgs, nil
}

func (l *inLink) settle(in *incoming, state any) {
	if !in.settled {
		l.sess.send(&amqp.Disposition{Role: amqp.RoleReceiver, First: in.id, Settled: true, State: state}, nil)
	}
}

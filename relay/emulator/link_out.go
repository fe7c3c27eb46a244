package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

const (
	// ahead is how many messages a queue may hand to a link before the link has sent them: enough to keep the writer
	// busy, few enough that a slow connection does not hoard what others could take.
	ahead = 64
	// maxReplies bounds the replies that wait for credit.
	maxReplies = 256
	// transferOverhead is more than a transfer frame takes besides its payload.
	transferOverhead = 128
)

// outLink sends messages to a client's receiver.
type outLink struct {
	linkBase
	settled       bool   // receive-and-delete, and replies: sent means done
	replyTo       string // by what requests name the link
	credit        uint32
	deliveryCount uint32
	drain         bool

	consumer *broker.Consumer // nil for replies
	giveUp   func()           // while waiting for a session
	pending  *amqp.Attach     // the attach to answer then
	sent     uint64           // messages of the consumer that have left
	allowed  uint64           // what the consumer was last allowed
	waiting  []outgoing
}

// outgoing is a message on its way out.
type outgoing struct {
	token   amqp.UUID // zero for replies
	data    []byte    // what is left to send
	started bool
}

// Deliver and Lost make outLink a broker.Sink. They are called by the queue, on any goroutine.

func (l *outLink) Deliver(d broker.Delivery) { l.sess.conn.inbox.post(func() { l.deliver(d) }) }

func (l *outLink) Lost() {
	l.sess.conn.inbox.post(func() {
		l.sess.detachWith(l, amqp.Errorf("com.microsoft:session-lock-lost",
			"The session lock has expired on the MessageSession. Accept a new MessageSession."))
	})
}

// deliver takes a message from the queue. If the link ended in the meantime it goes back.
func (l *outLink) deliver(d broker.Delivery) {
	if l.closed {
		l.giveBack(d.Token)
		return
	}
	if l.faultDeliver(d.Token) {
		return
	}
	data, err := l.encode(d)
	if err != nil {
		l.sess.conn.log.WithError(err).Error("message cannot be encoded")
		l.giveBack(d.Token)
		return
	}
	l.waiting = append(l.waiting, outgoing{token: d.Token, data: data})
	l.pump()
}

// encode is the message as this link sends it: what is removed on sending carries no lock.
func (l *outLink) encode(d broker.Delivery) ([]byte, error) {
	if l.settled {
		d = d.Unlocked()
	}
	return d.Append(nil)
}

// giveBack undoes the lock of a message that the peer has not seen. It is no matter if the lock has ended by itself.
func (l *outLink) giveBack(token amqp.UUID) {
	if token != (amqp.UUID{}) {
		_ = l.node.broker.Settle(token, broker.Outcome{Kind: broker.Release})
	}
}

// reply queues an answer to a request.
func (l *outLink) reply(data []byte) {
	if len(l.waiting) >= maxReplies {
		l.sess.detachWith(l, amqp.Errorf("amqp:resource-limit-exceeded", "more than %d replies wait for credit", maxReplies))
		return
	}
	l.waiting = append(l.waiting, outgoing{data: data})
	l.pump()
}

func (l *outLink) close() {
	if l.closed {
		return
	}
	l.closed = true
	if l.giveUp != nil {
		l.giveUp()
	}
	if l.consumer != nil {
		l.consumer.Close()
	}
	for _, o := range l.waiting {
		l.giveBack(o.token)
	}
	l.waiting = nil
	for id, u := range l.sess.unsettled {
		if u.link == l {
			delete(l.sess.unsettled, id)
		}
	}
}

// flow sets the credit: the peer says how far the delivery count may go (part 2, 2.6.7).
func (l *outLink) flow(p *amqp.Flow) {
	if p.LinkCredit == nil {
		return
	}
	count := uint32(0)
	if p.DeliveryCount != nil {
		count = *p.DeliveryCount
	}
	l.credit = count + *p.LinkCredit - l.deliveryCount
	if int32(l.credit) < 0 && *p.LinkCredit <= 1<<30 {
		l.credit = 0 // lowered below what is already under way
	}
	l.drain = p.Drain
	l.allow()
	if p.Echo {
		l.sendFlow()
	}
}

// allow tells the queue how many messages the link can take.
func (l *outLink) allow() {
	if l.consumer == nil {
		return
	}
	limit := l.sent + uint64(min(l.credit, ahead))
	if limit != l.allowed {
		l.allowed = limit
		l.consumer.Allow(limit)
	}
}

// drained ends a drain when all that could be sent has been: the credit left over is used up.
func (l *outLink) drained() {
	if !l.drain || len(l.waiting) > 0 && l.credit > 0 || l.closed {
		return
	}
	l.drain = false
	l.deliveryCount += l.credit
	l.credit = 0
	l.allow()
	handle, count, credit := l.handle, l.deliveryCount, l.credit
	l.sess.sendFlow(&amqp.Flow{Handle: &handle, DeliveryCount: &count, LinkCredit: &credit, Drain: true})
}

func (l *outLink) sendFlow() {
	handle, count, credit := l.handle, l.deliveryCount, l.credit
	l.sess.sendFlow(&amqp.Flow{Handle: &handle, DeliveryCount: &count, LinkCredit: &credit})
}

// pump sends what waits, as far as the link's credit and the session's window go.
func (l *outLink) pump() {
	for len(l.waiting) > 0 && l.sess.window > 0 && !l.closed {
		o := &l.waiting[0]
		if !o.started && l.credit == 0 {
			break
		}
		if !l.sendFrame(o) {
			continue
		}
		l.waiting[0] = outgoing{}
		l.waiting = l.waiting[1:]
		if l.consumer != nil {
			l.sent++
			if l.allowed-l.sent < ahead/2 {
				l.allow()
			}
		}
	}
}

// sendFrame sends the next frame of o and says whether it was the last.
func (l *outLink) sendFrame(o *outgoing) (last bool) {
	s := l.sess
	n := min(len(o.data), int(s.conn.peer.MaxFrameSize)-transferOverhead)
	t := &amqp.Transfer{Handle: l.handle, Settled: l.settled, More: n < len(o.data)}
	if !o.started {
		l.start(o, t)
	}
	if l.settled && !t.More && o.token != (amqp.UUID{}) {
		// Removed before it leaves: a client that has it must not find it in the queue.
		_ = l.node.broker.Settle(o.token, broker.Outcome{Kind: broker.Complete})
	}
	s.send(t, o.data[:n])
	s.nextOutgoing++
	s.window--
	o.data = o.data[n:]
	return !t.More
}

// start fills in what only the first frame of a delivery has.
func (l *outLink) start(o *outgoing, t *amqp.Transfer) {
	s := l.sess
	id, format := s.deliveryID, uint32(0)
	s.deliveryID++
	o.started = true
	l.credit--
	l.deliveryCount++
	t.DeliveryID, t.MessageFormat = &id, &format
	t.DeliveryTag = deliveryTag(o.token, id)
	if !l.settled {
		s.unsettled[id] = unsettled{l, o.token}
	}
}

// deliveryTag is the lock token in the byte order of a .NET GUID, from which clients read the token; where there is no
// lock, anything that is not empty.
func deliveryTag(token amqp.UUID, id uint32) []byte {
	if token == (amqp.UUID{}) {
		return []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
	}
	t := token
	t[0], t[1], t[2], t[3] = token[3], token[2], token[1], token[0]
	t[4], t[5] = token[5], token[4]
	t[6], t[7] = token[7], token[6]
	return t[:]
}

package emulator

import (
	"errors"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// Names and defaults of accepting a session.
const (
	filterSession       = "com.microsoft:session-filter"
	propLockedUntil     = "com.microsoft:locked-until-utc"
	propTimeout         = "com.microsoft:timeout"
	defaultAcceptWait   = time.Minute
	ticksAtUnixEpoch    = 621355968000000000 // .NET ticks (100 ns since year 1) of 1970-01-01
	ticksPerMillisecond = 10000
)

// attachOut opens a link to a client's receiver.
func (s *session) attachOut(p *amqp.Attach, base linkBase) {
	l := &outLink{linkBase: base, settled: p.SndSettleMode == amqp.SenderSettled, replyTo: p.Target.Address()}
	if err := l.admit(p.Source.Address(), p.Source.IsCoordinator(), access.Listen); err != nil {
		s.refuse(p, base, err)
		return
	}
	if l.node.kind != nodeQueue {
		l.settled = true
		s.accept(p, l)
		return
	}
	wish, wanted := sessionFilter(p.Source)
	id, named := wish.(string)
	switch {
	case !wanted:
		c, err := l.node.broker.Consume(l)
		s.consume(p, l, c, err)
	case named:
		c, err := l.node.broker.AcceptSession(id, l)
		s.consume(p, l, c, err)
	default:
		s.acceptNext(p, l)
	}
}

// acceptNext answers the attach when a session is free, or when waiting for one has taken too long.
func (s *session) acceptNext(p *amqp.Attach, l *outLink) {
	wait := defaultAcceptWait
	if ms, ok := amqp.Lookup[uint32](p.Properties, propTimeout); ok {
		wait = time.Duration(ms) * time.Millisecond
	}
	s.links[p.Handle], l.pending = l, p
	giveUp, err := l.node.broker.AcceptNext(wait, l, func(c *broker.Consumer, err error) {
		s.conn.inbox.post(func() { s.accepted(p, l, c, err) })
	})
	if err != nil {
		s.consume(p, l, nil, err)
		return
	}
	l.giveUp = giveUp
}

// accepted ends the waiting of acceptNext.
func (s *session) accepted(p *amqp.Attach, l *outLink, c *broker.Consumer, err error) {
	if l.closed {
		if c != nil {
			c.Close()
		}
		return
	}
	l.giveUp = nil
	s.consume(p, l, c, err)
}

// consume joins the link and its consumer, or refuses the link when there is none.
func (s *session) consume(p *amqp.Attach, l *outLink, c *broker.Consumer, err error) {
	l.pending = nil
	if err != nil {
		s.refuse(p, l.linkBase, brokerError(err))
		return
	}
	l.consumer = c
	s.accept(p, l)
}

// accept answers the attach of a receiver.
func (s *session) accept(p *amqp.Attach, l *outLink) {
	s.links[p.Handle] = l
	answer := &amqp.Attach{
		Name: p.Name, Handle: p.Handle, Role: amqp.RoleSender, SndSettleMode: p.SndSettleMode,
		RcvSettleMode: p.RcvSettleMode, Source: p.Source, Target: p.Target, InitialDeliveryCount: new(uint32),
	}
	if _, wanted := sessionFilter(p.Source); wanted && l.consumer != nil {
		answer.Source = withSession(p.Source, l.consumer.SessionID())
		ticks := l.consumer.LockedUntil().UnixMilli()*ticksPerMillisecond + ticksAtUnixEpoch
		answer.Properties = amqp.Map{{Key: amqp.Symbol(propLockedUntil), Value: ticks}}
	}
	s.send(answer, nil)
}

// sessionFilter is the session asked for: null means any.
func sessionFilter(src *amqp.Terminus) (id any, wanted bool) {
	v, wanted := src.Filter().Get(filterSession)
	if d, described := v.(amqp.Described); described {
		return d.Value, wanted
	}
	return v, wanted
}

// withSession is src with the session that was accepted, in the form it was asked for: clients send the filter with its
// descriptor or, as the one for JavaScript does, without, and compare the answer with what they sent.
func withSession(src *amqp.Terminus, id string) *amqp.Terminus {
	var v any = id
	asked, _ := src.Filter().Get(filterSession)
	if d, described := asked.(amqp.Described); described {
		d.Value = id
		v = d
	}
	return src.WithFilter(src.Filter().With(amqp.Symbol(filterSession), v))
}

// brokerError is the answer on a link to an error of a queue.
func brokerError(err error) *amqp.Error {
	for _, e := range []struct {
		is        error
		condition amqp.Symbol
	}{
		{broker.ErrLockLost, "com.microsoft:message-lock-lost"},
		{broker.ErrSessionLocked, "com.microsoft:session-cannot-be-locked"},
		{broker.ErrSessionLockLost, "com.microsoft:session-lock-lost"},
		{broker.ErrTimeout, "com.microsoft:timeout"},
		{broker.ErrNotFound, "com.microsoft:message-not-found"},
		{broker.ErrSessionRequired, "amqp:not-allowed"},
		{broker.ErrNoSessions, "amqp:not-allowed"},
		{broker.ErrSessionIDMissing, "amqp:not-allowed"},
		{broker.ErrNotAllowed, "amqp:not-allowed"},
		{broker.ErrClosed, "amqp:not-found"},
	} {
		if errors.Is(err, e.is) {
			return amqp.Errorf(e.condition, "%v", err)
		}
	}
	return amqp.Errorf("amqp:internal-error", "%v", err)
}

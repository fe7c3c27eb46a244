package emulator

import (
	"errors"
	"math"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Windows we announce, in transfers. The incoming one is renewed when half is used.
const (
	incomingWindow = 5000
	outgoingWindow = math.MaxInt32
)

// session is one AMQP session.
type session struct {
	conn    *conn
	channel uint16
	ended   bool // we have ended it and wait for the peer's end

	nextIncoming uint32 // transfer id expected next
	incoming     uint32 // transfers received since the peer last heard of our window
	nextOutgoing uint32
	window       uint32 // transfers the peer can take
	deliveryID   uint32

	links     map[uint32]link // by handle; ours is the peer's
	unsettled map[uint32]unsettled
}

// link is one end of a link, seen from its session.
type link interface {
	base() *linkBase
	// flow handles the part of a flow that concerns the link.
	flow(*amqp.Flow)
	// close gives back what the link holds in a queue. It may be called more than once.
	close()
}

// unsettled is a delivery sent whose outcome is open.
type unsettled struct {
	link  *outLink
	token amqp.UUID
}

func newSession(c *conn, channel uint16, p *amqp.Begin) *session {
	return &session{
		conn: c, channel: channel, nextIncoming: p.NextOutgoingID, window: p.IncomingWindow,
		links: map[uint32]link{}, unsettled: map[uint32]unsettled{},
	}
}

// handle acts on a performative. Its error ends the session.
func (s *session) handle(p amqp.Performative, payload []byte) error {
	if _, isEnd := p.(*amqp.End); s.ended && !isEnd {
		return nil // sent before the peer knew
	}
	switch p := p.(type) {
	case *amqp.Attach:
		return s.attach(p)
	case *amqp.Flow:
		return s.flow(p)
	case *amqp.Transfer:
		return s.transfer(p, payload)
	case *amqp.Disposition:
		s.disposition(p)
		return nil
	case *amqp.Detach:
		return s.detach(p)
	case *amqp.End:
		s.end()
		return nil
	}
	return amqp.Errorf("amqp:not-allowed", "%T within a session", p)
}

func (s *session) send(p amqp.Performative, payload []byte) {
	s.conn.push(s.channel, p, payload)
}

// fail ends the session with an error and then ignores what the peer still sends.
func (s *session) fail(err error) {
	var wire *amqp.Error
	if !errors.As(err, &wire) {
		wire = amqp.Errorf("amqp:internal-error", "%v", err)
	}
	s.close()
	s.ended = true
	s.send(&amqp.End{Error: wire}, nil)
}

// end is the peer's end. Links need not have been detached before.
func (s *session) end() {
	s.close()
	if !s.ended {
		s.send(&amqp.End{}, nil)
	}
	delete(s.conn.sessions, s.channel)
}

func (s *session) close() {
	for _, l := range s.links {
		l.close()
	}
	clear(s.links)
	clear(s.unsettled)
}

func (s *session) flow(p *amqp.Flow) error {
	// Until our begin has reached the peer it does not know our first transfer id, which is 0.
	next := uint32(0)
	if p.NextIncomingID != nil {
		next = *p.NextIncomingID
	}
	s.window = next + p.IncomingWindow - s.nextOutgoing
	if int32(s.window) < 0 && p.IncomingWindow <= math.MaxInt32 {
		s.window = 0
	}
	if p.Handle != nil {
		l, ok := s.links[*p.Handle]
		if !ok {
			return unattached(*p.Handle)
		}
		if !l.base().detached {
			l.flow(p)
		}
	}
	if p.Echo && p.Handle == nil {
		s.sendFlow(nil)
	}
	s.pump()
	return nil
}

// pump lets all links send what they may, because the window or a credit has changed, and ends drains. What queues
// have handed over just now is taken in first: it counts for a drain.
func (s *session) pump() {
	for _, step := range []func(*outLink){(*outLink).pump, (*outLink).drained} {
		for _, l := range s.links {
			if out, ok := l.(*outLink); ok {
				step(out)
			}
		}
		s.conn.inbox.run()
	}
}

// sendFlow completes a flow (nil: one about the session alone) with the session's part and sends it.
func (s *session) sendFlow(f *amqp.Flow) {
	if f == nil {
		f = &amqp.Flow{}
	}
	next := s.nextIncoming
	f.NextIncomingID, f.IncomingWindow = &next, incomingWindow
	f.NextOutgoingID, f.OutgoingWindow = s.nextOutgoing, outgoingWindow
	s.incoming = 0
	s.send(f, nil)
}

func (s *session) transfer(p *amqp.Transfer, payload []byte) error {
	s.nextIncoming++
	if s.incoming++; s.incoming > incomingWindow {
		return amqp.Errorf("amqp:session:window-violation", "more than %d transfers", incomingWindow)
	}
	l, ok := s.links[p.Handle]
	if !ok {
		return unattached(p.Handle)
	}
	in, ok := l.(*inLink)
	if !ok {
		return amqp.Errorf("amqp:not-allowed", "transfer to a sender")
	}
	if !in.detached {
		if err := in.transfer(p, payload); err != nil {
			return err
		}
	}
	if s.incoming >= incomingWindow/2 {
		s.sendFlow(nil)
	}
	return nil
}

func (s *session) detach(p *amqp.Detach) error {
	l, ok := s.links[p.Handle]
	if !ok {
		return unattached(p.Handle)
	}
	l.close()
	delete(s.links, p.Handle)
	if !l.base().detached {
		s.send(&amqp.Detach{Handle: p.Handle, Closed: p.Closed}, nil)
	}
	return nil
}

func unattached(handle uint32) error {
	return amqp.Errorf("amqp:session:unattached-handle", "no link with handle %d", handle)
}

// disposition settles deliveries First to Last. A range wider than what is open is walked from the open side, so
// that its width costs nothing.
func (s *session) disposition(p *amqp.Disposition) {
	if p.Role != amqp.RoleReceiver {
		return // about messages sent to us; those are settled at once
	}
	last := p.First
	if p.Last != nil {
		last = *p.Last
	}
	width := last - p.First
	if int64(width) < int64(len(s.unsettled)) {
		for id := p.First; ; id++ {
			s.settle(id, p)
			if id == last {
				return
			}
		}
	}
	for id := range s.unsettled {
		if id-p.First <= width {
			s.settle(id, p)
		}
	}
}

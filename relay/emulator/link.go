package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// linkBase is what both ends have in common.
type linkBase struct {
	sess     *session
	name     string
	handle   uint32
	node     node
	need     access.Rights // what the claims must allow while the link is attached
	detached bool          // we have detached it and wait for the peer's detach
	closed   bool          // it holds nothing any more
}

func (l *linkBase) base() *linkBase { return l }

// allowed says whether the claims still cover the link. The management node asks for no right of its own: each of its
// operations does.
func (l *linkBase) allowed() bool {
	c := l.sess.conn
	switch l.node.kind {
	case nodeCBS:
		return true
	case nodeManagement:
		return c.claims.Allow(l.node.path, access.Send, c.now()) || c.claims.Allow(l.node.path, access.Listen, c.now())
	}
	return c.claims.Allow(l.node.path, l.need, c.now())
}

// attach opens a link or refuses it.
func (s *session) attach(p *amqp.Attach) error {
	if p.Handle > maxHandle {
		return amqp.Errorf("amqp:connection:framing-error", "handle %d is above %d", p.Handle, maxHandle)
	}
	if s.links[p.Handle] != nil {
		return amqp.Errorf("amqp:session:handle-in-use", "handle %d", p.Handle)
	}
	base := linkBase{sess: s, name: p.Name, handle: p.Handle}
	if p.Role == amqp.RoleReceiver {
		s.attachOut(p, base)
	} else {
		s.attachIn(p, base)
	}
	return nil
}

// admit finds the node of a link to be attached and checks that the peer may use it.
func (l *linkBase) admit(address string, coordinator bool, need access.Rights) *amqp.Error {
	if coordinator {
		return amqp.Errorf("amqp:not-implemented", "transactions are not available")
	}
	n, ok := l.sess.conn.srv.resolve(address)
	if !ok {
		return notFound(address)
	}
	l.node, l.need = n, need
	if !l.allowed() {
		return unauthorizedLink(n, need)
	}
	if n.kind != nodeQueue {
		return nil
	}
	if err := n.entity.disabled(need); err != nil {
		return err
	}
	return l.sess.conn.faultAttach(n, need == access.Listen)
}

func unauthorizedLink(n node, need access.Rights) *amqp.Error {
	claim := "Listen"
	switch {
	case n.kind == nodeManagement:
		claim = "Manage,Send,Listen"
	case need == access.Send:
		claim = "Send"
	}
	return amqp.Errorf("amqp:unauthorized-access",
		"Unauthorized access. '%s' claim(s) are required to perform this operation. Resource: '%s'.", claim, n.name)
}

// refuse answers an attach with no terminus of ours and detaches at once: the way AMQP says no to a link.
func (s *session) refuse(p *amqp.Attach, base linkBase, err *amqp.Error) {
	answer := &amqp.Attach{
		Name: p.Name, Handle: p.Handle, Role: !p.Role, SndSettleMode: p.SndSettleMode, RcvSettleMode: p.RcvSettleMode,
	}
	if p.Role == amqp.RoleReceiver {
		answer.Target = p.Target
		answer.InitialDeliveryCount = new(uint32)
	} else {
		answer.Source = p.Source
	}
	s.send(answer, nil)
	base.detached, base.closed = true, true
	s.links[p.Handle] = &refused{base}
	s.send(&amqp.Detach{Handle: p.Handle, Closed: true, Error: err}, nil)
}

// refused keeps the handle of a refused link until the peer has detached it too.
type refused struct{ linkBase }

func (*refused) flow(*amqp.Flow) {}
func (*refused) close()          {}

// detachWith ends a link from our side. The handle stays taken until the peer has answered.
func (s *session) detachWith(l link, err *amqp.Error) {
	if l.base().detached {
		return
	}
	l.close()
	if out, ok := l.(*outLink); ok && out.pending != nil {
		s.refuse(out.pending, out.linkBase, err) // it has not been answered yet
		return
	}
	l.base().detached = true
	s.send(&amqp.Detach{Handle: l.base().handle, Closed: true, Error: err}, nil)
}

package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// conditionDeadLetter is the rejection by which clients dead-letter; its info map holds the reasons.
const conditionDeadLetter = "com.microsoft:dead-letter"

// settle acts on the outcome a receiver gives to one delivery.
func (s *session) settle(id uint32, p *amqp.Disposition) {
	u, ok := s.unsettled[id]
	if !ok {
		return
	}
	outcome, final := outcomeOf(p.State)
	if !final && !p.Settled {
		return // a report on the way
	}
	f := s.conn.fault(Event{Op: OpSettle, Queue: u.link.node.name})
	if f.Drop == DropBefore {
		return
	}
	if err := f.refusal(); err != nil && f.Detach {
		s.detachWith(u.link, err)
		return
	} else if err != nil {
		s.settled(id, p, amqp.Rejected{Error: err})
		return
	}
	repeat := f.repeat(u.link.node.broker, u.token)
	state := p.State
	if err := u.link.node.broker.Settle(u.token, outcome); err != nil {
		state = amqp.Rejected{Error: brokerError(err)}
	} else if outcome.Kind == broker.DeadLetter {
		state = amqp.Rejected{} // with an error in it, clients would take it for a failure
	}
	repeat()
	if f.Drop != DropAfter {
		s.settled(id, p, state)
	}
	f.cut(s.conn)
}

// settled ends a delivery and tells the peer, unless the peer has ended it itself and expects no answer.
func (s *session) settled(id uint32, p *amqp.Disposition, state any) {
	delete(s.unsettled, id)
	if !p.Settled {
		s.send(&amqp.Disposition{Role: amqp.RoleSender, First: id, Settled: true, State: state}, nil)
	}
}

// outcomeOf reads a delivery state as a settlement. final is false for states that settle nothing; a delivery settled
// without a state is released.
func outcomeOf(state any) (o broker.Outcome, final bool) {
	switch st := state.(type) {
	case amqp.Accepted:
		return broker.Outcome{Kind: broker.Complete}, true
	case amqp.Released:
		return broker.Outcome{Kind: broker.Release}, true
	case amqp.Modified:
		kind := broker.Abandon
		if st.UndeliverableHere {
			kind = broker.Defer
		}
		return broker.Outcome{Kind: kind, Modify: st.Annotations}, true
	case amqp.Rejected:
		return rejection(st.Error), true
	}
	return broker.Outcome{Kind: broker.Release}, false
}

// rejection is dead-lettering. The info map holds reason, description and the properties to modify alike, and all
// end up as application properties.
func rejection(e *amqp.Error) broker.Outcome {
	o := broker.Outcome{Kind: broker.DeadLetter}
	if e == nil {
		return o
	}
	if e.Condition != conditionDeadLetter {
		o.Reason, o.Description = string(e.Condition), e.Description
	}
	for _, p := range e.Info {
		if p.Value != nil {
			o.Modify = append(o.Modify, p)
		}
	}
	return o
}

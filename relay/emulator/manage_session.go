package emulator

import (
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

func (r *request) renewSession(args amqp.Map) (any, error) {
	id, err := arg[string](args, "session-id")
	if err != nil {
		return nil, err
	}
	until, err := r.node.broker.RenewSession(id)
	if err != nil {
		return nil, err
	}
	return amqp.Map{{Key: "expiration", Value: amqp.TimestampOf(until)}}, nil
}

func (r *request) sessionState(args amqp.Map) (any, error) {
	id, err := arg[string](args, "session-id")
	if err != nil {
		return nil, err
	}
	state, err := r.node.broker.SessionState(id)
	if err != nil {
		return nil, err
	}
	var v any
	if state != nil {
		v = state
	}
	return amqp.Map{{Key: "session-state", Value: v}}, nil
}

func (r *request) setSessionState(args amqp.Map) (any, error) {
	id, err := arg[string](args, "session-id")
	if err != nil {
		return nil, err
	}
	state, _ := amqp.Lookup[[]byte](args, "session-state") // null removes it
	return amqp.Map{}, r.node.broker.SetSessionState(id, state)
}

// schedule stores messages for later. Each carries its own time as an annotation.
func (r *request) schedule(args amqp.Map) (any, error) {
	items, err := arg[amqp.List](args, "messages")
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, badRequest("there are no messages")
	}
	var msgs []*amqp.Message
	for _, item := range items {
		entry, _ := item.(amqp.Map)
		data, err := arg[[]byte](entry, "message")
		if err != nil {
			return nil, err
		}
		m, err := amqp.ParseMessage(data)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		broker.MessageID(m)
		msgs = append(msgs, m)
	}
	seqs, err := r.node.broker.Send(msgs)
	if err != nil {
		return nil, err
	}
	return amqp.Map{{Key: "sequence-numbers", Value: arrayOf(amqp.CodeLong, seqs)}}, nil
}

func (r *request) cancelScheduled(args amqp.Map) (any, error) {
	seqs, err := array[int64](args, "sequence-numbers")
	if err != nil {
		return nil, err
	}
	return amqp.Map{}, r.node.broker.Cancel(seqs)
}

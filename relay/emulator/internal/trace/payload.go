package trace

import "github.com/password-writeback/writeback/relay/emulator/internal/amqp"

// batchFormat marks a message whose data sections are messages.
const batchFormat = 0x80013700

func (w *line) transfer(p *amqp.Transfer) {
	w.word("transfer")
	w.number("handle", uint64(p.Handle))
	w.optional("delivery", p.DeliveryID)
	if len(p.DeliveryTag) > 0 {
		w.bytes("tag", p.DeliveryTag)
	}
	w.flag("batch", p.MessageFormat != nil && *p.MessageFormat == batchFormat)
	w.flag("settled", p.Settled)
	w.flag("more", p.More)
	w.flag("aborted", p.Aborted)
}

// payload shows what can be told without the body. Of a message in several frames that is its length only.
func (w *line) payload(t *amqp.Transfer, payload []byte, request bool) {
	w.number("bytes", uint64(len(payload)))
	if t.More || t.DeliveryID == nil {
		return
	}
	m, err := amqp.ParseMessage(payload)
	switch {
	case err != nil:
		w.word("unreadable")
	case request:
		w.request(m)
	default:
		w.value("message", m.MessageID())
		if id := m.GroupID(); id != "" {
			w.text("session", id)
		}
	}
}

// request shows a request or an answer: the operation and what a token is for, or the status.
func (w *line) request(m *amqp.Message) {
	for _, name := range []string{"operation", "type", "name"} {
		if v, ok := amqp.Lookup[string](m.ApplicationProperties, name); ok {
			w.text(name, v)
		}
	}
	for _, name := range []string{"status-code", "statusCode"} {
		if code, ok := amqp.Lookup[int32](m.ApplicationProperties, name); ok {
			w.number("status", uint64(code))
		}
	}
	if op, _ := amqp.Lookup[string](m.ApplicationProperties, "operation"); op == "put-token" {
		v, _ := m.Value()
		token, _ := v.(string)
		w.word(hidden(len(token)))
	}
}

package emulator

import (
	"errors"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// request is what a client asks of $cbs or of a $management node, and response the answer.
type request struct {
	conn  *conn
	node  node
	op    string
	props amqp.Map // application properties
	body  any
}

type response struct {
	status      int
	description string
	condition   amqp.Symbol
	body        any // nil: null
}

// Statuses of responses.
const (
	statusOK             = 200
	statusAccepted       = 202
	statusNoContent      = 204
	statusBadRequest     = 400
	statusUnauthorized   = 401
	statusNotFound       = 404
	statusGone           = 410
	statusInternal       = 500
	statusNotImplemented = 501
)

// request answers a request message. A message nobody could answer (malformed, or with no receiver for the reply) is
// rejected; everything else is accepted and answered with a status.
func (l *inLink) request(in *incoming) {
	m, err := amqp.ParseMessage(in.data)
	if err != nil {
		l.settle(in, amqp.Rejected{Error: amqp.Errorf("amqp:decode-error", "%v", err)})
		return
	}
	back := l.replyLink(m.ReplyTo())
	if back == nil {
		l.settle(in, amqp.Rejected{Error: amqp.Errorf("amqp:precondition-failed", "no receiver for the reply")})
		return
	}
	l.settle(in, amqp.Accepted{})
	r := &request{conn: l.sess.conn, node: l.node, props: m.ApplicationProperties}
	r.op, _ = amqp.Lookup[string](m.ApplicationProperties, "operation")
	r.body, _ = m.Value() // operations without a body exist; the others check its type
	resp := r.answer()
	data, err := resp.message(m.MessageID(), l.node.kind)
	if err != nil {
		l.sess.conn.log.WithError(err).Error("reply cannot be encoded")
		return
	}
	if resp.status != 0 {
		back.reply(data)
	}
}

// replyLink finds the link for a reply: by target address, by link name, or else the receiver on the same node in the
// same session. Different clients rely on different ones.
func (l *inLink) replyLink(replyTo string) *outLink {
	var sameSession *outLink
	for _, s := range l.sess.conn.sessions {
		for _, other := range s.links {
			out, ok := other.(*outLink)
			if !ok || out.closed || out.node.kind != l.node.kind || out.node.path != l.node.path {
				continue
			}
			if replyTo != "" && (out.replyTo == replyTo || out.name == replyTo) {
				return out
			}
			if s == l.sess {
				sameSession = out
			}
		}
	}
	return sameSession
}

func (r *request) answer() response {
	if r.node.kind == nodeCBS {
		return r.putToken()
	}
	f := r.conn.fault(Event{Op: OpRequest, Queue: r.node.name, Name: r.op})
	if f.Drop == DropBefore {
		return response{}
	}
	if err := f.refusal(); err != nil {
		status := f.Status
		if status == 0 {
			status = statusInternal
		}
		return response{status: status, description: err.Description, condition: err.Condition}
	}
	resp := r.manage()
	if f.Drop == DropAfter {
		f.cut(r.conn)
		return response{}
	}
	return resp
}

// message is the reply. The two kinds of node spell the status differently. The correlation id is the request's
// message id, unchanged: clients match on it.
func (resp response) message(id any, kind nodeKind) ([]byte, error) {
	code, text := "statusCode", "statusDescription"
	if kind == nodeCBS {
		code, text = "status-code", "status-description"
	}
	m := &amqp.Message{ApplicationProperties: amqp.Map{
		{Key: code, Value: int32(resp.status)},
		{Key: text, Value: resp.description},
	}}
	if resp.condition != "" {
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: "errorCondition", Value: resp.condition})
	}
	m.SetCorrelationID(id)
	if err := m.SetValue(resp.body); err != nil {
		return nil, err
	}
	return m.Append(nil)
}

// ok is a success with a body.
func ok(body any) response { return response{status: statusOK, description: "OK", body: body} }

// failed turns an error into a response.
func failed(err error) response {
	var denied *access.Denied
	if errors.As(err, &denied) {
		return response{status: denied.Status, description: denied.Text, condition: "amqp:unauthorized-access"}
	}
	var wire *amqp.Error
	if errors.As(err, &wire) {
		return response{status: statusBadRequest, description: wire.Description, condition: wire.Condition}
	}
	wire = brokerError(err)
	status := statusBadRequest
	switch {
	case errors.Is(err, broker.ErrLockLost), errors.Is(err, broker.ErrSessionLockLost):
		status = statusGone
	case errors.Is(err, broker.ErrNotFound), errors.Is(err, broker.ErrClosed):
		status = statusNotFound
	}
	return response{status: status, description: wire.Description, condition: wire.Condition}
}

package emulator

import (
	"errors"
	"math"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// maxPeek bounds the messages, and peekBytes roughly the size, of one answer.
const (
	maxPeek   = 256
	peekBytes = 1 << 20
)

// operation is a management operation with the right it needs. Its error becomes the status.
type operation struct {
	need access.Rights
	run  func(*request, amqp.Map) (body any, err error)
}

// operationNamed finds an operation of a $management node.
func operationNamed(name string) (operation, bool) {
	op, ok := map[string]operation{
		"com.microsoft:renew-lock":                 {access.Listen, (*request).renewLock},
		"com.microsoft:update-disposition":         {access.Listen, (*request).updateDisposition},
		"com.microsoft:peek-message":               {access.Listen, (*request).peek},
		"com.microsoft:receive-by-sequence-number": {access.Listen, (*request).receiveDeferred},
		"com.microsoft:schedule-message":           {access.Send, (*request).schedule},
		"com.microsoft:cancel-scheduled-message":   {access.Send, (*request).cancelScheduled},
		"com.microsoft:renew-session-lock":         {access.Listen, (*request).renewSession},
		"com.microsoft:get-session-state":          {access.Listen, (*request).sessionState},
		"com.microsoft:set-session-state":          {access.Listen, (*request).setSessionState},
		"com.microsoft:get-message-sessions":       {access.Listen, (*request).listSessions},
	}[name]
	return op, ok
}

// errNoContent asks for status 204.
var errNoContent = &amqp.Error{Condition: "no-content"}

// manage answers a request to a $management node.
func (r *request) manage() response {
	op, known := operationNamed(r.op)
	if !known {
		return response{status: statusNotImplemented, description: "unknown operation " + r.op, condition: "amqp:not-implemented"}
	}
	if !r.conn.claims.Allow(r.node.path, op.need, r.conn.now()) {
		err := unauthorizedLink(node{name: r.node.name}, op.need)
		return response{status: statusUnauthorized, description: err.Description, condition: err.Condition}
	}
	if err := r.conn.srv.live(r.node, op.need); err != nil {
		return unusable(err)
	}
	args, isMap := r.body.(amqp.Map)
	if !isMap {
		return failed(badRequest("the body must be a map"))
	}
	body, err := op.run(r, args)
	switch {
	case errors.Is(err, errNoContent):
		return response{status: statusNoContent, description: "No content"}
	case err != nil:
		return failed(err)
	}
	return ok(body)
}

func badRequest(text string) *amqp.Error {
	return &amqp.Error{Condition: "com.microsoft:argument-error", Description: text}
}

// arg takes a mandatory argument of type T.
func arg[T any](args amqp.Map, name string) (T, error) {
	v, found := amqp.Lookup[T](args, name)
	if !found {
		return v, badRequest("argument " + name + " is missing or of the wrong type")
	}
	return v, nil
}

// array takes a mandatory argument that is an array of T. A list of T is taken too.
func array[T any](args amqp.Map, name string) ([]T, error) {
	v, _ := args.Get(name)
	var items []any
	switch x := v.(type) {
	case amqp.Array:
		items = x.Items
	case amqp.List:
		items = x
	}
	out := make([]T, 0, len(items))
	for _, item := range items {
		t, fits := item.(T)
		if !fits {
			return nil, badRequest("argument " + name + " has an element of the wrong type")
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, badRequest("argument " + name + " is missing or empty")
	}
	return out, nil
}

// arrayOf makes an AMQP array.
func arrayOf[T any](code byte, items []T) amqp.Array {
	a := amqp.Array{Code: code}
	for _, item := range items {
		a.Items = append(a.Items, item)
	}
	return a
}

func (r *request) renewLock(args amqp.Map) (any, error) {
	tokens, err := array[amqp.UUID](args, "lock-tokens")
	if err != nil {
		return nil, err
	}
	var until []amqp.Timestamp
	for _, t := range tokens {
		at, err := r.node.broker.Renew(t)
		if err != nil {
			return nil, err
		}
		until = append(until, amqp.TimestampOf(at))
	}
	return amqp.Map{{Key: "expirations", Value: arrayOf(amqp.CodeTimestamp, until)}}, nil
}

func (r *request) updateDisposition(args amqp.Map) (any, error) {
	tokens, err := array[amqp.UUID](args, "lock-tokens")
	if err != nil {
		return nil, err
	}
	status, err := arg[string](args, "disposition-status")
	if err != nil {
		return nil, err
	}
	kinds := map[string]broker.Kind{
		"completed": broker.Complete, "abandoned": broker.Abandon,
		"suspended": broker.DeadLetter, "defered": broker.Defer, // spelt so on the wire
	}
	kind, known := kinds[status]
	if !known {
		return nil, badRequest("unknown disposition-status " + status)
	}
	o := broker.Outcome{Kind: kind}
	o.Reason, _ = amqp.Lookup[string](args, "deadletter-reason")
	o.Description, _ = amqp.Lookup[string](args, "deadletter-description")
	o.Modify, _ = amqp.Lookup[amqp.Map](args, "properties-to-modify")
	for _, t := range tokens {
		if err := r.node.broker.Settle(t, o); err != nil {
			return nil, err
		}
	}
	return amqp.Map{}, nil
}

func (r *request) peek(args amqp.Map) (any, error) {
	from, err := arg[int64](args, "from-sequence-number")
	if err != nil {
		return nil, err
	}
	count, err := arg[int32](args, "message-count")
	if err != nil {
		return nil, err
	}
	var session *string
	if id, given := amqp.Lookup[string](args, "session-id"); given {
		session = &id
	}
	found := r.node.broker.Peek(from, min(int(count), maxPeek), session)
	if len(found) == 0 {
		return nil, errNoContent
	}
	list, size := amqp.List{}, 0
	for _, d := range found {
		data, err := d.Append(nil)
		if err != nil {
			return nil, err
		}
		if size += len(data); size > peekBytes && len(list) > 0 {
			break
		}
		list = append(list, amqp.Map{{Key: "message", Value: data}})
	}
	return amqp.Map{{Key: "messages", Value: list}}, nil
}

func (r *request) receiveDeferred(args amqp.Map) (any, error) {
	seqs, err := array[int64](args, "sequence-numbers")
	if err != nil {
		return nil, err
	}
	mode, err := arg[uint32](args, "receiver-settle-mode")
	if err != nil {
		return nil, err
	}
	found, err := r.node.broker.TakeDeferred(seqs)
	if err != nil {
		return nil, err
	}
	const peekLock = 1
	list := amqp.List{}
	for _, d := range found {
		token := d.Token
		if mode != peekLock {
			_ = r.node.broker.Settle(token, broker.Outcome{Kind: broker.Complete})
			d = d.Unlocked()
		}
		data, err := d.Append(nil)
		if err != nil {
			return nil, err
		}
		list = append(list, amqp.Map{{Key: "message", Value: data}, {Key: "lock-token", Value: token}})
	}
	return amqp.Map{{Key: "messages", Value: list}}, nil
}

// allSessions stands in get-message-sessions for "whichever have messages": the last moment of year 9999, which the
// service's own runtime takes for its largest date.
const allSessions = 253402300800000

func (r *request) listSessions(args amqp.Map) (any, error) {
	since, err := arg[amqp.Timestamp](args, "last-updated-time")
	if err != nil {
		return nil, err
	}
	skip, _ := amqp.Lookup[int32](args, "skip")
	top, given := amqp.Lookup[int32](args, "top")
	if !given || top < 0 {
		top = math.MaxInt32
	}
	after := since.Time()
	if since >= allSessions {
		after = time.Time{}
	}
	ids, err := r.node.broker.Sessions(after)
	if err != nil {
		return nil, err
	}
	ids = ids[min(max(int(skip), 0), len(ids)):]
	ids = ids[:min(int(top), len(ids))]
	if len(ids) == 0 {
		return nil, errNoContent
	}
	return amqp.Map{{Key: "skip", Value: skip}, {Key: "sessions-ids", Value: arrayOf(amqp.CodeString, ids)}}, nil
}

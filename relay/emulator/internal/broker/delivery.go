package broker

import (
	"cmp"
	"crypto/rand"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Annotations that the service writes. Those a sender wrote under the same names are replaced.
const (
	annSequence    = "x-opt-sequence-number"
	annEnqueued    = "x-opt-enqueued-time"
	annLockedUntil = "x-opt-locked-until"
	annState       = "x-opt-message-state"
	annSource      = "x-opt-deadletter-source"
	annScheduled   = "x-opt-scheduled-enqueue-time"
	annLockToken   = "x-opt-lock-token"
)

// Delivery is a message as it stood when it was handed out or looked at. Token and LockedUntil are zero unless it is
// locked for the one who gets it.
type Delivery struct {
	Sequence    int64
	Token       amqp.UUID
	LockedUntil time.Time
	Enqueued    time.Time
	Expires     time.Time
	State       State
	Failures    uint32
	Source      string
	Message     *amqp.Message
}

// describe is the delivery of an entry that is locked for the caller.
func (q *Queue) describe(e *entry) Delivery {
	d := e.snapshot()
	d.Token, d.LockedUntil = e.token, e.until
	return d
}

func (e *entry) snapshot() Delivery {
	d := Delivery{
		Sequence: cmp.Or(e.original, e.seq), Enqueued: e.enqueued, Expires: e.expires, State: e.state,
		Failures: e.failures, Source: e.source, Message: e.msg,
	}
	if e.state == locked {
		d.State = Active
		if e.deferred {
			d.State = Deferred
		}
	}
	return d
}

// Unlocked is the delivery as one that carries no lock, for receivers that remove on receiving.
func (d Delivery) Unlocked() Delivery {
	d.Token, d.LockedUntil = amqp.UUID{}, time.Time{}
	return d
}

// Append writes the message as the service emits it behind b: the delivery count in its header, the service's
// annotations, the rest as the sender sent it.
func (d Delivery) Append(b []byte) ([]byte, error) {
	m := *d.Message
	m.Header.DeliveryCount = d.Failures
	if !d.Expires.IsZero() {
		m.Header.TTL = amqp.TTLMillis(d.Expires.Sub(d.Enqueued).Milliseconds())
	}
	m.Annotations = d.annotations()
	if d.Token != (amqp.UUID{}) {
		m.DeliveryAnnotations = m.DeliveryAnnotations.With(amqp.Symbol(annLockToken), d.Token)
	}
	return m.Append(b)
}

func (d Delivery) annotations() amqp.Map {
	own := amqp.Map{
		{Key: amqp.Symbol(annSequence), Value: d.Sequence},
		{Key: amqp.Symbol(annEnqueued), Value: amqp.TimestampOf(d.Enqueued)},
	}
	if !d.LockedUntil.IsZero() {
		own = append(own, amqp.Pair{Key: amqp.Symbol(annLockedUntil), Value: amqp.TimestampOf(d.LockedUntil)})
	}
	if d.State != Active {
		own = append(own, amqp.Pair{Key: amqp.Symbol(annState), Value: int32(d.State)})
	}
	if d.Source != "" {
		own = append(own, amqp.Pair{Key: amqp.Symbol(annSource), Value: d.Source})
	}
	for _, p := range d.Message.Annotations {
		if !reserved(p.Key) {
			own = append(own, p)
		}
	}
	return own
}

// reserved says whether a name is the service's to write. The others that clients trust the type of
// (x-opt-partition-key, x-opt-scheduled-enqueue-time) are the sender's, and pass as they came.
func reserved(key any) bool {
	name, ok := key.(amqp.Symbol)
	if s, isString := key.(string); isString {
		name, ok = amqp.Symbol(s), true
	}
	if !ok {
		return false
	}
	switch name {
	case annSequence, annEnqueued, annLockedUntil, annState, annSource:
		return true
	}
	return false
}

// newToken is a random RFC 4122 version 4 identifier.
func newToken() (u amqp.UUID) {
	rand.Read(u[:]) // never fails, by its documentation
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

package writeback

import "time"

// Delivery is one message as the queue handed it over. Everything in it is a hint from an untrusted party.
type Delivery struct {
	Body        []byte
	ContentType string
	MessageID   string
	// Count is 1 at the first delivery.
	Count uint32
	// LockedUntil returns until when the queue gives this message to nobody else, on our clock. It moves when the lock is renewed.
	LockedUntil func() time.Time
	// Handle is the queue adapter's own reference to the message; nobody else looks into it.
	Handle any
}

// Settlement is what becomes of a message.
type Settlement string

// The settlements.
const (
	// Complete removes the message: it was answered.
	Complete Settlement = "complete"
	// Abandon gives the message back at once: nothing was sent to any directory, somebody else or a later try may serve it.
	Abandon Settlement = "abandon"
	// Leave does nothing: nobody gets the message before the queue's lock on it has run out.
	Leave Settlement = "leave"
	// Discard removes a message that could not be verified. A few an hour are kept as dead-letter samples.
	Discard Settlement = "discard"
)

// Disposition is what a handler decided about a delivery.
type Disposition struct {
	Reason Reason
	// Settlement follows from Reason and the delivery count alone, see [Settle].
	Settlement Settlement
	// Delay is how long to hold the message before settling it.
	Delay time.Duration
	// SlowIntake asks the relay to take one message at a time until a disposition comes without it.
	SlowIntake bool
}

// NotForUsDeliveries is the delivery count at which a message that no agent could open is removed instead of handed on.
const NotForUsDeliveries = 4

// Settle is the one place where a reason decides what becomes of the message that caused it.
func Settle(reason Reason, deliveryCount uint32) Settlement {
	settlement := Lookup(reason).Settlement
	if reason == EnvelopeNotForUs && deliveryCount >= NotForUsDeliveries {
		return Complete
	}
	return settlement
}

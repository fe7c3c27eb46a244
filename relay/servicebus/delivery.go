package servicebus

import (
	"bytes"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// maxBody is one byte more than the largest token the protocol allows: a longer body is cut off here, and refused for being too
// long where tokens are read.
const maxBody = 64<<10 + 1

// longestLock is the longest lock Service Bus grants. What a message says about its lock is never believed beyond that, so that
// neither a clock nor a broker ahead of ours makes a lock look good that is not.
const longestLock = 5 * time.Minute

// held is a message in our hands: the Handle of its delivery.
type held struct {
	message  *azservicebus.ReceivedMessage
	receiver *azservicebus.Receiver // the one it came from

	mu    sync.Mutex
	until time.Time
}

// setUntil notes how long the lock holds, seen at the moment now.
func (h *held) setUntil(until *time.Time, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = now
	if until != nil {
		h.until = earlier(*until, now.Add(longestLock))
	}
}

func (h *held) lockedUntil() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// newDelivery describes a message in the vocabulary of internal/writeback. The body is nil where the message is no single block of bytes.
func newDelivery(message *azservicebus.ReceivedMessage, receiver *azservicebus.Receiver) *writeback.Delivery {
	handle := &held{message: message, receiver: receiver}
	handle.setUntil(message.LockedUntil, time.Now())
	delivery := &writeback.Delivery{
		Body:        limited(message.Body),
		MessageID:   message.MessageID,
		Count:       max(1, message.DeliveryCount),
		LockedUntil: handle.lockedUntil,
		Handle:      handle,
	}
	if message.ContentType != nil {
		delivery.ContentType = *message.ContentType
	}
	return delivery
}

// limited cuts off a body that is too long and lets go of the rest.
func limited(body []byte) []byte {
	if len(body) > maxBody {
		return bytes.Clone(body[:maxBody])
	}
	return body
}

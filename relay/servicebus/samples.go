package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Bounds of one purge: how many messages it looks at, and how long it waits for the next one before it takes the dead-letter
// queue for read through.
const (
	purgeMost = 1000
	purgeWait = 2 * time.Second
)

// PurgeSamples implements the relay's Source: it removes messages that DeadLetter put into the dead-letter queue and that were
// sent before olderThan, and returns how many. What got there otherwise, by too many deliveries, stays for the administrator.
func (a *Agent) PurgeSamples(ctx context.Context, olderThan time.Time) (int, error) {
	client, err := a.requests.client()
	if err != nil {
		return 0, err
	}
	receiver, err := client.NewReceiverForQueue(a.queue, &azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter})
	if err != nil {
		return 0, fmt.Errorf("servicebus: %w", err)
	}
	defer a.requests.discard(receiver)
	if err := attach(ctx, receiver); err != nil {
		return 0, fmt.Errorf("servicebus: dead-letter queue of %q: %w", a.queue, err)
	}
	return a.purge(ctx, receiver, olderThan)
}

// purge goes through the dead-letter queue once. What stays is kept locked until the end, or it would come again at once.
func (a *Agent) purge(ctx context.Context, receiver *azservicebus.Receiver, olderThan time.Time) (removed int, err error) {
	var staying []*azservicebus.ReceivedMessage
	defer func() { release(ctx, receiver, staying) }()
	for range purgeMost {
		message, err := nextDead(ctx, receiver)
		switch {
		case errors.Is(err, errPoison):
			a.poisoned.Add(1) // it stays locked, and so is not met again in this run
			continue
		case err != nil || message == nil:
			return removed, err
		case !isSample(message):
			staying = append(staying, message)
			continue
		case message.EnqueuedTime == nil || !message.EnqueuedTime.Before(olderThan):
			staying = append(staying, message)
			return removed, nil // they come in the order they were sent: all others are younger
		}
		if err := try(ctx, openTimeout, complete, receiver, message); err != nil {
			return removed, wrapSettle(err)
		}
		removed++
	}
	return removed, nil
}

// nextDead returns the next message, or nil when there is none.
func nextDead(ctx context.Context, receiver *azservicebus.Receiver) (*azservicebus.ReceivedMessage, error) {
	limited, cancel := context.WithTimeout(ctx, purgeWait)
	defer cancel()
	messages, err := guarded(func() ([]*azservicebus.ReceivedMessage, error) { return receiver.ReceiveMessages(limited, 1, nil) })
	switch {
	case len(messages) > 0:
		return messages[0], nil
	case err == nil:
		return nil, errLinkLost
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil, nil
	}
	return nil, err
}

// isSample reports whether a dead letter is one of ours: its reason is one of the table's.
func isSample(message *azservicebus.ReceivedMessage) bool {
	return message.DeadLetterReason != nil && writeback.Reason(*message.DeadLetterReason).Known()
}

func release(ctx context.Context, receiver *azservicebus.Receiver, messages []*azservicebus.ReceivedMessage) {
	for _, message := range messages {
		// On failure the lock runs out by itself.
		_ = try(context.WithoutCancel(ctx), firstTry, func(ctx context.Context, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return r.AbandonMessage(ctx, m, nil)
		}, receiver, message)
	}
}

package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// idleWait is how long one call waits for a message before it is made anew.
const idleWait = 2 * time.Minute

// errLinkLost says that a receiver came back without a message and without an error, as the SDK does when its link or
// connection is gone, or wedged.
var errLinkLost = errors.New("servicebus: the link to the queue was lost")

// inlet is a receiver that is known to work, with the client it belongs to.
type inlet struct {
	receiver *azservicebus.Receiver
	client   *azservicebus.Client
}

// Receive implements the relay's Source: it blocks until there is a message or ctx ends. Another error means that the connection
// is in trouble; the next call connects anew. Only one Receive may be under way.
func (a *Agent) Receive(ctx context.Context) (*writeback.Delivery, error) {
	for {
		inlet, err := a.open(ctx)
		if err != nil {
			return nil, err
		}
		message, err := receiveOne(ctx, inlet.receiver)
		switch {
		case message != nil:
			a.emptyReturns.Store(0)
			return newDelivery(message, inlet.receiver), nil
		case errors.Is(err, errPoison):
			a.poisoned.Add(1)
			a.log.WithError(err).Warn("servicebus: a message cannot be read and stays until its deliveries are used up")
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			a.emptyReturns.Store(0) // nothing came, all is well
		case !a.replace(inlet, err):
			return nil, err
		}
	}
}

// receiveOne waits for one message. One at a time: credit that is left over would let messages be locked while nobody works on them.
func receiveOne(ctx context.Context, receiver *azservicebus.Receiver) (*azservicebus.ReceivedMessage, error) {
	limited, cancel := context.WithTimeout(ctx, idleWait)
	defer cancel()
	messages, err := guarded(func() ([]*azservicebus.ReceivedMessage, error) { return receiver.ReceiveMessages(limited, 1, nil) })
	switch {
	case len(messages) > 0:
		return messages[0], nil
	case err == nil:
		return nil, errLinkLost
	}
	return nil, err
}

// replace gives up an inlet: an empty return costs the receiver, a second one in a row or any error the whole connection.
// It reports whether to go on at once: links are detached now and then on quiet queues, which is no trouble yet.
func (a *Agent) replace(old *inlet, cause error) (goOn bool) {
	a.mu.Lock()
	if a.inlet == old {
		a.inlet = nil
	}
	a.mu.Unlock()
	a.setConnected(false)
	if errors.Is(cause, errLinkLost) && a.emptyReturns.Add(1) == 1 {
		a.requests.discard(old.receiver)
		return true
	}
	a.requests.drop(old.client)
	return false
}

// open returns the current inlet, or makes one: by whoever comes first, while the others wait.
func (a *Agent) open(ctx context.Context) (*inlet, error) {
	select {
	case a.opening <- struct{}{}:
		defer func() { <-a.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a.mu.Lock()
	current := a.inlet
	a.mu.Unlock()
	if current != nil {
		return current, nil
	}
	fresh, err := a.connect(ctx)
	if err != nil {
		a.setConnected(false)
		return nil, err
	}
	a.mu.Lock()
	a.inlet = fresh
	a.mu.Unlock()
	a.setConnected(true)
	return fresh, nil
}

// connect makes a receiver that works.
func (a *Agent) connect(ctx context.Context) (*inlet, error) {
	client, err := a.requests.client()
	if err != nil {
		return nil, err
	}
	receiver, err := client.NewReceiverForQueue(a.queue, nil)
	if err != nil {
		return nil, fmt.Errorf("servicebus: %w", err)
	}
	if err := attach(ctx, receiver); err != nil {
		a.requests.drop(client)
		return nil, fmt.Errorf("servicebus: queue %q at %s: %w", a.queue, a.requests.endpoint.address(), err)
	}
	return &inlet{receiver: receiver, client: client}, nil
}

// attach connects a receiver and has its queue answer a question, since attaching alone cannot be observed: afterwards a wait that
// brings nothing means that there is nothing.
func attach(ctx context.Context, receiver *azservicebus.Receiver) error {
	limited, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	_, err := guarded(func() ([]*azservicebus.ReceivedMessage, error) { return receiver.PeekMessages(limited, 1, nil) })
	if errors.Is(err, errPoison) {
		return nil // an unreadable answer is an answer
	}
	return err
}

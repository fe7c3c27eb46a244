package servicebus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// contentType is that of every message of the protocol.
const contentType = "application/jwt"

// sendTimeout bounds one send, connecting included.
const sendTimeout = 15 * time.Second

// failuresBeforeReconnect is how many sends in a row may fail before not only the sender but the connection is replaced.
const failuresBeforeReconnect = 3

// outlets holds one sender for each queue that is sent to.
type outlets struct {
	connection *connection

	mu       sync.Mutex
	byQueue  map[string]*outlet
	failures int // in a row, over all queues
}

// outlet is a sender with the client it belongs to.
type outlet struct {
	sender *azservicebus.Sender
	client *azservicebus.Client
}

func newOutlets(connection *connection) *outlets {
	return &outlets{connection: connection, byQueue: map[string]*outlet{}}
}

// send returns nil once the queue has accepted the message.
func (o *outlets) send(ctx context.Context, queue string, message *azservicebus.Message) error {
	outlet, err := o.outlet(queue)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err = guarded(func() (struct{}, error) { return struct{}{}, outlet.sender.SendMessage(limited, message, nil) })
	if err == nil {
		o.succeeded()
		return nil
	}
	if ctx.Err() == nil {
		o.failed(queue, outlet, err)
	}
	return fmt.Errorf("servicebus: queue %q at %s: %w", queue, o.connection.endpoint.address(), err)
}

func (o *outlets) outlet(queue string) (*outlet, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	client, err := o.connection.client()
	if err != nil {
		return nil, err
	}
	if current := o.byQueue[queue]; current != nil && current.client == client {
		return current, nil
	}
	sender, err := client.NewSender(queue, nil)
	if err != nil {
		return nil, fmt.Errorf("servicebus: %w", err)
	}
	o.byQueue[queue] = &outlet{sender: sender, client: client}
	return o.byQueue[queue], nil
}

func (o *outlets) succeeded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = 0
}

// failed replaces the sender, whose link may be wedged, and sooner or later the connection.
func (o *outlets) failed(queue string, old *outlet, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byQueue[queue] != old {
		return // another send that failed with it was faster
	}
	delete(o.byQueue, queue)
	o.failures++
	if o.failures >= failuresBeforeReconnect || isConnectionLost(err) {
		o.failures = 0
		o.connection.drop(old.client)
		return
	}
	o.connection.discard(old.sender)
}

func isConnectionLost(err error) bool {
	var typed *azservicebus.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &typed) && typed.Code == azservicebus.CodeConnectionLost
}

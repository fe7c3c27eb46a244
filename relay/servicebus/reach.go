package servicebus

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// ReachRequests connects to the requests queue and has it answer a question. No message is taken or locked.
func (a *Agent) ReachRequests(ctx context.Context) error {
	_, err := a.open(ctx)
	return err
}

// ReachResults attaches a sender to a results queue, which the queue grants only to who may send. Nothing is sent.
func (a *Agent) ReachResults(ctx context.Context, queue string) error {
	outlet, err := a.outlets.outlet(queue)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err = guarded(func() (*azservicebus.MessageBatch, error) { return outlet.sender.NewMessageBatch(limited, nil) })
	if err != nil {
		return fmt.Errorf("servicebus: queue %q at %s: %w", queue, a.results.endpoint.address(), err)
	}
	return nil
}

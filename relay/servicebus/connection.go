package servicebus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// Time limits of single calls. The SDK has none of its own and notices a silent peer only after a minute.
const (
	openTimeout  = 30 * time.Second // connect, sign in, attach
	closeTimeout = 5 * time.Second
)

// errClosed is returned by everything that is used after Close.
var errClosed = errors.New("servicebus: closed")

// NewConn opens a connection to the broker in place of TCP and TLS, for WebSockets and tests. The connection must outlive ctx,
// which bounds only the opening.
type NewConn func(ctx context.Context) (net.Conn, error)

// connection holds the one SDK client for a connection string and replaces it when it is of no use any more.
type connection struct {
	endpoint endpoint
	newConn  NewConn

	mu      sync.Mutex
	current *azservicebus.Client
	closed  bool
	closing sync.WaitGroup // closings of what was replaced
}

func newConnection(endpoint endpoint, newConn NewConn) *connection {
	return &connection{endpoint: endpoint, newConn: newConn}
}

// client returns the current client. It does not connect; the first use of what it makes does.
func (c *connection) client() (*azservicebus.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.current != nil {
		return c.current, nil
	}
	client, err := azservicebus.NewClientFromConnectionString(c.endpoint.reveal(), c.options())
	if err != nil {
		return nil, fmt.Errorf("servicebus: %w", err)
	}
	c.current = client
	return client, nil
}

func (c *connection) options() *azservicebus.ClientOptions {
	options := &azservicebus.ClientOptions{
		CustomEndpoint: c.endpoint.custom,
		// One quick retry repairs a connection that was lost while idle. Everything longer is the caller's business.
		RetryOptions: azservicebus.RetryOptions{MaxRetries: 1, RetryDelay: 100 * time.Millisecond, MaxRetryDelay: time.Second},
	}
	if c.newConn != nil {
		options.NewWebSocketConn = func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
			return c.newConn(ctx)
		}
	}
	return options
}

// drop replaces client, if it is still the current one, by a new one at the next use.
func (c *connection) drop(client *azservicebus.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client == nil || c.current != client {
		return
	}
	c.current = nil
	c.discardLocked(client)
}

// closer is a client, a receiver or a sender.
type closer interface {
	Close(ctx context.Context) error
}

// discard closes what was replaced, without waiting: its far end may be silent.
func (c *connection) discard(old closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discardLocked(old)
}

func (c *connection) discardLocked(old closer) {
	c.closing.Go(func() { closeQuietly(old) })
}

// closeQuietly closes within the time limit. Errors are of no interest: it is done with either way.
func closeQuietly(old closer) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, _ = guarded(func() (struct{}, error) { return struct{}{}, old.Close(ctx) })
}

// close ends the connection for good and waits, within ctx, for everything to be closed.
func (c *connection) close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	if c.current != nil {
		c.discardLocked(c.current)
		c.current = nil
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

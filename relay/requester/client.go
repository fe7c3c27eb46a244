package requester

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Client asks the agents of one group. It is safe for concurrent use; make one per process.
type Client struct {
	config  Config // but for the keys, which change
	keys    atomic.Pointer[keyring]
	turn    sync.Mutex // held while the keys are replaced
	table   *table
	stats   counters
	trouble atomic.Pointer[error] // why the last receive failed; nil while receiving works

	stop    context.CancelFunc
	stopped chan struct{} // closed when the loop has ended
	closing sync.Once
}

// New makes a client and begins to receive answers. It takes over the transport: Close ends both. Errors are *[Error] with a remedy.
func New(config Config) (*Client, error) {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Transport == nil || config.Session == "" {
		return nil, writeback.NewError(writeback.AgentMisconfigured, errors.New("needs a transport and the session it receives from"))
	}
	keys, err := config.keyring(Keys{SigningKey: config.SigningKey, Agents: config.Agents})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	client := &Client{config: config, table: newTable(config.Clock), stop: stop, stopped: make(chan struct{})}
	client.keys.Store(keys)
	go client.receive(ctx)
	return client, nil
}

// Close stops receiving and closes the transport. Callers that still wait get [ErrNoAnswer].
func (c *Client) Close(ctx context.Context) error {
	var err error
	c.closing.Do(func() {
		c.stop()
		err = c.config.Transport.Close(ctx)
		select {
		case <-c.stopped:
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
	})
	return err
}

// Stats counts what has arrived since New.
type Stats struct {
	Results      uint64 // signed by a pinned agent for a request of ours
	Repeated     uint64 // such results again, or after all was known
	Unverifiable uint64 // not signed by a pinned agent for this portal
	Unmatched    uint64 // signed, but for no request we wait for
	ReceiveFails uint64 // the connection failed; receiving goes on after a pause
}

// counters are Stats in the making.
type counters struct {
	results, repeated, unverifiable, unmatched, receiveFails atomic.Uint64
}

// Stats returns the counts. Unverifiable results mean that somebody else writes to the results queue, or that an agent has a new key.
func (c *Client) Stats() Stats {
	return Stats{
		Results: c.stats.results.Load(), Repeated: c.stats.repeated.Load(), Unverifiable: c.stats.unverifiable.Load(),
		Unmatched: c.stats.unmatched.Load(), ReceiveFails: c.stats.receiveFails.Load(),
	}
}

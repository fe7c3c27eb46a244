package requester

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// receive takes answers until the client is closed. It survives every fault of the connection: requests that were sent are answered on
// the session whenever it comes back.
func (c *Client) receive(ctx context.Context) {
	defer close(c.stopped)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, 15*time.Second
	for ctx.Err() == nil {
		token, _, err := c.config.Transport.ReceiveResult(ctx)
		if err == nil {
			c.trouble.Store(nil)
			pause.Reset()
			c.accept(token)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		c.trouble.Store(&err)
		c.stats.receiveFails.Add(1)
		sleep(ctx, pause.NextBackOff())
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// accept verifies one answer and hands it to its request. What does not verify is counted and ignored: the queue is not trusted.
func (c *Client) accept(token []byte) {
	verified, err := c.keys.Load().verifier.Verify(token)
	if err != nil {
		c.stats.unverifiable.Add(1)
		return
	}
	digest, awaited := c.table.digestOf(verified.RequestID())
	if !awaited {
		c.stats.unmatched.Add(1)
		return
	}
	result, err := verified.For(verified.RequestID(), digest)
	if err != nil {
		c.stats.unmatched.Add(1)
		return
	}
	if !c.table.deliver(result, &c.stats.results) {
		c.stats.repeated.Add(1)
	}
}

package requester

import (
	"context"
	"errors"
	"time"

	"github.com/password-writeback/writeback/relay/envelope"
)

// How long a request is waited for and kept.
const (
	// answerMargin is added to a request's expiry: clocks differ by up to 30 s, an agent looks for a lost write for up to 30 s, and the answer needs a moment.
	answerMargin = 75 * time.Second
	// queueMargin is how long a request stays in the queue after its expiry. A late agent then answers that it expired, instead of silence.
	queueMargin = 10 * time.Minute
)

// Exchange sends a prepared token and waits for its next answer: until ctx ends, or until no agent can serve the request any more. The
// same token may be sent again, to ask what became of it; use [Client.ExchangeAs] where the queue would drop the repetition.
func (c *Client) Exchange(ctx context.Context, token []byte) (Result, error) {
	return c.ExchangeAs(ctx, "", token)
}

// ExchangeAs is Exchange under a message id of the caller's choice; empty stands for the request's own. A queue that detects duplicates
// silently drops a message whose id it has seen within ten minutes.
func (c *Client) ExchangeAs(ctx context.Context, messageID string, token []byte) (Result, error) {
	peeked, err := envelope.Peek(token)
	if err != nil {
		return Result{}, err
	}
	if messageID == "" {
		messageID = peeked.ID
	}
	if c.isClosed() {
		return Result{}, ErrClosed
	}
	entry, seen := c.table.expect(peeked.ID, peeked.Digest)
	defer c.table.leave(entry)
	left := max(0, peeked.ExpiresAt.Sub(c.config.Clock()))
	if err := c.config.Transport.SendRequest(ctx, messageID, peeked.Operation, token, left+queueMargin); err != nil {
		return Result{}, &ExchangeError{RequestID: peeked.ID, Kind: ErrNotConfirmed, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, left+answerMargin)
	defer cancel()
	return c.wait(ctx, entry, func() (Result, bool) {
		results, _ := c.table.look(entry, seen)
		if len(results) == 0 {
			return Result{}, false
		}
		return results[0], true
	})
}

// Await waits for what is still to come for a request of this client whose outcome is not known: its late answer after [ErrNoAnswer], or
// the one revision after the verdict [Unknown]. It returns the first result with a verdict other than Unknown, and waits as long as ctx allows; a
// revision comes within an hour or not at all. The errors are [ErrForgotten], and [ErrNoAnswer] when ctx ends.
func (c *Client) Await(ctx context.Context, requestID string) (Result, error) {
	entry, known := c.table.find(requestID)
	if !known {
		return Result{}, ErrForgotten
	}
	defer c.table.leave(entry)
	return c.wait(ctx, entry, func() (Result, bool) {
		results, _ := c.table.look(entry, 0)
		for _, result := range results {
			if result.Outcome.Verdict != Unknown {
				return result, true
			}
		}
		return Result{}, false
	})
}

// wait asks pick after each result until it has one.
func (c *Client) wait(ctx context.Context, entry *request, pick func() (Result, bool)) (Result, error) {
	for {
		_, changed := c.table.look(entry, 0) // before pick: a result that comes in between closes it
		if result, found := pick(); found {
			c.table.tell(entry, result)
			return result, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Result{}, &ExchangeError{RequestID: entry.id, Kind: ErrNoAnswer, Cause: errors.Join(ctx.Err(), c.receiveTrouble())}
		case <-c.stopped:
			return Result{}, &ExchangeError{RequestID: entry.id, Kind: ErrNoAnswer, Cause: ErrClosed}
		}
	}
}

// receiveTrouble returns why no answers are received at the moment; nil if they are.
func (c *Client) receiveTrouble() error {
	if trouble := c.trouble.Load(); trouble != nil {
		return *trouble
	}
	return nil
}

func (c *Client) isClosed() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/cenkalti/backoff/v5"
)

// renewBefore is how long before its end a session's lock is renewed; half of the lock's duration if that is less.
const renewBefore = time.Minute

// session is the portal's accepted session.
type session struct {
	receiver *azservicebus.SessionReceiver
	client   *azservicebus.Client
	margin   time.Duration
}

// ReceiveResult returns the next result of the portal's session. The message is completed when it returns. A session that is
// lost is accepted again, with growing pauses, until ctx ends; only what waiting cannot cure (no right, no such queue, closed)
// is returned before. Concurrent calls take turns.
func (p *Portal) ReceiveResult(ctx context.Context) (token []byte, correlationID string, err error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	pauses := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: 2, RandomizationFactor: 0.5}
	for {
		message, err := p.next(ctx)
		if message != nil {
			p.complete(ctx, message)
			return limited(message.Body), text(message.CorrelationID), nil
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil || isHopeless(err) {
			return nil, "", fmt.Errorf("servicebus: queue %q at %s: %w", p.config.ResultsQueue, p.results.endpoint.address(), err)
		}
		pause := pauses.NextBackOff()
		p.warn(err, "servicebus: cannot receive results; trying again in "+pause.String())
		wait(ctx, pause)
	}
}

// next waits for one message, for as long as the session's lock needs no renewal. Neither message nor error: ask again.
func (p *Portal) next(ctx context.Context) (*azservicebus.ReceivedMessage, error) {
	if err := p.ready(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithDeadline(ctx, p.session.receiver.LockedUntil().Add(-p.session.margin))
	defer cancel()
	messages, err := guarded(func() ([]*azservicebus.ReceivedMessage, error) {
		return p.session.receiver.ReceiveMessages(limited, 1, nil)
	})
	switch {
	case len(messages) > 0:
		return messages[0], nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errPoison):
		p.warn(err, "servicebus: a result cannot be read and is left in the queue")
		return nil, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, nil
	case err == nil:
		err = errLinkLost
	}
	p.lose()
	return nil, err
}

// ready accepts the session if there is none, and renews its lock if that is about to run out.
func (p *Portal) ready(ctx context.Context) error {
	if p.session == nil {
		return p.accept(ctx)
	}
	if time.Until(p.session.receiver.LockedUntil()) > p.session.margin {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err := p.session.receiver.RenewSessionLock(limited, nil)
	if err == nil && time.Until(p.session.receiver.LockedUntil()) <= p.session.margin {
		err = errLinkLost // an answer that does not help would make us ask forever
	}
	if err != nil {
		p.lose()
	}
	return err
}

func (p *Portal) accept(ctx context.Context) error {
	client, err := p.results.client()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	receiver, err := client.AcceptSessionForQueue(limited, p.config.ResultsQueue, p.config.Session, nil)
	if err != nil {
		p.results.drop(client)
		return err
	}
	margin := min(renewBefore, max(0, time.Until(receiver.LockedUntil()))/2)
	p.session = &session{receiver: receiver, client: client, margin: margin}
	return nil
}

// lose gives the session and its connection up; the next call accepts anew.
func (p *Portal) lose() {
	p.results.drop(p.session.client)
	p.session = nil
}

// complete removes a result from the queue. If that fails it may come a second time, which the receiver of results must bear anyway.
func (p *Portal) complete(ctx context.Context, message *azservicebus.ReceivedMessage) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstTry)
	defer cancel()
	if err := p.session.receiver.CompleteMessage(limited, message, nil); err != nil {
		p.warn(err, "servicebus: cannot complete a result; it may come again")
		p.lose()
	}
}

func (p *Portal) warn(err error, what string) {
	if p.config.Logger != nil {
		p.config.Logger.WithError(err).Warn(what)
	}
}

// isHopeless reports whether trying again cannot help.
func isHopeless(err error) bool {
	var typed *azservicebus.Error
	if errors.Is(err, errClosed) {
		return true
	}
	return errors.As(err, &typed) && (typed.Code == azservicebus.CodeUnauthorizedAccess || typed.Code == azservicebus.CodeNotFound)
}

func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

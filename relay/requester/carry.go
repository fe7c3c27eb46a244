package requester

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// CarryConfig says where the queues are. [Carry] needs no key: the tokens are made and verified elsewhere.
type CarryConfig struct {
	// ConnectionString of the namespace or of the requests queue, with the right Send, and Listen unless ResultsConnectionString is given.
	ConnectionString        Secret
	ResultsConnectionString Secret // for the results queue, with the right Listen; empty: ConnectionString serves it too
	RequestsQueue           string
	ResultsQueue            string             // the portal's own, with sessions
	Logger                  logrus.FieldLogger // told about trouble that is overcome; nil: nobody is
	// NewConn, when set, opens connections in place of TCP and TLS.
	NewConn func(ctx context.Context) (net.Conn, error)
}

// longestLife bounds what a token may say of its own life: no agent serves one that lives for longer.
const longestLife = time.Hour

// Carry takes a request token, made by any program, to the agents, and returns the first result token that comes for it. It waits until
// ctx ends, or until 75 s after the token's expiry, when no answer is to be expected any more. It is the transport for programs that have no AMQP.
//
// The result is not verified: whoever made the request holds the keys to do that, and must. Carry receives on the session that the token
// names as its claim "reply"; results for other requests in that session are lost, so each token needs a session of its own, or one
// that is used by one Carry at a time. Errors are as with [Client.Reset].
func Carry(ctx context.Context, config CarryConfig, token []byte) ([]byte, error) {
	peeked, err := envelope.Peek(token)
	if err != nil {
		return nil, err
	}
	left := min(max(0, time.Until(peeked.ExpiresAt)), longestLife)
	ctx, cancel := context.WithTimeout(ctx, left+answerMargin)
	defer cancel()
	portal, err := servicebus.DialPortal(ctx, servicebus.PortalConfig{
		ConnectionString: config.ConnectionString, ResultsConnectionString: config.ResultsConnectionString,
		RequestsQueue: config.RequestsQueue, ResultsQueue: config.ResultsQueue, Session: peeked.Session,
		Logger: config.Logger, NewConn: config.NewConn,
	})
	if err != nil {
		return nil, err
	}
	defer hangUp(ctx, portal)
	if err := portal.SendRequest(ctx, peeked.ID, peeked.Operation, token, left+queueMargin); err != nil {
		return nil, &ExchangeError{RequestID: peeked.ID, Kind: ErrNotConfirmed, Cause: err}
	}
	return resultFor(ctx, portal, peeked.ID)
}

// resultFor passes over what is not a result token for the request: the queue is not trusted.
func resultFor(ctx context.Context, transport Transport, requestID string) ([]byte, error) {
	for {
		token, correlationID, err := transport.ReceiveResult(ctx)
		if err != nil {
			return nil, &ExchangeError{RequestID: requestID, Kind: ErrNoAnswer, Cause: errors.Join(ctx.Err(), err)}
		}
		if correlationID == requestID && envelope.LooksLikeToken(token) {
			return token, nil
		}
	}
}

// farewell bounds the good-bye to the queue: nothing depends on it any more.
const farewell = 2 * time.Second

func hangUp(ctx context.Context, transport Transport) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = transport.Close(ctx) // the answer is there, or will not come
}

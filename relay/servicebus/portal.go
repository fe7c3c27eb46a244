package servicebus

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
)

// PortalConfig says where a portal finds its queues.
type PortalConfig struct {
	// ConnectionString of the namespace or of the requests queue; it needs the right Send, and Listen unless
	// ResultsConnectionString is given.
	ConnectionString secret.Value
	// ResultsConnectionString for the results queue; empty: ConnectionString serves it too.
	ResultsConnectionString secret.Value
	// RequestsQueue is the queue that agents take requests from.
	RequestsQueue string
	// ResultsQueue is this portal's own queue, with sessions.
	ResultsQueue string
	// Session is this process's own session of the results queue: at most 128 characters, not to be guessed.
	Session string
	// NewConn, when set, opens connections in place of TCP and TLS.
	NewConn NewConn
	// Logger is told about trouble that ReceiveResult overcomes by itself. Nil: nobody is.
	Logger logrus.FieldLogger
}

// Portal is a portal's end of the queues. Make one with [DialPortal] and Close it.
type Portal struct {
	config   PortalConfig
	requests *connection
	results  *connection
	outlets  *outlets
	turn     chan struct{} // held by the one ReceiveResult that receives
	session  *session      // nil: not accepted; only for the holder of turn
}

// maxSession is the longest session id of Service Bus.
const maxSession = 128

// DialPortal checks the configuration and returns a Portal that connects when it is first used. Faults carry the reason
// agent.misconfigured, name the field, and are reported together.
func DialPortal(_ context.Context, config PortalConfig) (*Portal, error) {
	requests, results, err := config.endpoints()
	if err != nil {
		return nil, err
	}
	portal := &Portal{
		config:   config,
		requests: newConnection(requests, config.NewConn),
		results:  newConnection(results, config.NewConn),
		turn:     make(chan struct{}, 1),
	}
	portal.outlets = newOutlets(portal.requests)
	return portal, nil
}

func (c PortalConfig) endpoints() (requests, results endpoint, err error) {
	faults := []error{c.checkNames()}
	requests, fault := parseConnectionString("ConnectionString", c.ConnectionString, c.RequestsQueue)
	faults = append(faults, fault)
	results = requests
	if !c.ResultsConnectionString.Empty() {
		results, fault = parseConnectionString("ResultsConnectionString", c.ResultsConnectionString, c.ResultsQueue)
		faults = append(faults, fault)
	}
	return requests, results, errors.Join(faults...)
}

func (c PortalConfig) checkNames() error {
	var faults []error
	if c.RequestsQueue == "" {
		faults = append(faults, misconfigured("Name the queue that agents take requests from.", "RequestsQueue is empty"))
	}
	if c.ResultsQueue == "" {
		faults = append(faults, misconfigured("Name the results queue of this portal.", "ResultsQueue is empty"))
	}
	if c.Session == "" || len(c.Session) > maxSession {
		faults = append(faults, misconfigured("Use a fresh random id.", "Session must have 1 to %d characters", maxSession))
	}
	return errors.Join(faults...)
}

// SendRequest sends a token and returns nil once the queue has accepted it. messageID is the token's jti, subject its
// operation. A second send with the same messageID is dropped by queues with duplicate detection, silently.
func (p *Portal) SendRequest(ctx context.Context, messageID, subject string, token []byte, ttl time.Duration) error {
	return p.outlets.send(ctx, p.config.RequestsQueue, &azservicebus.Message{
		Body:        token,
		ContentType: new(contentType),
		MessageID:   &messageID,
		Subject:     &subject,
		TimeToLive:  &ttl,
	})
}

// Close gives the session back and ends both connections.
func (p *Portal) Close(ctx context.Context) error {
	return errors.Join(p.requests.close(ctx), p.results.close(ctx))
}

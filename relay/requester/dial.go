package requester

import (
	"context"
	"net"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/relay/servicebus"
)

// DialConfig is a [Config] for Azure Service Bus: transport and session are made from it.
type DialConfig struct {
	Issuer     string
	Group      string
	SigningKey PrivateKey
	Agents     []PublicKey
	Life       time.Duration    // 0 for DefaultLife
	Clock      func() time.Time // nil: time.Now

	// ConnectionString of the namespace or of the requests queue, with the right Send, and Listen unless ResultsConnectionString is given.
	ConnectionString        Secret
	ResultsConnectionString Secret // for the results queue, with the right Listen; empty: ConnectionString serves it too
	RequestsQueue           string
	ResultsQueue            string             // this portal's own, with sessions
	Logger                  logrus.FieldLogger // told about trouble that is overcome; nil: nobody is
	// NewConn, when set, opens connections in place of TCP and TLS.
	NewConn func(ctx context.Context) (net.Conn, error)
}

// Dial makes a client on Azure Service Bus, with a session of its own. It checks the configuration; the connection is made when it is
// first used.
func Dial(ctx context.Context, config DialConfig) (*Client, error) {
	session := NewSession()
	portal, err := servicebus.DialPortal(ctx, servicebus.PortalConfig{
		ConnectionString: config.ConnectionString, ResultsConnectionString: config.ResultsConnectionString,
		RequestsQueue: config.RequestsQueue, ResultsQueue: config.ResultsQueue, Session: session,
		Logger: config.Logger, NewConn: config.NewConn,
	})
	if err != nil {
		return nil, err
	}
	client, err := New(Config{
		Issuer: config.Issuer, Group: config.Group, SigningKey: config.SigningKey, Agents: config.Agents,
		Transport: portal, Session: session, Life: config.Life, Clock: config.Clock,
	})
	if err != nil {
		_ = portal.Close(ctx)
		return nil, err
	}
	return client, nil
}

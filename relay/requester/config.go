package requester

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/relay/envelope"
)

// Transport carries tokens to the agents' queue and answers back.
type Transport interface {
	// SendRequest puts a token into the requests queue and returns when the queue has confirmed it. Sending the same messageID again within
	// the queue's detection of duplicates is harmless.
	SendRequest(ctx context.Context, messageID, subject string, token []byte, ttl time.Duration) error
	// ReceiveResult blocks for the next message of the reply session; the message is already settled when it is returned. Only the client's
	// one loop calls it. correlationID is a hint that proves nothing.
	ReceiveResult(ctx context.Context) (token []byte, correlationID string, err error)
	// Close ends the connection.
	Close(ctx context.Context) error
}

// DefaultLife is how long a request lives unless the configuration says otherwise.
const DefaultLife = 60 * time.Second

// Config is what a portal process needs to ask.
type Config struct {
	Issuer     string      // the portal's id, as the agents have it in their configuration
	Group      string      // the agents' group
	SigningKey PrivateKey  // the portal's own; the agents have pinned its public half; see [Client.SetKeys]
	Agents     []PublicKey // all keys of all agents of the group, as exported: each names its agent; see [Client.SetKeys]
	Transport  Transport
	Session    string           // the reply session Transport receives from, from [NewSession]
	Life       time.Duration    // how long a request may be served: 0 for DefaultLife, at most 120 s
	Clock      func() time.Time // nil: time.Now
}

// NewSession returns a new random name for a reply session. One per process: two that share a session take each other's answers.
func NewSession() string { return envelope.NewID() }

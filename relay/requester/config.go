package requester

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
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
	SigningKey PrivateKey  // the portal's own; the agents have pinned its public half
	Agents     []PublicKey // all keys of all agents of the group, as exported: each names its agent
	Transport  Transport
	Session    string           // the reply session Transport receives from, from [NewSession]
	Life       time.Duration    // how long a request may be served: 0 for DefaultLife, at most 120 s
	Clock      func() time.Time // nil: time.Now
}

// NewSession returns a new random name for a reply session. One per process: two that share a session take each other's answers.
func NewSession() string { return envelope.NewID() }

// crypto makes the two halves of the envelope from the configuration.
func (c Config) crypto() (*envelope.Sealer, *envelope.ResultVerifier, error) {
	sealing, signing, err := c.sortKeys()
	if err != nil {
		return nil, nil, err
	}
	sealer, err := envelope.NewSealer(envelope.SealerConfig{
		Issuer: c.Issuer, Group: c.Group, SigningKey: c.SigningKey, Recipients: sealing, Life: c.Life, Now: c.Clock,
	})
	if err != nil {
		return nil, nil, err
	}
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{Issuer: c.Issuer, Agents: signing})
	return sealer, verifier, err
}

// sortKeys separates the agents' keys by use. A key that does not say whose it is, or is another group's, is refused: results could not be
// attributed, or passwords would be sealed for strangers.
func (c Config) sortKeys() (sealing []PublicKey, signing map[string][]PublicKey, err error) {
	signing = make(map[string][]PublicKey)
	for _, key := range c.Agents {
		agent := key.Agent()
		if group, _, _ := cutLast(agent, "/"); agent == "" || group != c.Group {
			return nil, nil, &Error{
				Reason: writeback.AgentMisconfigured, Hint: "export the keys on the agent (writeback-agent keys export) and check the group",
				Cause: fmt.Errorf("key %s is of the agent %q, not of the group %q", key.KeyID(), agent, c.Group),
			}
		}
		if key.Use() == envelope.UseSeal {
			sealing = append(sealing, key)
		} else {
			signing[agent] = append(signing[agent], key)
		}
	}
	return sealing, signing, nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

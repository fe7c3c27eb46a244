package requester

import (
	"fmt"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// Keys are the keys a client works with.
type Keys struct {
	SigningKey PrivateKey  // signs requests; the agents have pinned its public half
	Agents     []PublicKey // all keys of all agents of the group, those on their way out too; a key that stands twice counts once
}

// keyring is what is made of Keys. It never changes; the client exchanges it as a whole.
type keyring struct {
	keys     Keys
	sealer   *envelope.Sealer
	verifier *envelope.ResultVerifier
}

// keyring makes the two halves of the envelope.
func (c Config) keyring(keys Keys) (*keyring, error) {
	keys.Agents = slices.Clone(keys.Agents)
	sealing, signing, err := c.sortKeys(keys.Agents)
	if err != nil {
		return nil, err
	}
	sealer, err := envelope.NewSealer(envelope.SealerConfig{
		Issuer: c.Issuer, Group: c.Group, SigningKey: keys.SigningKey, Recipients: sealing, Life: c.Life, Now: c.Clock,
	})
	if err != nil {
		return nil, err
	}
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{Issuer: c.Issuer, Agents: signing})
	if err != nil {
		return nil, err
	}
	return &keyring{keys: keys, sealer: sealer, verifier: verifier}, nil
}

// sortKeys separates the agents' keys by use. A key that does not say whose it is, or is another group's, is refused: results could not be
// attributed, or passwords would be sealed for strangers.
func (c Config) sortKeys(keys []PublicKey) (sealing []PublicKey, signing map[string][]PublicKey, err error) {
	signing = make(map[string][]PublicKey)
	seen := make(map[string]string) // key id -> agent
	for _, key := range keys {
		agent := key.Agent()
		if agent == "" || groupOf(agent) != c.Group {
			return nil, nil, foreignKey("key %s is of the agent %q, not of the group %q", key.KeyID(), agent, c.Group)
		}
		owner, twice := seen[key.KeyID()]
		switch {
		case twice && owner != agent:
			return nil, nil, foreignKey("key %s is said to be of the agent %q and of %q", key.KeyID(), owner, agent)
		case twice:
			continue
		case key.Use() == envelope.UseSeal:
			sealing = append(sealing, key)
		default:
			signing[agent] = append(signing[agent], key)
		}
		seen[key.KeyID()] = agent
	}
	return sealing, signing, nil
}

func foreignKey(format string, values ...any) error {
	return &Error{
		Reason: writeback.AgentMisconfigured, Hint: "Export the keys on the agent (writeback-agent keys export), and check the group.",
		Cause: fmt.Errorf(format, values...),
	}
}

// groupOf returns the part of "group/agent id" before the last slash.
func groupOf(agent string) string { return agent[:max(0, strings.LastIndexByte(agent, '/'))] }

// Keys returns the keys in use.
func (c *Client) Keys() Keys {
	keys := c.keys.Load().keys
	keys.Agents = slices.Clone(keys.Agents)
	return keys
}

// SetKeys replaces the client's keys from the next request on, without an interruption: requests under way stay valid, and so does the
// session. Keys that do not go together are refused with an *[Error], and the earlier ones stay.
//
// Requests are sealed for all sealing keys of Agents, and results believed that any signing key of Agents made. So while an agent changes
// its keys, Agents holds the old and the new ones, as the agent exports them; leave the old ones out an hour after the agent has dropped
// them, since a result signed before may come that late. A new SigningKey is used at once: set it when all agents have pinned it.
func (c *Client) SetKeys(keys Keys) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.replace(keys)
}

// SetAgents is SetKeys for the agents' keys alone.
func (c *Client) SetAgents(agents []PublicKey) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.replace(Keys{SigningKey: c.keys.Load().keys.SigningKey, Agents: agents})
}

// SetSigningKey is SetKeys for the portal's own key alone.
func (c *Client) SetSigningKey(key PrivateKey) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.replace(Keys{SigningKey: key, Agents: c.keys.Load().keys.Agents})
}

// replace is called by the holder of turn.
func (c *Client) replace(keys Keys) error {
	ring, err := c.config.keyring(keys)
	if err != nil {
		return err
	}
	c.keys.Store(ring)
	return nil
}

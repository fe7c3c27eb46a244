package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// agentKeys are this agent's own keys: all that open requests, and the newest that signs.
type agentKeys struct {
	sealing []envelope.PrivateKey
	signing envelope.PrivateKey
	all     []envelope.PrivateKey // newest first
}

func loadAgentKeys(cfg *config.Config) (agentKeys, error) {
	all, err := Keys(cfg)
	if err != nil {
		return agentKeys{}, err
	}
	keys := agentKeys{all: all}
	for _, key := range all {
		switch {
		case key.Public().Use() == envelope.UseSeal:
			keys.sealing = append(keys.sealing, key)
		case keys.signing.IsZero():
			keys.signing = key
		}
	}
	switch {
	case len(all) == 0:
		return agentKeys{}, NoKeys()
	case len(keys.sealing) == 0:
		return agentKeys{}, missing("this agent has no sealing key")
	case keys.signing.IsZero():
		return agentKeys{}, missing("this agent has no signing key")
	}
	return keys, nil
}

// Keys returns the agent's keys, newest first; none, where their folder does not exist yet. It makes nothing.
func Keys(cfg *config.Config) ([]envelope.PrivateKey, error) {
	if _, err := os.Stat(cfg.KeysDir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	store, err := envelope.OpenKeyStore(cfg.KeysDir)
	if err != nil {
		return nil, err
	}
	return store.List()
}

// NoKeys is the error of an agent that needs keys and has none, with its remedy.
func NoKeys() error { return missing("this agent has no keys yet") }

func missing(what string) error {
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: errors.New(what),
		Hint: `Run "writeback-agent keys new", and give the portal what "writeback-agent keys export" prints.`,
	}
}

// Describe returns the public side of keys, as status shows it.
func Describe(keys []envelope.PrivateKey) ([]status.Key, error) {
	described := make([]status.Key, 0, len(keys))
	for _, key := range keys {
		public, err := envelope.EncodePublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		described = append(described, status.Key{ID: key.KeyID(), Use: useInWords(key.Public().Use()), Created: key.Created(), Public: public})
	}
	return described, nil
}

func useInWords(use envelope.Use) string {
	if use == envelope.UseSeal {
		return "sealing"
	}
	return "signing"
}

// issuerKeys reads the keys that the configuration pins, by issuer; add learns of each file that is not usable.
func issuerKeys(cfg *config.Config, add func(path string, err error)) map[string][]envelope.PublicKey {
	keys := map[string][]envelope.PublicKey{}
	for i, issuer := range cfg.Issuers {
		for k, file := range issuer.Keys {
			found, err := envelope.LoadPublicKeys(file)
			if err != nil {
				add(fmt.Sprintf("issuers[%d].keys[%d]", i, k), err)
			}
			keys[issuer.ID] = append(keys[issuer.ID], found...)
		}
	}
	return keys
}

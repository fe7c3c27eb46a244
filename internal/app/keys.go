package app

import (
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// CheckFiles looks into the key files of a valid configuration and names every fault, as config.Load does: what stands in
// them is the envelope's business, so the configuration can only see that they are there.
func CheckFiles(cfg *config.Config) error {
	_, faults := loadIssuerKeys(cfg)
	if _, err := loadAgentKeys(cfg); err != nil {
		faults = append(faults, keyFault("keys_dir", err))
	}
	if len(faults) > 0 {
		return &config.Faults{File: "configuration", List: faults}
	}
	return nil
}

// agentKeys are this agent's own keys: all that open requests, and the newest that signs.
type agentKeys struct {
	sealing []envelope.PrivateKey
	signing envelope.PrivateKey
	all     []envelope.PrivateKey
}

func loadAgentKeys(cfg *config.Config) (agentKeys, error) {
	store, err := envelope.OpenKeyStore(cfg.KeysDir)
	if err != nil {
		return agentKeys{}, err
	}
	all, err := store.List()
	if err != nil {
		return agentKeys{}, err
	}
	keys := agentKeys{all: all}
	for _, key := range all { // newest first
		switch {
		case key.Public().Use() == envelope.UseSeal:
			keys.sealing = append(keys.sealing, key)
		case keys.signing.IsZero():
			keys.signing = key
		}
	}
	if len(keys.sealing) == 0 || keys.signing.IsZero() {
		return agentKeys{}, &writeback.Error{
			Reason: writeback.AgentMisconfigured,
			Hint:   `Run "writeback-agent keys new" and give the portal what "writeback-agent keys export" prints.`,
			Cause:  errors.New("this agent has no keys yet"),
		}
	}
	return keys, nil
}

func loadIssuerKeys(cfg *config.Config) (map[string][]envelope.PublicKey, []config.Fault) {
	keys := map[string][]envelope.PublicKey{}
	var faults []config.Fault
	for i, issuer := range cfg.Issuers {
		for k, path := range issuer.Keys {
			found, err := envelope.LoadPublicKeys(path)
			if err != nil {
				faults = append(faults, keyFault(fmt.Sprintf("issuers[%d].keys[%d]", i, k), err))
			}
			keys[issuer.ID] = append(keys[issuer.ID], found...)
		}
	}
	return keys, faults
}

func keyFault(path string, err error) config.Fault {
	fault := config.Fault{Path: path, Problem: err.Error()}
	var typed *writeback.Error
	if errors.As(err, &typed) {
		fault.Remedy = typed.Remedy()
		if typed.Cause != nil {
			fault.Problem = typed.Cause.Error()
		}
	}
	return fault
}

package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// KeyFiles is what this host knows about keys, apart from the files that the configuration names: the agent's own keys, the portals' keys
// that were pinned by command, and all revocations.
type KeyFiles struct {
	Own   []envelope.StoredKey // newest first
	Trust envelope.Trust
	// Generation names this state of the files. It is the same for whoever looks at them, so that a command can tell that the running
	// agent has taken over what it changed.
	Generation string
}

// TrustDir is where the portals' pinned keys and all revocations lie.
func TrustDir(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "trust") }

// ReadKeyFiles reads them. Folders that do not exist yet are empty, and it makes nothing. A file that cannot be used is the fault of its key
// only; an error means that a folder cannot be used at all.
func ReadKeyFiles(cfg *config.Config) (KeyFiles, error) {
	var files KeyFiles
	var err error
	// First, so that a change while the rest is read shows as another generation later.
	if files.Generation, err = KeyGeneration(cfg); err != nil {
		return KeyFiles{}, err
	}
	if exists(cfg.KeysDir) {
		store, err := envelope.OpenKeyStore(cfg.KeysDir)
		if err != nil {
			return KeyFiles{}, err
		}
		if files.Own, err = store.Scan(); err != nil {
			return KeyFiles{}, err
		}
	}
	if exists(TrustDir(cfg)) {
		store, err := envelope.OpenTrustStore(TrustDir(cfg))
		if err != nil {
			return KeyFiles{}, err
		}
		if files.Trust, err = store.Load(); err != nil {
			return KeyFiles{}, err
		}
	}
	return files, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// KeyGeneration names the state of the files by their names, sizes and times of change, without reading them.
func KeyGeneration(cfg *config.Config) (string, error) {
	sum := sha256.New()
	for _, directory := range []string{cfg.KeysDir, TrustDir(cfg)} {
		entries, err := os.ReadDir(directory)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", keysUnreadable(err)
		}
		if about, err := os.Stat(directory); err == nil {
			fmt.Fprintf(sum, "%v\n", about.Mode()) // one that others can use is refused
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone in between: the next look will differ
			}
			if err != nil {
				return "", keysUnreadable(err)
			}
			fmt.Fprintf(sum, "%q %d %d %v\n", entry.Name(), info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func keysUnreadable(err error) error {
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: err,
		Hint: "Run this command as the account the agent runs as, or as root; let that account own keys_dir and the folder trust in state_dir.",
	}
}

// Usable says what the agent's own keys are good for at a time.
func (f KeyFiles) Usable(now time.Time) envelope.KeySet {
	return envelope.SelectKeys(f.Own, f.Trust.IsRevoked, now)
}

// StateOf returns the state of one of the agent's own keys.
func (f KeyFiles) StateOf(key envelope.StoredKey, now time.Time) envelope.KeyState {
	switch {
	case f.Trust.IsRevoked(key.ID):
		return envelope.KeyRevoked
	case key.Fault != nil:
		return envelope.KeyBroken
	}
	return key.Life.State(now)
}

// check returns an error where an agent cannot begin with its own keys.
func (f KeyFiles) check(now time.Time) error {
	for _, key := range f.Own {
		if key.Fault != nil && !f.Trust.IsRevoked(key.ID) {
			return key.Fault
		}
	}
	if len(f.Own) == 0 {
		return NoKeys()
	}
	if lack := lacking(f.Usable(now)); lack != "" {
		return missing(lack)
	}
	return nil
}

// lacking says which of the agent's keys it cannot do without is not there; empty: none.
func lacking(set envelope.KeySet) string {
	switch {
	case len(set.Opening) == 0:
		return "this agent has no sealing key"
	case set.Signing.IsZero():
		return "this agent has no signing key"
	}
	return ""
}

// NoKeys is the error of an agent that needs keys and has none, with its remedy.
func NoKeys() error { return missing("this agent has no keys yet") }

func missing(what string) error {
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: errors.New(what),
		Hint: `Run "writeback-agent keys new", and give the portal what "writeback-agent keys export" prints.`,
	}
}

// RemoveDead deletes the agent's own keys that were revoked or that expired before a time, and returns their ids.
func (f KeyFiles) RemoveDead(cfg *config.Config, expiredBy time.Time) (removed []string, err error) {
	for _, key := range f.Own {
		if !f.Trust.IsRevoked(key.ID) && (key.Fault != nil || key.Life.State(expiredBy) != envelope.KeyRetired) {
			continue
		}
		store, err := envelope.OpenKeyStore(cfg.KeysDir)
		if err == nil {
			err = store.Remove(key)
		}
		if err != nil {
			return removed, err
		}
		removed = append(removed, key.ID)
	}
	return removed, nil
}

// ConfiguredKeys reads the keys that the configuration pins, by issuer; add learns of each file that is not usable, and may be nil.
func ConfiguredKeys(cfg *config.Config, add func(path string, err error)) map[string][]envelope.PublicKey {
	keys := map[string][]envelope.PublicKey{}
	for i, issuer := range cfg.Issuers {
		keys[issuer.ID] = nil
		for k, file := range issuer.Keys {
			found, err := envelope.LoadPublicKeys(file)
			if err != nil && add != nil {
				add(fmt.Sprintf("issuers[%d].keys[%d]", i, k), err)
			}
			keys[issuer.ID] = append(keys[issuer.ID], found...)
		}
	}
	return keys
}

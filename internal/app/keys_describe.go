package app

import (
	"cmp"
	"slices"
	"time"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/relay/envelope"
)

// Describe returns the agent's own keys as status shows them, newest first.
func (f KeyFiles) Describe(now time.Time) ([]status.Key, error) {
	signer := f.Usable(now).Signing.KeyID()
	described := make([]status.Key, 0, len(f.Own))
	for _, key := range f.Own {
		row := status.Key{
			ID: key.ID, Use: useInWords(key.Use), State: string(f.StateOf(key, now)), Signs: key.ID == signer && key.Use == envelope.UseSign,
			ActiveFrom: key.Life.ActiveFrom.UTC(), Expires: key.Life.Expires.UTC(),
		}
		if key.Fault == nil {
			public, err := envelope.EncodePublicKey(key.Key.Public())
			if err != nil {
				return nil, err
			}
			row.Created, row.Algorithm, row.Public = key.Key.Created(), string(key.Key.Public().Algorithm()), public
		}
		described = append(described, row)
	}
	return described, nil
}

func useInWords(use envelope.Use) string {
	switch use {
	case envelope.UseSeal:
		return "sealing"
	case envelope.UseSign:
		return "signing"
	}
	return "unknown"
}

// Where a portal's key is pinned.
const (
	fromConfiguration = "configuration"
	fromStore         = "command"
)

// DescribeTrusted returns the portals' keys, those of the configuration and those of the store, by issuer. A key in both stands there once.
func (f KeyFiles) DescribeTrusted(configured map[string][]envelope.PublicKey, now time.Time) []status.TrustedKey {
	var rows []status.TrustedKey
	known := map[string]bool{}
	for issuer, keys := range configured {
		for _, key := range keys {
			row := status.TrustedKey{ID: key.KeyID(), Issuer: issuer, Source: fromConfiguration, Algorithm: string(key.Algorithm())}
			if stored, found := f.Trust.Find(key.KeyID()); found && (stored.Fault != nil || stored.Issuer == issuer) {
				row = f.describePinned(stored, row, now)
			} else {
				row.State = string(f.trustedState(envelope.TrustedKey{ID: row.ID}, now))
			}
			rows, known[row.ID] = append(rows, row), true
		}
	}
	for _, stored := range f.Trust.Keys {
		if !known[stored.ID] {
			rows = append(rows, f.describePinned(stored, status.TrustedKey{ID: stored.ID, Issuer: stored.Issuer, Source: fromStore}, now))
		}
	}
	slices.SortFunc(rows, func(a, b status.TrustedKey) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

func (f KeyFiles) describePinned(key envelope.TrustedKey, row status.TrustedKey, now time.Time) status.TrustedKey {
	row.Pinned, row.Expires, row.State = key.Pinned.UTC(), key.Expires.UTC(), string(f.trustedState(key, now))
	if key.Fault == nil {
		row.Algorithm = string(key.Key.Algorithm())
	}
	return row
}

func (f KeyFiles) trustedState(key envelope.TrustedKey, now time.Time) envelope.KeyState {
	switch {
	case f.Trust.IsRevoked(key.ID):
		return envelope.KeyRevoked
	case key.Fault != nil:
		return envelope.KeyBroken
	}
	return envelope.KeyLife{Expires: key.Expires}.State(now)
}

// DescribeRevoked returns the revocations as the list of keys shows them.
func (f KeyFiles) DescribeRevoked() []status.RevokedKey {
	rows := make([]status.RevokedKey, 0, len(f.Trust.Revoked))
	for _, revocation := range f.Trust.Revoked {
		rows = append(rows, status.RevokedKey{ID: revocation.ID, At: revocation.At.UTC(), Reason: revocation.Reason})
	}
	return rows
}

package envelope

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/password-writeback/writeback/internal/secret"
)

// PublicKey is the public half of a key, as one side gives it to the other. Its zero value is no key and is refused everywhere.
type PublicKey struct {
	id    string
	row   algorithm
	key   any // as go-jose takes it
	agent string
}

// KeyID returns the key's RFC 7638 thumbprint, which names it in every token.
func (k PublicKey) KeyID() string { return k.id }

// Use returns what the key is for.
func (k PublicKey) Use() Use { return k.row.use }

// Algorithm returns the one algorithm the key admits.
func (k PublicKey) Algorithm() Algorithm { return k.row.name }

// Agent returns "group/agent id" where the key came from an agent's exported set and says so; empty for other keys. It is a claim of
// whoever made the set, worth as much as the way the set was handed over.
func (k PublicKey) Agent() string { return k.agent }

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k.key == nil }

// String returns use, algorithm and thumbprint, for logs and people.
func (k PublicKey) String() string {
	return fmt.Sprintf("%s %s %s", k.row.use, k.row.name, k.id)
}

// need refuses a key of another use.
func (k PublicKey) need(use Use) error {
	if k.IsZero() {
		return errors.New("no key")
	}
	if k.row.use != use {
		return fmt.Errorf("key %s is for use %q, not %q", k.id, k.row.use, use)
	}
	return nil
}

// newPublicKey names a parsed key by its thumbprint.
func newPublicKey(row algorithm, key any) (PublicKey, error) {
	if err := row.check(key); err != nil {
		return PublicKey{}, err
	}
	thumbprint, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey{id: base64.RawURLEncoding.EncodeToString(thumbprint), row: row, key: key}, nil
}

// PrivateKey signs, or opens what was sealed for its public half. Like a [secret.Value] it keeps its material behind a closure and
// shows only [secret.Redacted] to printers and encoders. Its zero value is no key and is refused everywhere.
type PrivateKey struct {
	public  PublicKey
	created time.Time
	reveal  func() any // as go-jose takes it
}

// GenerateSigningKey makes a key that signs, of the usual suite: requests for a portal, results for an agent.
func GenerateSigningKey() (PrivateKey, error) { return GenerateKey(ES256) }

// GenerateSealingKey makes a key that opens what portals seal for an agent, of the usual suite.
func GenerateSealingKey() (PrivateKey, error) { return GenerateKey(ECDHES) }

// GenerateKey makes a key for one algorithm; its use follows from that. RSA keys have 3072 bits and take about a second to make.
func GenerateKey(name Algorithm) (PrivateKey, error) {
	row, ok := lookup(name)
	if !ok {
		return PrivateKey{}, fmt.Errorf("unknown algorithm %.32q", name)
	}
	key, err := row.generate()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate %s key: %w", name, err)
	}
	return newPrivateKey(row, key, time.Now())
}

func newPrivateKey(row algorithm, key any, created time.Time) (PrivateKey, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return PrivateKey{}, errors.New("not a private key")
	}
	public, err := newPublicKey(row, signer.Public())
	if err != nil {
		return PrivateKey{}, err
	}
	if err := row.match(key); err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{public: public, created: created.Truncate(time.Second), reveal: func() any { return key }}, nil
}

// Public returns the public half.
func (k PrivateKey) Public() PublicKey { return k.public }

// KeyID returns the thumbprint of the public half.
func (k PrivateKey) KeyID() string { return k.public.id }

// Created returns when the key was made, to the second; zero where its file does not say.
func (k PrivateKey) Created() time.Time { return k.created }

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k.reveal == nil }

// need refuses a key of another use.
func (k PrivateKey) need(use Use) error {
	if k.IsZero() {
		return errors.New("no key")
	}
	return k.public.need(use)
}

// Format implements fmt.Formatter: every verb prints [secret.Redacted].
func (PrivateKey) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(secret.Redacted)) }

// String implements fmt.Stringer.
func (PrivateKey) String() string { return secret.Redacted }

// GoString implements fmt.GoStringer.
func (PrivateKey) GoString() string { return secret.Redacted }

// MarshalText implements encoding.TextMarshaler: a key leaves the process only through [EncodePrivateKey].
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(secret.Redacted), nil }

// MarshalYAML implements the yaml.v3 Marshaler.
func (PrivateKey) MarshalYAML() (any, error) { return secret.Redacted, nil }

// LogValue implements slog.LogValuer.
func (PrivateKey) LogValue() slog.Value { return slog.StringValue(secret.Redacted) }

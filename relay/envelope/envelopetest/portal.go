package envelopetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// Portal is an issuer that can break every rule.
type Portal struct {
	Issuer     string
	Group      string
	SigningKey envelope.PrivateKey
	Recipients []envelope.PublicKey
	Now        func() time.Time // nil: time.Now
}

// Draft is a request before it is sealed and signed. Change what should be wrong.
type Draft struct {
	Header     map[string]any // JWS header
	Claims     map[string]any // a "sealed" set here stays; else it is made of Sealed for each recipient
	Sealed     map[string]any // the sealed plaintext
	SealHeader map[string]any // JWE header; alg, kid and epk are added per recipient unless set here

	// Texts that take the place of the maps as they are, for what no map can hold.
	RawHeader, RawClaims, RawSealed []byte

	SignWith     envelope.PrivateKey       // the zero key: the portal's own
	AfterSealing func(entry string) string // nil: entries stay as they are
	SkipPadding  bool
}

// Draft returns a good request: a reset of a user named by its UPN, by an operator, for a new random id, living 60 seconds.
func (p Portal) Draft() *Draft {
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	id, issued := envelope.NewID(), now().Unix()
	return &Draft{
		Header: map[string]any{"typ": "writeback-request+jwt", "alg": string(p.SigningKey.Public().Algorithm()), "kid": p.SigningKey.KeyID()},
		Claims: map[string]any{
			"iss": p.Issuer, "aud": p.Group, "jti": id, "iat": issued, "exp": issued + 60,
			"op": "reset", "act": map[string]any{"kind": "admin", "id": "operator-7"},
			"auth_time": issued - 5, "amr": []string{"otp", "face"}, "reply": envelope.NewID(),
		},
		Sealed: map[string]any{
			"jti": id, "iss": p.Issuer, "aud": p.Group, "op": "reset",
			"user": map[string]any{"upn": "ada@example.test"}, "password": "Correct-Horse-42", "must_change": false, "unlock": true,
		},
		SealHeader: map[string]any{"enc": "A256GCM", "cty": "json"},
	}
}

// For makes the draft a request of another operation about another user, with the members that operation has. A password is set only
// where the operation has one.
func (d *Draft) For(operation writeback.Operation, user map[string]any, password string) *Draft {
	d.Claims["op"], d.Sealed["op"] = string(operation), string(operation)
	d.Sealed["user"], d.Sealed["password"] = user, password
	if operation != writeback.OpReset {
		delete(d.Sealed, "must_change")
		delete(d.Sealed, "unlock")
	}
	if !operation.SetsPassword() {
		delete(d.Sealed, "password")
	}
	if operation == writeback.OpChange {
		d.Sealed["old_password"] = "Old-" + password
	}
	if operation == writeback.OpPing {
		delete(d.Sealed, "user")
	}
	return d
}

// Aged moves the draft's times by the given duration: a negative one makes it old.
func (d *Draft) Aged(by time.Duration) *Draft {
	for _, name := range []string{"iat", "exp", "auth_time"} {
		if seconds, ok := d.Claims[name].(int64); ok {
			d.Claims[name] = seconds + int64(by/time.Second)
		}
	}
	return d
}

// Token seals and signs a draft.
func (p Portal) Token(d *Draft) ([]byte, error) {
	claims, err := p.claims(d)
	if err != nil {
		return nil, err
	}
	header, err := text(d.RawHeader, d.Header)
	if err != nil {
		return nil, err
	}
	key := p.SigningKey
	if !d.SignWith.IsZero() {
		key = d.SignWith
	}
	return Sign(header, claims, key)
}

func (p Portal) claims(d *Draft) ([]byte, error) {
	if d.RawClaims != nil {
		return d.RawClaims, nil
	}
	claims := maps.Clone(d.Claims)
	if _, set := claims["sealed"]; !set {
		sealed, err := p.seal(d)
		if err != nil {
			return nil, err
		}
		claims["sealed"] = sealed
	}
	return json.Marshal(claims)
}

func (p Portal) seal(d *Draft) (map[string]string, error) {
	plaintext, err := text(d.RawSealed, d.Sealed)
	if err != nil {
		return nil, err
	}
	if d.RawSealed == nil && !d.SkipPadding {
		plaintext = Pad(plaintext)
	}
	sealed := make(map[string]string)
	for _, recipient := range p.Recipients {
		entry, err := Seal(recipient, d.SealHeader, plaintext)
		if err != nil {
			return nil, err
		}
		if d.AfterSealing != nil {
			entry = d.AfterSealing(entry)
		}
		sealed[recipient.KeyID()] = entry
	}
	return sealed, nil
}

func text(raw []byte, members map[string]any) ([]byte, error) {
	if raw != nil {
		return raw, nil
	}
	encoded, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("draft: %w", err)
	}
	return encoded, nil
}

// Pad pads a plaintext as the protocol asks.
func Pad(plaintext []byte) []byte {
	missing := (512 - len(plaintext)%512) % 512
	return append(bytes.Clone(plaintext), bytes.Repeat([]byte{' '}, missing)...)
}

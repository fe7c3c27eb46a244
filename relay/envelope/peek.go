package envelope

import (
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Peeked is what a request token says about itself, unverified.
type Peeked struct {
	ID        string
	Operation string
	ExpiresAt time.Time
	Session   string // the claim "reply"
	Digest    writeback.Digest
}

// Peek reads a request token without any key. It is for the sender, who made the token and needs its id, reply session and digest to get
// the answer and to know it; nothing may be decided by it. The error is *[writeback.Error] with the reason envelope.malformed.
func Peek(token []byte) (Peeked, error) {
	parts, err := splitJWS(token)
	if err != nil {
		return Peeked{}, fault(writeback.EnvelopeMalformed, "token: %w", err)
	}
	payload, err := decodeBase64(parts.payload)
	if err != nil {
		return Peeked{}, fault(writeback.EnvelopeMalformed, "token: %w", err)
	}
	members, err := parseObject(payload)
	if err != nil {
		return Peeked{}, fault(writeback.EnvelopeMalformed, "claims: %w", err)
	}
	f := &fields{members: members}
	peeked := Peeked{
		ID: f.text("jti", idForm()), Operation: f.text("op", nameForm()), ExpiresAt: f.seconds("exp"),
		Session: f.text("reply", idForm()), Digest: parts.digest,
	}
	if f.fault != nil {
		return Peeked{}, fault(writeback.EnvelopeMalformed, "claims: %w", f.fault)
	}
	return peeked, nil
}

// LooksLikeToken reports whether text has the shape of a compact JWS and so holds nothing but base64url and dots. It verifies nothing.
func LooksLikeToken(text []byte) bool {
	parts, err := splitJWS(text)
	if err != nil {
		return false
	}
	_, err = decodeBase64(parts.payload)
	return err == nil
}

package writeback

import (
	"encoding/hex"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
)

// Operation is what a portal asks for.
type Operation string

// The operations of protocol version 1.
const (
	OpReset  Operation = "reset"  // set a new password without knowing the old one
	OpChange Operation = "change" // set a new password, proving knowledge of the old one
	OpUnlock Operation = "unlock" // clear lockoutTime, password untouched
	OpCheck  Operation = "check"  // everything a reset would check, without the write
	OpPing   Operation = "ping"   // prove that the agent is there and the keys match
)

// Known reports whether o is an operation of protocol version 1.
func (o Operation) Known() bool {
	switch o {
	case OpReset, OpChange, OpUnlock, OpCheck, OpPing:
		return true
	}
	return false
}

// SetsPassword reports whether o writes unicodePwd.
func (o Operation) SetsPassword() bool { return o == OpReset || o == OpChange }

// Writes reports whether o changes anything in the directory.
func (o Operation) Writes() bool { return o.SetsPassword() || o == OpUnlock }

// IdentifierKind names the attribute a [Subject] is found by.
type IdentifierKind string

// The identifiers a request may use; exactly one stands in each request.
const (
	BySID         IdentifierKind = "sid"          // objectSid, S-1-5-21-...
	ByGUID        IdentifierKind = "guid"         // objectGUID in its canonical text form
	ByUPN         IdentifierKind = "upn"          // userPrincipalName
	BySAM         IdentifierKind = "sam"          // DOMAIN\sAMAccountName
	ByImmutableID IdentifierKind = "immutable_id" // base64 sourceAnchor: mS-DS-ConsistencyGuid, else objectGUID
	ByMail        IdentifierKind = "mail"         // mail, only where the administrator allows it
)

// Subject names the user a request is about.
type Subject struct {
	Kind  IdentifierKind
	Value string
	// AssertedImmutableID, when not empty, must also match the account found by Kind and Value.
	AssertedImmutableID string
}

// ActorKind says in what role somebody asks.
type ActorKind string

// The roles of protocol version 1.
const (
	ActorSelf  ActorKind = "self"  // the user, for the own account
	ActorAdmin ActorKind = "admin" // an operator of the portal, for somebody else
)

// Actor is who asks, as the portal states it: for the audit and for the issuer's permissions.
type Actor struct {
	Kind ActorKind
	ID   string // opaque operator id; only with ActorAdmin
}

// Digest is the SHA-256 of a request's JWS signing input. ECDSA signatures are malleable, the signed content is not,
// so the digest and not the token identifies what was asked.
type Digest [32]byte

// String returns the digest in lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// RequestKey is the idempotency key: one issuer never uses an id twice.
type RequestKey struct {
	Issuer string
	ID     string
}

// String returns "issuer/id", for logs and people.
func (k RequestKey) String() string { return k.Issuer + "/" + k.ID }

// Claims is the signed, readable half of a request. It holds no secret.
type Claims struct {
	Issuer       string // who signed; owns KeyID
	KeyID        string // RFC 7638 thumbprint of the signing key
	Audience     string // the group of agents it is meant for
	ID           string // jti
	IssuedAt     time.Time
	ExpiresAt    time.Time
	NotBefore    time.Time // zero: absent
	Operation    Operation
	Actor        Actor
	AuthTime     time.Time // when the person was verified; zero: absent
	Methods      []string  // how (amr, RFC 8176); nil: absent
	ReplySession string    // session of the results queue the portal waits on
	Digest       Digest
}

// Key returns the idempotency key.
func (c Claims) Key() RequestKey { return RequestKey{Issuer: c.Issuer, ID: c.ID} }

// Request is a request whose signature was verified and whose sealed part was opened.
type Request struct {
	Claims
	Subject     Subject
	Password    secret.Value // the new password, UTF-8 as typed; empty unless the operation sets one
	OldPassword secret.Value // OpChange only
	MustChange  bool         // the user must choose another password at the next logon
	Unlock      bool         // also clear lockoutTime
}

// Destroy zeroes the secrets of r. They are empty afterwards.
func (r *Request) Destroy() {
	r.Password.Destroy()
	r.OldPassword.Destroy()
}

// Change is the part of a request that a directory needs to write it.
type Change struct {
	Operation   Operation
	Password    secret.Value
	OldPassword secret.Value
	MustChange  bool
	Unlock      bool
}

// Change returns what r asks the directory to write.
func (r *Request) Change() Change {
	return Change{
		Operation: r.Operation, Password: r.Password, OldPassword: r.OldPassword,
		MustChange: r.MustChange, Unlock: r.Unlock || r.Operation == OpUnlock,
	}
}

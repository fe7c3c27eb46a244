package requester

import (
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// The words of the protocol, by names that programs outside this module can use.
type (
	// Result is an agent's signed answer to one request.
	Result = writeback.Result
	// Outcome is the part of a result that says how the request ended.
	Outcome = writeback.Outcome
	// Verdict says what became of the directory.
	Verdict = writeback.Verdict
	// Reason is the stable name of how a request ended; docs/reasons.md explains each.
	Reason = writeback.Reason
	// ReasonInfo is what is known about a reason, with a text for the person.
	ReasonInfo = writeback.ReasonInfo
	// Class groups reasons by who can do something about them.
	Class = writeback.Class
	// Detail is what a reason says beyond its name.
	Detail = writeback.Detail
	// Error is an error with a reason and a remedy.
	Error = writeback.Error
	// Digest identifies a request's signed content.
	Digest = writeback.Digest
	// Operation is what a portal asks for.
	Operation = writeback.Operation
	// Subject names a user.
	Subject = writeback.Subject
	// IdentifierKind is the attribute a user is named by.
	IdentifierKind = writeback.IdentifierKind
	// Actor is who asks.
	Actor = writeback.Actor
	// ActorKind is the role in which somebody asks.
	ActorKind = writeback.ActorKind
	// Secret is a password that no printer shows.
	Secret = secret.Value
	// PrivateKey is the portal's signing key.
	PrivateKey = envelope.PrivateKey
	// PublicKey is a key of an agent.
	PublicKey = envelope.PublicKey
	// Prepared is a request that is signed and sealed but not sent.
	Prepared = envelope.SealedRequest
)

// The verdicts.
const (
	Written    = writeback.Written    // the directory holds what was asked for
	NotWritten = writeback.NotWritten // nothing was changed, and nothing will be
	Unknown    = writeback.Unknown    // nobody can say yet; may be revised once to Written
	OK         = writeback.OK         // ping: all well
)

// The ways to name a user.
const (
	BySID         = writeback.BySID
	ByGUID        = writeback.ByGUID
	ByUPN         = writeback.ByUPN
	BySAM         = writeback.BySAM
	ByImmutableID = writeback.ByImmutableID
	ByMail        = writeback.ByMail
)

// The roles.
const (
	ActorSelf  = writeback.ActorSelf  // the user
	ActorAdmin = writeback.ActorAdmin // an operator; with an opaque id
)

// NewSecret makes a secret of UTF-8 bytes and takes ownership: the caller must neither read nor change them afterwards.
func NewSecret(typed []byte) Secret { return secret.New(typed) }

// Lookup returns what is known about a reason: its class, whether trying again helps, and a text that may be shown to the person. A
// reason this version does not know is treated as agent.internal.
func Lookup(reason Reason) ReasonInfo { return writeback.Lookup(reason) }

// LoadSigningKey reads the portal's private key from a file that only its owner can read.
func LoadSigningKey(path string) (PrivateKey, error) { return envelope.LoadKey(path) }

// LoadAgents reads the public keys that agents exported (writeback-agent keys export).
func LoadAgents(path string) ([]PublicKey, error) { return envelope.LoadPublicKeys(path) }

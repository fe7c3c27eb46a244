package requester

import (
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// The words of the protocol, by names that programs outside this module can use.
type (
	// Result is an agent's signed answer to one request: Agent ("group/agent id") that signed it, RequestID it answers, Outcome, and ID and
	// IssuedAt of the result itself.
	Result = writeback.Result
	// Outcome is the part of a result that says how the request ended: Verdict, Reason, Detail, and whether it was Replayed, that is answered
	// from the agent's memory.
	Outcome = writeback.Outcome
	// Verdict says what became of the directory.
	Verdict = writeback.Verdict
	// Reason is the stable name of how a request ended, such as "password.too_short"; docs/reasons.md explains each.
	Reason = writeback.Reason
	// ReasonInfo is what is known about a reason: its Class, the Verdict it usually comes with, whether to Retry unchanged, its Meaning, a text for
	// the Person, and the Remedy for the administrator.
	ReasonInfo = writeback.ReasonInfo
	// Class groups reasons by who can do something about them.
	Class = writeback.Class
	// Detail is what a reason says beyond its name, as far as it applies: MinLength in characters, MaxLength in UTF-16 units, HistoryLength in passwords,
	// RetryAfter (nil or the moment from which trying again makes sense), Possible reasons that could not be told apart, a Hint (a stable word), and Warnings
	// (stable words for what works and should be looked at).
	Detail = writeback.Detail
	// Error is an error with a Reason, a Cause and a Remedy(): the request or the configuration is wrong, and nothing was sent.
	Error = writeback.Error
	// Digest identifies a request's signed content: the SHA-256 of its JWS signing input (RFC 7515).
	Digest = writeback.Digest
	// Operation is what a portal asks for.
	Operation = writeback.Operation
	// Settlement is what becomes of a request's message; portals need not care.
	Settlement = writeback.Settlement
	// Claims is what a prepared request says for everybody to read. Its ID and Digest identify the result.
	Claims = writeback.Claims
	// RequestKey is the idempotency key of a request: issuer and id.
	RequestKey = writeback.RequestKey
	// Subject names a user: by Kind and Value. AssertedImmutableID, where it is not empty, must belong to the same account.
	Subject = writeback.Subject
	// IdentifierKind is the attribute a user is named by.
	IdentifierKind = writeback.IdentifierKind
	// Actor is who asks: in the role Kind, and for ActorAdmin the operator's opaque ID.
	Actor = writeback.Actor
	// ActorKind is the role in which somebody asks.
	ActorKind = writeback.ActorKind
	// Secret is a password that no printer shows. Make one with NewSecret, and Destroy it when it is not needed any more.
	Secret = secret.Value
	// PrivateKey is the portal's signing key. No printer shows it.
	PrivateKey = envelope.PrivateKey
	// PublicKey is a key of an agent: KeyID is its thumbprint (RFC 7638), Agent whose it is, Use what for.
	PublicKey = envelope.PublicKey
	// KeyUse says whether a key signs or seals.
	KeyUse = envelope.Use
	// KeyAlgorithm is the one algorithm a key admits.
	KeyAlgorithm = envelope.Algorithm
	// Prepared is a request that is signed and sealed but not sent: the Token, and the Claims in it.
	Prepared = envelope.SealedRequest
)

// The verdicts.
const (
	Written    = writeback.Written    // the directory holds what was asked for
	NotWritten = writeback.NotWritten // nothing was changed, and nothing will be
	Unknown    = writeback.Unknown    // nobody can say yet; may be revised once to Written
	OK         = writeback.OK         // check and ping: all well
)

// The classes of reasons, by who can do something about them.
const (
	ClassDone      = writeback.ClassDone      // nothing to do
	ClassEnvelope  = writeback.ClassEnvelope  // the message itself: the portal's operator
	ClassRequest   = writeback.ClassRequest   // its time and order: try again
	ClassAuth      = writeback.ClassAuth      // how the person was verified: the portal
	ClassUser      = writeback.ClassUser      // the account: the help desk
	ClassPolicy    = writeback.ClassPolicy    // what the administrator allows
	ClassPassword  = writeback.ClassPassword  // the new password: the person chooses another
	ClassDirectory = writeback.ClassDirectory // Active Directory: its administrator
	ClassAgent     = writeback.ClassAgent     // the agent: its administrator
)

// The operations.
const (
	OpReset  = writeback.OpReset  // set a new password without knowing the old one
	OpChange = writeback.OpChange // set a new password, proving knowledge of the old one
	OpUnlock = writeback.OpUnlock // unlock the account, password untouched
	OpCheck  = writeback.OpCheck  // everything a reset would check, without the write
	OpPing   = writeback.OpPing   // prove that an agent is there and the keys match
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

// ParseSigningKey reads the portal's private key, a JWK (RFC 7517), from wherever the portal keeps its secrets.
func ParseSigningKey(jwk Secret) (PrivateKey, error) { return envelope.ParsePrivateKey(jwk) }

// ParseAgents reads the public keys that agents exported, a JWK set (RFC 7517).
func ParseAgents(jwks []byte) ([]PublicKey, error) { return envelope.ParsePublicKeys(jwks) }

// LoadAgents reads the public keys that agents exported (writeback-agent keys export), one file or one per agent.
func LoadAgents(paths ...string) ([]PublicKey, error) {
	var all []PublicKey
	for _, path := range paths {
		keys, err := envelope.LoadPublicKeys(path)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

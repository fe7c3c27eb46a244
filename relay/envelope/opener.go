package envelope

import (
	"slices"

	"github.com/password-writeback/writeback/internal/writeback"
)

// OpenerConfig is what an agent trusts and what it can open.
type OpenerConfig struct {
	Group       string                 // the only audience accepted
	Issuers     map[string][]PublicKey // issuer id -> its pinned signing keys
	SealingKeys []PrivateKey           // the agent's own; where a request is sealed for several, the first listed opens it
}

// Opener verifies and opens requests. It is safe for concurrent use and never changes: when keys change, make another.
type Opener struct {
	group   string
	pinned  map[string]pinnedKey // by key id
	opening []openingKey
}

// pinnedKey is a signing key and the only issuer that may use it.
type pinnedKey struct {
	issuer string
	key    PublicKey
}

// openingKey is a sealing key made ready.
type openingKey struct {
	public   PublicKey
	material any
}

// NewOpener checks that every key has the right use and that none is pinned to two issuers. Errors are *[writeback.Error] with the
// reason agent.misconfigured.
func NewOpener(config OpenerConfig) (*Opener, error) {
	if err := nameForm().check(config.Group); err != nil {
		return nil, misconfigured("group %w", err)
	}
	opener := &Opener{group: config.Group, pinned: make(map[string]pinnedKey)}
	for issuer, keys := range config.Issuers {
		if err := opener.pin(issuer, keys); err != nil {
			return nil, err
		}
	}
	for _, key := range config.SealingKeys {
		if err := key.need(UseSeal); err != nil {
			return nil, misconfigured("sealing key: %w", err)
		}
		material, err := key.public.row.ready(key.reveal())
		if err != nil {
			return nil, misconfigured("sealing key %s: %w", key.KeyID(), err)
		}
		opener.opening = append(opener.opening, openingKey{public: key.Public(), material: material})
	}
	if len(opener.opening) == 0 {
		return nil, misconfigured("no sealing key")
	}
	return opener, nil
}

func (o *Opener) pin(issuer string, keys []PublicKey) error {
	if err := nameForm().check(issuer); err != nil {
		return misconfigured("issuer %q %w", issuer, err)
	}
	for _, key := range keys {
		if err := key.need(UseSign); err != nil {
			return misconfigured("issuer %q: %w", issuer, err)
		}
		if other, taken := o.pinned[key.KeyID()]; taken && other.issuer != issuer {
			return misconfigured("key %s is pinned to the issuers %q and %q", key.KeyID(), other.issuer, issuer)
		}
		o.pinned[key.KeyID()] = pinnedKey{issuer: issuer, key: key}
	}
	return nil
}

// Verified is a request whose signature is good. Only [Opener.Verify] makes one that [Opener.Decrypt] accepts.
type Verified struct {
	opener     *Opener // nil unless the claims were accepted, too
	claims     writeback.Claims
	sealed     object
	answerable bool
}

// Claims returns the signed half of the request. After an error of Verify only what Answerable promises is there for certain, and the times and the
// operation where they could be read.
func (v Verified) Claims() writeback.Claims { return v.claims }

// Answerable reports whether a result can be sent: the signature is good, and issuer, audience, id, reply session and digest are known.
func (v Verified) Answerable() bool { return v.answerable }

// Verify checks a request token up to its claims. It judges no time ([JudgeTimes]) and decrypts nothing.
//
// Errors are *[writeback.Error] with one of the reasons envelope.malformed, envelope.untrusted_issuer (key, issuer or group not ours),
// envelope.bad_signature (also: not the key's own algorithm) and request.unsupported. Beside an error the Verified says whether the request can be answered.
func (o *Opener) Verify(token []byte) (Verified, error) {
	parts, err := splitJWS(token)
	if err != nil {
		return Verified{}, fault(writeback.EnvelopeMalformed, "token: %w", err)
	}
	header, err := readJWSHeader(parts.header, requestType)
	if err != nil {
		return Verified{}, fault(writeback.EnvelopeMalformed, "token: %w", err)
	}
	pinned, known := o.pinned[header.kid]
	if !known {
		return Verified{}, fault(writeback.EnvelopeUntrustedIssuer, "key %s is not pinned", header.kid)
	}
	payload, err := verifySignature(parts, header, pinned.key)
	if err != nil {
		return Verified{}, fault(writeback.EnvelopeBadSignature, "key %s of issuer %q: %w", header.kid, pinned.issuer, err)
	}
	return o.accept(payload, pinned, parts.digest)
}

// accept reads the claims of a payload whose signature is good.
func (o *Opener) accept(payload []byte, pinned pinnedKey, digest writeback.Digest) (Verified, error) {
	members, err := parseObject(payload)
	if err != nil {
		return Verified{}, fault(writeback.EnvelopeMalformed, "claims: %w", err)
	}
	f := &fields{members: members}
	claims := readIdentity(f)
	if f.fault != nil {
		return Verified{}, fault(writeback.EnvelopeMalformed, "claims: %w", f.fault)
	}
	claims.KeyID, claims.Digest = pinned.key.KeyID(), digest
	if claims.Issuer != pinned.issuer {
		return Verified{}, fault(writeback.EnvelopeUntrustedIssuer, "key %s belongs to issuer %q, not %q", claims.KeyID, pinned.issuer, claims.Issuer)
	}
	if claims.Audience != o.group {
		return Verified{}, fault(writeback.EnvelopeUntrustedIssuer, "meant for the group %q", claims.Audience)
	}
	sealed, err := readClaims(f, &claims)
	if err != nil {
		return Verified{claims: claims, answerable: true}, err
	}
	return Verified{opener: o, claims: claims, sealed: sealed, answerable: true}, nil
}

// Decrypt opens the part of a verified request that is sealed for one of the agent's keys. The caller destroys the request's secrets.
//
// Errors are *[writeback.Error] with one of the reasons envelope.not_for_us, envelope.undecryptable (does not open, is not what the operation needs,
// or speaks of another request), request.unsupported, and password.invalid_characters (not valid Unicode); a Verified
// that this Opener's Verify did not accept is refused with agent.internal.
func (o *Opener) Decrypt(verified Verified) (*writeback.Request, error) {
	if verified.opener == nil || verified.opener != o {
		return nil, writeback.NewError(writeback.AgentInternal, errNotVerified)
	}
	key, entry, err := o.pick(verified.sealed)
	if err != nil {
		return nil, err
	}
	plaintext, err := openEntry(key, entry)
	if err != nil {
		return nil, fault(writeback.EnvelopeUndecryptable, "sealed for key %s: %w", key.public.id, err)
	}
	defer clear(plaintext)
	return readSealed(plaintext, verified.claims)
}

// pick finds the entry sealed for the first of the agent's keys that has one.
func (o *Opener) pick(sealed object) (openingKey, []byte, error) {
	for _, key := range o.opening {
		value, found := sealed.get(key.public.id)
		if !found {
			continue
		}
		entry, err := unquote(value)
		if err != nil {
			return openingKey{}, nil, fault(writeback.EnvelopeUndecryptable, "sealed: %w", err)
		}
		return key, slices.Clip(entry), nil
	}
	return openingKey{}, nil, fault(writeback.EnvelopeNotForUs, "not sealed for a key of this agent")
}

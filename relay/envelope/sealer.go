package envelope

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// SealerConfig is what a portal needs to make requests.
type SealerConfig struct {
	Issuer     string
	Group      string      // the agents' group: the audience
	SigningKey PrivateKey  // the issuer's own
	Recipients []PublicKey // sealing keys of all agents that may serve a request
	Life       time.Duration
	Now        func() time.Time // nil: time.Now
}

// Sealer makes requests. It is safe for concurrent use.
type Sealer struct {
	config     SealerConfig
	signer     jose.Signer
	recipients []recipient
}

// recipient seals for one key.
type recipient struct {
	id        string
	encrypter jose.Encrypter
}

// SealedRequest is a request ready to be sent.
type SealedRequest struct {
	Token  []byte
	Claims writeback.Claims // as sent; its ID and Digest identify the result
}

// NewSealer checks the configuration. Life of 0 stands for 60 s; more than [DefaultMaxLife] is refused.
func NewSealer(config SealerConfig) (*Sealer, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Life == 0 {
		config.Life = 60 * time.Second
	}
	if config.Life < time.Second || config.Life > DefaultMaxLife {
		return nil, misconfigured("life %s is not between 1 s and %s", config.Life, DefaultMaxLife)
	}
	for name, value := range map[string]string{"issuer": config.Issuer, "group": config.Group} {
		if err := nameForm().check(value); err != nil {
			return nil, misconfigured("%s %w", name, err)
		}
	}
	signer, err := newSigner(config.SigningKey, requestType)
	if err != nil {
		return nil, err
	}
	recipients, err := newRecipients(config.Recipients)
	if err != nil {
		return nil, err
	}
	return &Sealer{config: config, signer: signer, recipients: recipients}, nil
}

// newSigner makes a signer whose tokens carry exactly typ, alg and kid.
func newSigner(key PrivateKey, typ jose.ContentType) (jose.Signer, error) {
	if err := key.need(UseSign); err != nil {
		return nil, misconfigured("signing key: %w", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.public.Algorithm()), Key: key.reveal()},
		new(jose.SignerOptions).WithType(typ).WithHeader("kid", key.KeyID()))
	if err != nil {
		return nil, misconfigured("signing key %s: %w", key.KeyID(), err)
	}
	return signer, nil
}

func newRecipients(keys []PublicKey) ([]recipient, error) {
	if len(keys) == 0 || len(keys) > maxEntries {
		return nil, misconfigured("needs 1 to %d agents' sealing keys, not %d", maxEntries, len(keys))
	}
	var recipients []recipient
	for _, key := range keys {
		if err := key.need(UseSeal); err != nil {
			return nil, misconfigured("agent's key: %w", err)
		}
		encrypter, err := jose.NewEncrypter(jose.ContentEncryption(contentEncryption),
			jose.Recipient{Algorithm: jose.KeyAlgorithm(key.Algorithm()), Key: key.key, KeyID: key.id},
			new(jose.EncrypterOptions).WithContentType("json"))
		if err != nil {
			return nil, misconfigured("agent's key %s: %w", key.id, err)
		}
		recipients = append(recipients, recipient{id: key.id, encrypter: encrypter})
	}
	return recipients, nil
}

// NewID returns a new random id of 128 bits, for requests and reply sessions.
func NewID() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // crypto/rand.Read never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(random)
}

// Seal signs and seals a request: its operation, subject, secrets, switches, actor, verification and reply session. Issuer, group and key are the sealer's own; an empty
// ID becomes a new random one; times left zero become now and now + life. The secrets are not destroyed.
func (s *Sealer) Seal(request writeback.Request) (SealedRequest, error) {
	claims := s.complete(request.Claims)
	request.Claims = claims
	plaintext, err := encodeSealed(request)
	if err != nil {
		return SealedRequest{}, err
	}
	defer clear(plaintext)
	// What the agent would refuse is refused here, by the same rules.
	checked, err := readSealed(plaintext, claims)
	if err != nil {
		return SealedRequest{}, err
	}
	checked.Destroy()
	sealed := make(map[string]string, len(s.recipients))
	for _, to := range s.recipients {
		entry, err := to.encrypter.Encrypt(plaintext)
		if err != nil {
			return SealedRequest{}, fmt.Errorf("seal for key %s: %w", to.id, err)
		}
		if sealed[to.id], err = entry.CompactSerialize(); err != nil {
			return SealedRequest{}, fmt.Errorf("seal for key %s: %w", to.id, err)
		}
	}
	return s.sign(claims, sealed)
}

func (s *Sealer) complete(claims writeback.Claims) writeback.Claims {
	claims.Issuer, claims.Audience, claims.KeyID = s.config.Issuer, s.config.Group, s.config.SigningKey.KeyID()
	if claims.ID == "" {
		claims.ID = NewID()
	}
	if claims.IssuedAt.IsZero() {
		claims.IssuedAt = s.config.Now().Truncate(time.Second)
	}
	if claims.ExpiresAt.IsZero() {
		claims.ExpiresAt = claims.IssuedAt.Add(s.config.Life)
	}
	return claims
}

func (s *Sealer) sign(claims writeback.Claims, sealed map[string]string) (SealedRequest, error) {
	payload, err := json.Marshal(newWireClaims(claims, sealed))
	if err != nil {
		return SealedRequest{}, fmt.Errorf("encode claims: %w", err)
	}
	members, err := parseObject(payload)
	if err != nil {
		return SealedRequest{}, fault(writeback.EnvelopeMalformed, "claims: %w", err)
	}
	f := &fields{members: members}
	checked := readIdentity(f)
	if _, err := readClaims(f, &checked); err != nil {
		return SealedRequest{}, err
	}
	token, digest, err := signCompact(s.signer, payload)
	claims.Digest = digest
	return SealedRequest{Token: token, Claims: claims}, err
}

// signCompact signs a payload and returns the token with the digest of its signing input.
func signCompact(signer jose.Signer, payload []byte) ([]byte, writeback.Digest, error) {
	signed, err := signer.Sign(payload)
	if err != nil {
		return nil, writeback.Digest{}, fmt.Errorf("sign: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return nil, writeback.Digest{}, fmt.Errorf("sign: %w", err)
	}
	parts, err := splitJWS([]byte(compact))
	if err != nil {
		return nil, writeback.Digest{}, fault(writeback.EnvelopeMalformed, "token: %w", err)
	}
	return parts.token, parts.digest, nil
}

// wireClaims are a request's claims as JSON.
type wireClaims struct {
	Issuer    string            `json:"iss"`
	Audience  string            `json:"aud"`
	ID        string            `json:"jti"`
	IssuedAt  int64             `json:"iat"`
	ExpiresAt int64             `json:"exp"`
	NotBefore *int64            `json:"nbf,omitempty"`
	Operation string            `json:"op"`
	Actor     wireActor         `json:"act"`
	AuthTime  *int64            `json:"auth_time,omitempty"`
	Methods   []string          `json:"amr,omitempty"`
	Reply     string            `json:"reply"`
	Sealed    map[string]string `json:"sealed"`
}

type wireActor struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
}

func newWireClaims(claims writeback.Claims, sealed map[string]string) wireClaims {
	return wireClaims{
		Issuer: claims.Issuer, Audience: claims.Audience, ID: claims.ID,
		IssuedAt: claims.IssuedAt.Unix(), ExpiresAt: claims.ExpiresAt.Unix(), NotBefore: optionalUnix(claims.NotBefore),
		Operation: string(claims.Operation), Actor: wireActor{Kind: string(claims.Actor.Kind), ID: claims.Actor.ID},
		AuthTime: optionalUnix(claims.AuthTime), Methods: claims.Methods, Reply: claims.ReplySession, Sealed: sealed,
	}
}

func optionalUnix(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	seconds := t.Unix()
	return &seconds
}

// encodeSealed writes the padded plaintext. The caller clears it; it is allocated once at its greatest possible length, so that no
// copy of a password is left behind by growing.
func encodeSealed(request writeback.Request) ([]byte, error) {
	const escaped, frame = 6, 1024 // bytes per byte in the worst case; names and punctuation
	texts := len(request.ID) + len(request.Issuer) + len(request.Audience) + len(request.Subject.Value) + len(request.Subject.AssertedImmutableID)
	size := escaped*(texts+request.Password.Len()+request.OldPassword.Len()) + frame + padTo
	w := sealedWriter{text: make([]byte, 0, size)}
	w.members(request)
	if w.err != nil {
		clear(w.text)
		return nil, w.err
	}
	for len(w.text)%padTo != 0 {
		w.text = append(w.text, ' ')
	}
	return w.text, nil
}

// sealedWriter writes the sealed JSON.
type sealedWriter struct {
	text []byte
	err  error
}

func (w *sealedWriter) members(request writeback.Request) {
	w.member('{', "jti", []byte(request.ID))
	w.member(',', "iss", []byte(request.Issuer))
	w.member(',', "aud", []byte(request.Audience))
	w.member(',', "op", []byte(request.Operation))
	if request.Operation != writeback.OpPing {
		w.subject(request.Subject)
	}
	if request.Operation.SetsPassword() {
		w.secret("password", request.Password)
	}
	switch request.Operation {
	case writeback.OpChange:
		w.secret("old_password", request.OldPassword)
	case writeback.OpReset:
		w.text = fmt.Appendf(w.text, `,"must_change":%t,"unlock":%t`, request.MustChange, request.Unlock)
	}
	w.text = append(w.text, '}')
}

func (w *sealedWriter) member(before byte, name string, value []byte) {
	w.text = append(append(w.text, before, '"'), name...)
	w.text = append(w.text, '"', ':')
	w.text = appendQuoted(w.text, value)
}

func (w *sealedWriter) subject(subject writeback.Subject) {
	w.text = append(w.text, `,"user":`...)
	w.member('{', string(subject.Kind), []byte(subject.Value))
	if subject.AssertedImmutableID != "" {
		w.member(',', string(writeback.ByImmutableID), []byte(subject.AssertedImmutableID))
	}
	w.text = append(w.text, '}')
}

func (w *sealedWriter) secret(name string, value secret.Value) {
	value.Use(func(password []byte) {
		switch {
		case !utf8.Valid(password):
			w.err = fault(writeback.PasswordInvalidCharacters, "%s is not valid UTF-8", name)
		case len(password) > maxPassword:
			w.err = fault(writeback.PasswordTooLong, "%s is longer than %d bytes", name, maxPassword)
		default:
			w.member(',', name, password)
		}
	})
}

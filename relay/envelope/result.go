package envelope

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/password-writeback/writeback/internal/writeback"
)

// ResultSigner signs an agent's results. It is safe for concurrent use.
type ResultSigner struct {
	agent  string
	keyID  string
	signer jose.Signer
}

// NewResultSigner makes a signer for agent, "group/agent id", with the agent's signing key.
func NewResultSigner(agent string, key PrivateKey) (*ResultSigner, error) {
	if err := checkAgent(agent); err != nil {
		return nil, misconfigured("agent %q: %w", agent, err)
	}
	signer, err := newSigner(key, resultType)
	if err != nil {
		return nil, err
	}
	return &ResultSigner{agent: agent, keyID: key.KeyID(), signer: signer}, nil
}

// Agent returns "group/agent id", the iss of the results.
func (s *ResultSigner) Agent() string { return s.agent }

// KeyID returns the thumbprint of the signing key.
func (s *ResultSigner) KeyID() string { return s.keyID }

// Sign makes the token of a result. The agent is the signer's own; an empty ID becomes a new random one and a zero IssuedAt now.
func (s *ResultSigner) Sign(result writeback.Result) ([]byte, error) {
	result.Agent = s.agent
	if result.ID == "" {
		result.ID = NewID()
	}
	if result.IssuedAt.IsZero() {
		result.IssuedAt = time.Now()
	}
	payload, err := json.Marshal(newWireResult(result))
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	if _, err := readResult(payload); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	token, _, err := signCompact(s.signer, payload)
	return token, err
}

// checkAgent demands "group/agent id".
func checkAgent(agent string) error {
	if err := nameForm().check(agent); err != nil {
		return fmt.Errorf("agent %w", err)
	}
	if i := strings.LastIndexByte(agent, '/'); i < 1 || i == len(agent)-1 {
		return errors.New("agent is not of the form group/agent")
	}
	return nil
}

// agentID returns the part of "group/agent id" after the slash, the claim "agent".
func agentID(agent string) string { return agent[strings.LastIndexByte(agent, '/')+1:] }

// wireResult are a result's claims as JSON.
type wireResult struct {
	Issuer    string           `json:"iss"`
	Audience  string           `json:"aud"`
	ID        string           `json:"jti"`
	IssuedAt  int64            `json:"iat"`
	RequestID string           `json:"req"`
	Digest    string           `json:"req_sha256"`
	Outcome   string           `json:"outcome"`
	Reason    string           `json:"reason"`
	Detail    writeback.Detail `json:"detail,omitzero"`
	Replayed  bool             `json:"replayed"`
	Agent     string           `json:"agent"`
}

func newWireResult(result writeback.Result) wireResult {
	return wireResult{
		Issuer: result.Agent, Audience: result.Audience, ID: result.ID, IssuedAt: result.IssuedAt.Unix(),
		RequestID: result.RequestID, Digest: base64.RawURLEncoding.EncodeToString(result.RequestDigest[:]),
		Outcome: string(result.Outcome.Verdict), Reason: string(result.Outcome.Reason), Detail: result.Outcome.Detail,
		Replayed: result.Outcome.Replayed, Agent: agentID(result.Agent),
	}
}

// ResultVerifierConfig says whose results a portal believes.
type ResultVerifierConfig struct {
	Issuer string                 // the portal's own id: the only audience accepted
	Agents map[string][]PublicKey // "group/agent id" -> its pinned signing keys
}

// ResultVerifier verifies results. It is safe for concurrent use.
type ResultVerifier struct {
	issuer string
	pinned map[string]pinnedKey // by key id; issuer is the agent
}

// NewResultVerifier checks that every key has the right use and that none is pinned to two agents.
func NewResultVerifier(config ResultVerifierConfig) (*ResultVerifier, error) {
	verifier := &ResultVerifier{issuer: config.Issuer, pinned: make(map[string]pinnedKey)}
	for agent, keys := range config.Agents {
		if err := checkAgent(agent); err != nil {
			return nil, misconfigured("agent %q: %w", agent, err)
		}
		for _, key := range keys {
			if err := key.need(UseSign); err != nil {
				return nil, misconfigured("agent %q: %w", agent, err)
			}
			if other, taken := verifier.pinned[key.KeyID()]; taken && other.issuer != agent {
				return nil, misconfigured("key %s is pinned to the agents %q and %q", key.KeyID(), other.issuer, agent)
			}
			verifier.pinned[key.KeyID()] = pinnedKey{issuer: agent, key: key}
		}
	}
	if len(verifier.pinned) == 0 {
		return nil, misconfigured("no agent's signing key")
	}
	return verifier, nil
}

// VerifiedResult is a result that a pinned agent signed for this portal. What it says is handed out only to the request it answers.
type VerifiedResult struct {
	result writeback.Result
	keyID  string
}

// RequestID returns the id of the request the result claims to answer, to find that request.
func (r VerifiedResult) RequestID() string { return r.result.RequestID }

// KeyID returns the thumbprint of the agent's key that signed.
func (r VerifiedResult) KeyID() string { return r.keyID }

// errOtherRequest is why a result is not handed out.
var errOtherRequest = errors.New("the result answers another request")

// For returns the result if it answers exactly the given request: same id and same signed content.
func (r VerifiedResult) For(requestID string, digest writeback.Digest) (writeback.Result, error) {
	if r.keyID == "" || r.result.RequestID != requestID || r.result.RequestDigest != digest {
		return writeback.Result{}, errOtherRequest
	}
	return r.result, nil
}

// Verify checks a result token: shape, pinned key, signature, audience, and that the agent owns the key. Unknown claims are refused;
// unknown reasons and unknown members of detail are not: an agent may know more of them than a portal.
//
// Errors are *[writeback.Error] with the reasons envelope.malformed, envelope.untrusted_issuer and envelope.bad_signature.
func (v *ResultVerifier) Verify(token []byte) (VerifiedResult, error) {
	parts, err := splitJWS(token)
	if err != nil {
		return VerifiedResult{}, fault(writeback.EnvelopeMalformed, "result: %w", err)
	}
	header, err := readJWSHeader(parts.header, resultType)
	if err != nil {
		return VerifiedResult{}, fault(writeback.EnvelopeMalformed, "result: %w", err)
	}
	pinned, known := v.pinned[header.kid]
	if !known {
		return VerifiedResult{}, fault(writeback.EnvelopeUntrustedIssuer, "result: key %s is not pinned", header.kid)
	}
	payload, err := verifySignature(parts, header, pinned.key)
	if err != nil {
		return VerifiedResult{}, fault(writeback.EnvelopeBadSignature, "result: key %s of agent %q: %w", header.kid, pinned.issuer, err)
	}
	result, err := readResult(payload)
	if err != nil {
		return VerifiedResult{}, fault(writeback.EnvelopeMalformed, "result: %w", err)
	}
	if result.Agent != pinned.issuer || result.Audience != v.issuer {
		return VerifiedResult{}, fault(writeback.EnvelopeUntrustedIssuer, "result: of agent %q for %q", result.Agent, result.Audience)
	}
	return VerifiedResult{result: result, keyID: header.kid}, nil
}

// readResult reads the claims of a result.
func readResult(payload []byte) (writeback.Result, error) {
	members, err := parseObject(payload)
	if err != nil {
		return writeback.Result{}, err
	}
	if name, found := members.stranger("iss", "aud", "jti", "iat", "req", "req_sha256", "outcome", "reason", "detail", "replayed", "agent"); found {
		return writeback.Result{}, fmt.Errorf("unknown claim %.32q", name)
	}
	f := &fields{members: members}
	result := writeback.Result{
		Agent: f.text("iss", nameForm()), Audience: f.text("aud", nameForm()), ID: f.text("jti", idForm()), IssuedAt: f.seconds("iat"),
		RequestID: f.text("req", idForm()), RequestDigest: readDigest(f), Outcome: readOutcome(f),
	}
	if f.fault == nil {
		if err := checkAgent(result.Agent); err != nil {
			f.fail("iss", err)
		} else if f.text("agent", nameForm()) != agentID(result.Agent) {
			f.fail("agent", errors.New("is not the agent that iss names"))
		}
	}
	return result, f.fault
}

func readDigest(f *fields) writeback.Digest {
	var digest writeback.Digest
	decoded, err := decodeBase64([]byte(f.text("req_sha256", thumbprintForm())))
	if err != nil || len(decoded) != len(digest) {
		f.fail("req_sha256", errBase64)
		return digest
	}
	return writeback.Digest(decoded)
}

func readOutcome(f *fields) writeback.Outcome {
	outcome := writeback.Outcome{
		Verdict: writeback.Verdict(f.text("outcome", nameForm())), Reason: writeback.Reason(f.text("reason", nameForm())),
	}
	switch outcome.Verdict {
	case writeback.Written, writeback.NotWritten, writeback.Unknown, writeback.OK:
	default:
		f.fail("outcome", errors.New("is not known"))
	}
	if _, stated := f.value("replayed"); stated {
		outcome.Replayed = f.boolean("replayed", false)
	}
	if f.has("detail") {
		outcome.Detail = readDetail(f)
	}
	return outcome
}

// Bounds of a result's detail.
const (
	maxPossible    = 16
	maxDetailCount = 1 << 16
)

// readDetail reads the members we know and leaves the others.
func readDetail(f *fields) writeback.Detail {
	members := f.object("detail")
	detail := writeback.Detail{
		MinLength: readCount(members, "min_length"), MaxLength: readCount(members, "max_length"),
		HistoryLength: readCount(members, "history_length"), Possible: members.texts("possible", maxPossible, nameForm()),
		Warnings: members.texts("warnings", maxPossible, nameForm()),
	}
	if members.has("hint") {
		detail.Hint = members.text("hint", nameForm())
	}
	if members.has("retry_after") {
		detail.RetryAfter = readTime(members, "retry_after")
	}
	if members.fault != nil {
		f.fail("detail", members.fault)
	}
	return detail
}

func readCount(f *fields, name string) int {
	value, ok := f.members.get(name)
	if !ok {
		return 0
	}
	count, err := whole(value)
	if err != nil || count > maxDetailCount {
		f.fail(name, errors.New("is not a whole number in range"))
		return 0
	}
	return int(count)
}

// readTime reads an RFC 3339 time.
func readTime(f *fields, name string) *time.Time {
	text := f.text(name, form{1, 64, areOfNames})
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil || !isInFull(text) {
		f.fail(name, errors.New("is not an RFC 3339 time"))
		return nil
	}
	return &parsed
}

// isInFull refuses what [time.Parse] takes beyond RFC 3339: an hour of one digit, a fraction without digits, and offsets that no zone has.
func isInFull(text string) bool {
	const seconds = len("2006-01-02T15:04:05")
	if text[seconds-6] != ':' || text[seconds-3] != ':' || text[seconds] == '.' && !isDigit(text[seconds+1]) {
		return false
	}
	end := len(text)
	return text[end-1] == 'Z' || text[end-5:end-3] <= "23" && text[end-2:] <= "59"
}

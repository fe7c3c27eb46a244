package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// -update makes testdata/vectors anew. Only a change of the protocol, or another vector, is a reason to: programs in other languages run
// the same files.
var updateVectors = flag.Bool("update", false, "make testdata/vectors anew")

// suites are the suites that vectors are about.
func suites() []string { return []string{"ec-1", "rsa-1"} }

// vectorName is the name of a file of a suite's vectors.
func vectorName(file, suite string) string {
	if suite == "ec-1" {
		return file
	}
	return strings.TrimSuffix(file, ".json") + "-" + suite + ".json"
}

// The files of vectors; testdata/vectors/README.md explains their format to outsiders.
const (
	acceptedFile = "requests-accepted.json"
	rejectedFile = "requests-rejected.json"
	resultsFile  = "results.json"
)

// The steps a vector can be refused at, by the names of the files.
const (
	stepVerify = "verify" // header, signature, claims
	stepTimes  = "times"
	stepOpen   = "open"  // the sealed part
	stepMatch  = "match" // a result answers another request
)

// vectorFile is one file of vectors about one agent (requests) or one portal (results).
type vectorFile[Trust, Vector any] struct {
	Format  int      `json:"format"`
	Suite   string   `json:"suite"`
	Trust   Trust    `json:"trust"`
	Vectors []Vector `json:"vectors"`
}

// agentTrust is what the agent that the requests are sent to trusts and can open.
type agentTrust struct {
	Group       string                       `json:"group"`
	MaxLife     int                          `json:"max_life"` // seconds
	Skew        int                          `json:"skew"`     // seconds
	Issuers     map[string][]json.RawMessage `json:"issuers"`  // public JWKs
	SealingKeys []json.RawMessage            `json:"sealing_keys"`
}

// requestVector is one request token.
type requestVector struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Clock       int64         `json:"clock"` // the agent's, Unix seconds
	Token       string        `json:"token"`
	Repeats     string        `json:"repeats,omitempty"` // the vector with the same id and the same content
	Reuses      string        `json:"reuses,omitempty"`  // the vector with the same id and other content
	Expect      requestExpect `json:"expect"`
}

// requestExpect is what the token says, or where and why it is refused.
type requestExpect struct {
	Step     string        `json:"step,omitempty"` // empty: accepted
	Reason   string        `json:"reason,omitempty"`
	Answered bool          `json:"answered,omitempty"` // refused, but signed well enough to be answered
	Claims   *vectorClaims `json:"claims,omitempty"`
	Sealed   *vectorSealed `json:"sealed,omitempty"`
}

// vectorClaims are the signed half, with what names it.
type vectorClaims struct {
	KeyID     string      `json:"kid"`
	Digest    string      `json:"req_sha256"`
	Issuer    string      `json:"iss"`
	Audience  string      `json:"aud"`
	ID        string      `json:"jti"`
	IssuedAt  int64       `json:"iat"`
	ExpiresAt int64       `json:"exp"`
	NotBefore int64       `json:"nbf,omitempty"`
	Operation string      `json:"op"`
	Actor     vectorActor `json:"act"`
	AuthTime  int64       `json:"auth_time,omitempty"`
	Methods   []string    `json:"amr,omitempty"`
	Reply     string      `json:"reply"`
}

type vectorActor struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
}

// vectorSealed is the sealed half, with its defaults filled in. Passwords are base64 (RFC 4648 section 4) of their UTF-8, so that no
// editor and no JSON library can change them.
type vectorSealed struct {
	User        map[string]string `json:"user,omitempty"`
	Password    *string           `json:"password_base64,omitempty"`
	OldPassword *string           `json:"old_password_base64,omitempty"`
	MustChange  *bool             `json:"must_change,omitempty"`
	Unlock      *bool             `json:"unlock,omitempty"`
}

// portalTrust is whose results a portal believes.
type portalTrust struct {
	Issuer string                       `json:"issuer"`
	Agents map[string][]json.RawMessage `json:"agents"` // "group/agent id" -> public JWKs
}

// resultVector is one result token, and the request that the portal waits for.
type resultVector struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Request     awaitedRequest  `json:"request"`
	Token       string          `json:"token"`
	Expect      resultVectorEnd `json:"expect"`
}

type awaitedRequest struct {
	ID     string `json:"jti"`
	Digest string `json:"req_sha256"`
}

type resultVectorEnd struct {
	Step   string        `json:"step,omitempty"` // empty: accepted
	Reason string        `json:"reason,omitempty"`
	Result *vectorResult `json:"result,omitempty"`
}

type vectorResult struct {
	Agent    string           `json:"iss"`
	ID       string           `json:"jti"`
	IssuedAt int64            `json:"iat"`
	Outcome  string           `json:"outcome"`
	Reason   string           `json:"reason"`
	Detail   writeback.Detail `json:"detail,omitzero"`
	Replayed bool             `json:"replayed"`
}

// loadVectors reads a file strictly: a member that nobody reads would look tested.
func loadVectors[Trust, Vector any](t *testing.T, name, suite string) vectorFile[Trust, Vector] {
	t.Helper()
	name = vectorName(name, suite)
	text, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	must(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var file vectorFile[Trust, Vector]
	must(t, decoder.Decode(&file))
	if file.Format != 1 || file.Suite != suite {
		t.Fatalf("%s: format %d of suite %q", name, file.Format, file.Suite)
	}
	return file
}

func (trust agentTrust) opener(t *testing.T) *envelope.Opener {
	t.Helper()
	config := envelope.OpenerConfig{Group: trust.Group, Issuers: publicKeys(t, trust.Issuers)}
	for _, jwk := range trust.SealingKeys {
		config.SealingKeys = append(config.SealingKeys, parse(t, bytes.Clone(jwk)))
	}
	opener, err := envelope.NewOpener(config)
	must(t, err)
	return opener
}

func (trust agentTrust) limits() envelope.Limits {
	return envelope.Limits{MaxLife: time.Duration(trust.MaxLife) * time.Second, Skew: time.Duration(trust.Skew) * time.Second}
}

func publicKeys(t *testing.T, owners map[string][]json.RawMessage) map[string][]envelope.PublicKey {
	t.Helper()
	keys := make(map[string][]envelope.PublicKey)
	for owner, jwks := range owners {
		for _, jwk := range jwks {
			parsed, err := envelope.ParsePublicKeys(jwk)
			must(t, err)
			keys[owner] = append(keys[owner], parsed...)
		}
	}
	return keys
}

// TestRequestVectors runs what is committed. A vector that is refused has one fault: the other steps must pass, so that an opener which takes
// them in another order finds the same.
func TestRequestVectors(t *testing.T) {
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) { runRequests(t, suite) })
	}
}

func runRequests(t *testing.T, suite string) {
	t.Helper()
	for name, least := range map[string]int{acceptedFile: 15, rejectedFile: 60} {
		file := loadVectors[agentTrust, requestVector](t, name, suite)
		if len(file.Vectors) < least {
			t.Errorf("%s: only %d vectors", name, len(file.Vectors))
		}
		opener := file.Trust.opener(t)
		seen := make(map[string]requestVector)
		for _, vector := range file.Vectors {
			if (vector.Expect.Step == "") != (name == acceptedFile) {
				t.Errorf("%s: %s is in the wrong file", name, vector.Name)
			}
			if _, twice := seen[vector.Name]; twice || vector.Description == "" {
				t.Errorf("%s: %q stands twice, or is not described", name, vector.Name)
			}
			seen[vector.Name] = vector
			t.Run(vector.Name, func(t *testing.T) {
				got := runRequest(t, opener, file.Trust.limits(), vector)
				if diff := cmp.Diff(vector.Expect, got); diff != "" {
					t.Errorf("%s (-file +code):\n%s", vector.Description, diff)
				}
			})
		}
		checkTwins(t, seen)
	}
}

// checkTwins looks at pairs of vectors with one id: the hash of the signing input tells a repetition from another request.
func checkTwins(t *testing.T, vectors map[string]requestVector) {
	t.Helper()
	for _, vector := range vectors {
		name := vector.Repeats + vector.Reuses
		if name == "" {
			continue
		}
		first, found := vectors[name]
		if !found {
			t.Errorf("%s: no vector %q", vector.Name, name)
			continue
		}
		a, b := first.Expect.Claims, vector.Expect.Claims
		if first.Token == vector.Token || a.Issuer != b.Issuer || a.ID != b.ID || (a.Digest == b.Digest) != (vector.Repeats != "") {
			t.Errorf("%s and %s are not the twins they are said to be", first.Name, vector.Name)
		}
	}
}

// runRequest takes all three steps and says what came of them, in the words of the file.
func runRequest(t *testing.T, opener *envelope.Opener, limits envelope.Limits, vector requestVector) requestExpect {
	t.Helper()
	verified, err := opener.Verify([]byte(vector.Token))
	if err != nil {
		return requestExpect{Step: stepVerify, Reason: string(writeback.ReasonOf(err)), Answered: verified.Answerable()}
	}
	timely := envelope.JudgeTimes(verified.Claims(), time.Unix(vector.Clock, 0), limits)
	request, err := opener.Decrypt(verified)
	switch {
	case timely != nil && err != nil:
		t.Errorf("two faults: %v, %v", timely, err)
	case timely != nil:
		return requestExpect{Step: stepTimes, Reason: string(writeback.ReasonOf(timely)), Answered: true}
	case err != nil:
		return requestExpect{Step: stepOpen, Reason: string(writeback.ReasonOf(err)), Answered: true}
	}
	defer request.Destroy()
	return requestExpect{Claims: describeClaims(request.Claims), Sealed: describeSealed(request)}
}

func describeClaims(c writeback.Claims) *vectorClaims {
	return &vectorClaims{
		KeyID: c.KeyID, Digest: base64.RawURLEncoding.EncodeToString(c.Digest[:]), Issuer: c.Issuer, Audience: c.Audience, ID: c.ID,
		IssuedAt: c.IssuedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix(), NotBefore: unixOrZero(c.NotBefore), Operation: string(c.Operation),
		Actor: vectorActor{Kind: string(c.Actor.Kind), ID: c.Actor.ID}, AuthTime: unixOrZero(c.AuthTime), Methods: c.Methods, Reply: c.ReplySession,
	}
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func describeSealed(request *writeback.Request) *vectorSealed {
	sealed := &vectorSealed{}
	if request.Operation != writeback.OpPing {
		sealed.User = map[string]string{string(request.Subject.Kind): request.Subject.Value}
		if request.Subject.AssertedImmutableID != "" {
			sealed.User["immutable_id"] = request.Subject.AssertedImmutableID
		}
	}
	if request.Operation.SetsPassword() {
		sealed.Password = base64Of(request.Password)
	}
	switch request.Operation {
	case writeback.OpChange:
		sealed.OldPassword = base64Of(request.OldPassword)
	case writeback.OpReset:
		sealed.MustChange, sealed.Unlock = &request.MustChange, &request.Unlock
	}
	return sealed
}

func base64Of(password secret.Value) *string {
	var text string
	password.Use(func(typed []byte) { text = base64.StdEncoding.EncodeToString(typed) })
	return &text
}

func TestResultVectors(t *testing.T) {
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) { runResults(t, suite) })
	}
}

func runResults(t *testing.T, suite string) {
	t.Helper()
	file := loadVectors[portalTrust, resultVector](t, resultsFile, suite)
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{Issuer: file.Trust.Issuer, Agents: publicKeys(t, file.Trust.Agents)})
	must(t, err)
	seen := make(map[string]bool)
	accepted := 0
	for _, vector := range file.Vectors {
		if seen[vector.Name] || vector.Description == "" {
			t.Errorf("%q stands twice, or is not described", vector.Name)
		}
		seen[vector.Name] = true
		if vector.Expect.Step == "" {
			accepted++
		}
		t.Run(vector.Name, func(t *testing.T) {
			if diff := cmp.Diff(vector.Expect, runResult(t, verifier, vector)); diff != "" {
				t.Errorf("%s (-file +code):\n%s", vector.Description, diff)
			}
		})
	}
	if rejected := len(file.Vectors) - accepted; accepted < 5 || rejected < 15 {
		t.Errorf("%d accepted and %d rejected results", accepted, rejected)
	}
}

func runResult(t *testing.T, verifier *envelope.ResultVerifier, vector resultVector) resultVectorEnd {
	t.Helper()
	verified, err := verifier.Verify([]byte(vector.Token))
	if err != nil {
		return resultVectorEnd{Step: stepVerify, Reason: string(writeback.ReasonOf(err))}
	}
	digest, err := base64.RawURLEncoding.DecodeString(vector.Request.Digest)
	must(t, err)
	result, err := verified.For(vector.Request.ID, writeback.Digest(digest))
	if err != nil {
		return resultVectorEnd{Step: stepMatch}
	}
	return resultVectorEnd{Result: &vectorResult{
		Agent: result.Agent, ID: result.ID, IssuedAt: result.IssuedAt.Unix(), Outcome: string(result.Outcome.Verdict),
		Reason: string(result.Outcome.Reason), Detail: result.Outcome.Detail, Replayed: result.Outcome.Replayed,
	}}
}

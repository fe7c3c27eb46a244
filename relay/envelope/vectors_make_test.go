package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// The time of the vectors: requests are issued then, and judged ten seconds later unless they say otherwise.
const (
	vectorIssued = 1_780_000_000
	vectorClock  = vectorIssued + 10
	secondIssuer = "https://second.example.test"
)

// maker makes the vectors. What they must say is written down from what was put in, not from what the opener reads.
type maker struct {
	t     *testing.T
	suite string
	// Pinned: two keys of the portal, one of a second portal. The agent opens with the new key first, then with the old one.
	portalKey, portalNext, secondKey, agentNew, agentOld, agentSigning envelope.PrivateKey
	// Not pinned, and another agent's.
	stranger, otherAgent envelope.PrivateKey
	portal               envelopetest.Portal
	made                 map[string]requestVector
}

// recipe is one request vector before it is made.
type recipe struct {
	name, description string
	edit              func(*envelopetest.Draft)
	token             func(good []byte) []byte // what becomes of the token afterwards; nil: it stays
	by                *envelopetest.Portal     // nil: the portal
	clock             int64                    // 0: vectorClock

	// Where and why it is refused; an empty step means that it is accepted.
	step     string
	reason   writeback.Reason
	answered bool

	password        *string // what comes out, where the draft holds raw text
	repeats, reuses string
}

// newMaker makes ready for one suite. Keys of ec-1 and all random numbers are made from a fixed seed: made again with the same Go, the files are
// the same.
func newMaker(t *testing.T, suite string) *maker {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	m := &maker{t: t, suite: suite, made: make(map[string]requestVector)}
	if suite == "rsa-1" {
		m.useRSA()
	} else {
		m.portalKey, m.portalNext, m.secondKey, m.agentSigning, m.stranger = signingKey(t), signingKey(t), signingKey(t), signingKey(t), signingKey(t)
		m.agentNew, m.agentOld, m.otherAgent = sealingKey(t), sealingKey(t), sealingKey(t)
	}
	m.portal = envelopetest.Portal{
		Issuer: issuer, Group: group, SigningKey: m.portalKey, Recipients: []envelope.PublicKey{m.agentNew.Public()},
		Now: func() time.Time { return time.Unix(vectorIssued, 0) },
	}
	return m
}

// useRSA takes the keys of rsa-1. Both algorithms that may sign and both sizes of keys are among them.
func (m *maker) useRSA() {
	m.portalKey, m.secondKey = rsaKey(m.t, envelope.PS256, 0), rsaKey(m.t, envelope.PS256, 3)
	m.portalNext, m.agentSigning, m.stranger = signingKey(m.t), rsaKey(m.t, envelope.PS256, 1), rsaKey(m.t, envelope.PS256, 2)
	m.agentNew, m.agentOld, m.otherAgent = rsaKey(m.t, envelope.RSAOAEP256, 0), rsaKey(m.t, envelope.RSAOAEP256, 3), rsaKey(m.t, envelope.RSAOAEP256, 1)
}

// alg is the portal's algorithm.
func (m *maker) alg() string { return string(m.portalKey.Public().Algorithm()) }

// portalWith returns the portal with something else about it.
func (m *maker) portalWith(edit func(*envelopetest.Portal)) *envelopetest.Portal {
	portal := m.portal
	edit(&portal)
	return &portal
}

func (m *maker) jwk(key envelope.PrivateKey) json.RawMessage {
	encoded, err := envelope.EncodePublicKey(key.Public())
	must(m.t, err)
	return encoded
}

// privateJWK leaves out when the key was made, which would differ each time.
func (m *maker) privateJWK(key envelope.PrivateKey) json.RawMessage {
	encoded, err := envelope.EncodePrivateKey(key)
	must(m.t, err)
	var members map[string]any
	must(m.t, json.Unmarshal(encoded.Reveal(), &members))
	delete(members, "iat")
	text, err := json.Marshal(members)
	must(m.t, err)
	return text
}

func (m *maker) agentTrust() agentTrust {
	return agentTrust{
		Group: group, MaxLife: int(envelope.DefaultMaxLife.Seconds()), Skew: int(envelope.DefaultSkew.Seconds()),
		Issuers: map[string][]json.RawMessage{
			issuer: {m.jwk(m.portalKey), m.jwk(m.portalNext)}, secondIssuer: {m.jwk(m.secondKey)},
		},
		SealingKeys: []json.RawMessage{m.privateJWK(m.agentNew), m.privateJWK(m.agentOld)},
	}
}

// vectors makes the request vectors of recipes.
func (m *maker) vectors(recipes []recipe) []requestVector {
	made := make([]requestVector, 0, len(recipes))
	for _, r := range recipes {
		vector := m.vector(r)
		if r.repeats != "" {
			vector.Token, vector.Expect = m.signedOtherwise(r.repeats), m.made[r.repeats].Expect
		}
		m.made[r.name] = vector
		made = append(made, vector)
	}
	return made
}

func (m *maker) vector(r recipe) requestVector {
	portal := &m.portal
	if r.by != nil {
		portal = r.by
	}
	draft := portal.Draft()
	draft.Claims["act"] = map[string]any{"kind": "self"}
	draft.Sealed["user"] = map[string]any{"sid": "S-1-5-21-1004336348-1177238915-682003330-1104"}
	if r.edit != nil {
		r.edit(draft)
	}
	token, err := portal.Token(draft)
	must(m.t, err)
	if r.token != nil {
		token = r.token(token)
	}
	vector := requestVector{
		Name: r.name, Description: r.description, Clock: r.clock, Token: string(token), Repeats: r.repeats, Reuses: r.reuses,
		Expect: requestExpect{Step: r.step, Reason: string(r.reason), Answered: r.answered},
	}
	if vector.Clock == 0 {
		vector.Clock = vectorClock
	}
	if r.step == "" {
		vector.Expect.Claims, vector.Expect.Sealed = m.claimsOf(draft, token), m.sealedOf(draft, r.password)
	}
	return vector
}

// signedOtherwise returns a made token with another valid signature of the portal: the one that anybody can compute (ECDSA), or one that the
// portal made anew (RSA-PSS has a salt).
func (m *maker) signedOtherwise(name string) string {
	token := []byte(m.made[name].Token)
	if m.suite == "rsa-1" {
		return string(m.signText(string(token[:bytes.LastIndexByte(token, '.')]), m.portalKey))
	}
	token, err := envelopetest.Malleated(token)
	must(m.t, err)
	return string(token)
}

// claimsOf writes down what a draft was made to claim.
func (m *maker) claimsOf(draft *envelopetest.Draft, token []byte) *vectorClaims {
	claims := &vectorClaims{}
	recode(m.t, draft.Claims, claims)
	claims.KeyID, _ = draft.Header["kid"].(string)
	digest := sha256.Sum256(token[:bytes.LastIndexByte(token, '.')])
	claims.Digest = envelopetest.Base64(digest[:])
	return claims
}

// sealedOf writes down what a draft was made to seal, with the defaults of the protocol.
func (m *maker) sealedOf(draft *envelopetest.Draft, password *string) *vectorSealed {
	var plain struct {
		User        map[string]string `json:"user"`
		Password    *string           `json:"password"`
		OldPassword *string           `json:"old_password"`
		MustChange  *bool             `json:"must_change"`
		Unlock      *bool             `json:"unlock"`
	}
	recode(m.t, draft.Sealed, &plain)
	if password != nil {
		plain.Password = password
	}
	if draft.Claims["op"] == string(writeback.OpReset) {
		if plain.MustChange == nil {
			plain.MustChange = new(false)
		}
		if plain.Unlock == nil {
			plain.Unlock = new(true)
		}
	}
	return &vectorSealed{
		User: plain.User, Password: inBase64(plain.Password), OldPassword: inBase64(plain.OldPassword),
		MustChange: plain.MustChange, Unlock: plain.Unlock,
	}
}

func inBase64(text *string) *string {
	if text == nil {
		return nil
	}
	return new(base64.StdEncoding.EncodeToString([]byte(*text)))
}

// recode carries values over by their JSON names.
func recode(tb testing.TB, from, to any) {
	tb.Helper()
	text, err := json.Marshal(from)
	must(tb, err)
	must(tb, json.Unmarshal(text, to))
}

// signText signs any text as a signing input, also one that is not base64url.
func (m *maker) signText(input string, key envelope.PrivateKey) []byte {
	token, err := envelopetest.SignText(input, key)
	must(m.t, err)
	return token
}

// makeVectors makes all files of a suite: their names and what they hold.
func makeVectors(t *testing.T, suite string) map[string]any {
	t.Helper()
	m := newMaker(t, suite)
	return map[string]any{
		vectorName(acceptedFile, suite): vectorFile[agentTrust, requestVector]{1, suite, m.agentTrust(), m.vectors(m.acceptedRequests())},
		vectorName(rejectedFile, suite): vectorFile[agentTrust, requestVector]{1, suite, m.agentTrust(), m.vectors(m.rejectedRequests())},
		vectorName(resultsFile, suite):  vectorFile[portalTrust, resultVector]{1, suite, m.portalTrust(), m.results()},
	}
}

// encodeVectors leaves < and > as they are, for whoever reads the file.
func encodeVectors(t *testing.T, file any) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	must(t, encoder.Encode(file))
	return text.Bytes()
}

// outline is what of a file does not depend on chance.
func outline(t *testing.T, text []byte) any {
	t.Helper()
	var file struct {
		Vectors []struct {
			Name, Description string
			Clock             int64
			Expect            struct{ Step, Reason string }
		}
	}
	must(t, json.Unmarshal(text, &file))
	return file.Vectors
}

// TestVectorsAreTheOnesDescribedHere makes the files with -update, and else sees to it that none was forgotten.
func TestVectorsAreTheOnesDescribedHere(t *testing.T) {
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) { madeFromHere(t, makeVectors(t, suite)) })
	}
}

func madeFromHere(t *testing.T, files map[string]any) {
	t.Helper()
	for name, file := range files {
		path, text := filepath.Join("testdata", "vectors", name), encodeVectors(t, file)
		if *updateVectors {
			must(t, os.WriteFile(path, text, 0o644))
		}
		committed, err := os.ReadFile(path)
		must(t, err)
		if diff := cmp.Diff(outline(t, committed), outline(t, text)); diff != "" {
			t.Errorf("%s was made from other descriptions (-file +here); make it anew with -update:\n%s", name, diff)
		}
	}
}

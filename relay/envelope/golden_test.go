package envelope_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// golden is one request and its result as they were made once: whatever changes in the code, they must open.
type golden struct {
	PortalKey    json.RawMessage `json:"portal_key"`
	SealingKey   json.RawMessage `json:"sealing_key"`
	AgentKey     json.RawMessage `json:"agent_key"`
	Request      string          `json:"request"`
	RequestID    string          `json:"request_id"`
	Digest       string          `json:"digest"`
	Result       string          `json:"result"`
	TestPassword string          `json:"test_password"`
}

// -golden makes the files anew, and with them the values of the worked example in docs/protocol.md. Only a change of the protocol is a reason to.
var makeGolden = flag.Bool("golden", false, "make testdata/ec-1.json and testdata/rsa-1.json anew")

func TestTokensMadeLongAgoStillOpen(t *testing.T) {
	for _, suite := range []string{"ec-1", "rsa-1"} {
		t.Run(suite, func(t *testing.T) {
			if *makeGolden {
				writeGolden(t, suite)
			}
			opensGolden(t, readGolden(t, suite))
		})
	}
}

func goldenPath(suite string) string { return filepath.Join("testdata", suite+".json") }

func readGolden(t *testing.T, suite string) golden {
	t.Helper()
	text, err := os.ReadFile(goldenPath(suite))
	must(t, err)
	var g golden
	must(t, json.Unmarshal(text, &g))
	return g
}

func opensGolden(t *testing.T, g golden) {
	t.Helper()
	opener, err := envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {parse(t, g.PortalKey).Public()}},
		SealingKeys: []envelope.PrivateKey{parse(t, g.SealingKey)},
	})
	must(t, err)
	verified, err := opener.Verify([]byte(g.Request))
	must(t, err)
	request, err := opener.Decrypt(verified)
	must(t, err)
	if request.ID != g.RequestID || request.Digest.String() != g.Digest || !request.Password.Equal(secret.NewString(g.TestPassword)) {
		t.Errorf("opened as %+v", request.Claims)
	}
	must(t, envelope.JudgeTimes(request.Claims, time.Unix(1_780_000_030, 0), envelope.Limits{}))
	result, err := newVerifier(t, parse(t, g.AgentKey).Public()).Verify([]byte(g.Result))
	must(t, err)
	got, err := result.For(request.ID, request.Digest)
	must(t, err)
	if got.Outcome.Reason != writeback.PasswordInHistory || got.Outcome.Detail.HistoryLength != 24 {
		t.Errorf("result %+v", got)
	}
}

func parse(t *testing.T, jwk []byte) envelope.PrivateKey {
	t.Helper()
	key, err := envelope.ParsePrivateKey(secret.New(jwk))
	must(t, err)
	return key
}

func writeGolden(t *testing.T, suite string) {
	t.Helper()
	w := worlds(t)[suite]
	w.portal.Now = func() time.Time { return time.Unix(1_780_000_000, 0) }
	g := golden{
		PortalKey: reveal(t, w.portalKey), SealingKey: reveal(t, w.agentKey), AgentKey: reveal(t, w.agentSigning),
		TestPassword: "Grüße-42 \"quoted\"",
	}
	draft := w.portal.Draft().For(writeback.OpReset, map[string]any{"sid": "S-1-5-21-1-2-3-1104", "immutable_id": "AAECAwQFBgcICQoLDA0ODw=="}, g.TestPassword)
	token, err := w.portal.Token(draft)
	must(t, err)
	peeked, err := envelope.Peek(token)
	must(t, err)
	signer, err := envelope.NewResultSigner(agentName, w.agentSigning)
	must(t, err)
	result, err := signer.Sign(writeback.Result{
		Audience: issuer, RequestID: peeked.ID, RequestDigest: peeked.Digest, IssuedAt: time.Unix(1_780_000_001, 0),
		Outcome: writeback.Answer(writeback.PasswordInHistory, writeback.Detail{HistoryLength: 24}),
	})
	must(t, err)
	g.Request, g.RequestID, g.Digest, g.Result = string(token), peeked.ID, peeked.Digest.String(), string(result)
	text, err := json.MarshalIndent(g, "", "  ")
	must(t, err)
	must(t, os.WriteFile(goldenPath(suite), append(text, '\n'), 0o644))
	if suite == "ec-1" {
		reprint(t, workedExample(t, g))
	}
}

func reveal(t *testing.T, key envelope.PrivateKey) []byte {
	t.Helper()
	text, err := envelope.EncodePrivateKey(key)
	must(t, err)
	return text.Reveal()
}

// TestDraftsAreGoodUntilSpoiled keeps the crafting of hostile tokens honest: unspoiled, its tokens open for every operation.
func TestDraftsAreGoodUntilSpoiled(t *testing.T) {
	for suite, w := range worlds(t) {
		for _, operation := range []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck, writeback.OpPing} {
			request, err := w.open(w.token(t, func(d *envelopetest.Draft) { d.For(operation, map[string]any{"sid": "S-1-5-21-1"}, "New-1") }))
			must(t, err)
			if request.Operation != operation || request.Password.Empty() == operation.SetsPassword() {
				t.Errorf("%s: %s opened as %s", suite, operation, request.Operation)
			}
		}
	}
	w := newWorld(t)
	verified, err := w.opener.Verify(w.token(t, func(d *envelopetest.Draft) { d.Aged(-time.Hour) }))
	must(t, err)
	if err := envelope.JudgeTimes(verified.Claims(), time.Now(), envelope.Limits{}); writeback.ReasonOf(err) != writeback.RequestExpired {
		t.Errorf("aged by an hour: %v", err)
	}
	if token := w.token(t, func(*envelopetest.Draft) {}); string(envelopetest.Forged(token)) == string(token) {
		t.Error("nothing was forged")
	}
	for _, token := range []string{"", "x", "a.b.c"} {
		if _, err := envelopetest.Malleated([]byte(token)); err == nil {
			t.Errorf("%q was malleated", token)
		}
	}
}

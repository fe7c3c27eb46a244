package envelope_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

const agentName = "corp/dc-host-1"

func newVerifier(t *testing.T, keys ...envelope.PublicKey) *envelope.ResultVerifier {
	t.Helper()
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
		Issuer: issuer, Agents: map[string][]envelope.PublicKey{agentName: keys},
	})
	must(t, err)
	return verifier
}

func someResult() writeback.Result {
	retry := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return writeback.Result{
		Agent: agentName, Audience: issuer, ID: envelope.NewID(), IssuedAt: time.Unix(1_780_000_000, 0),
		RequestID: envelope.NewID(), RequestDigest: writeback.Digest{1, 2, 3},
		Outcome: writeback.Outcome{
			Verdict: writeback.NotWritten, Reason: writeback.PasswordTooRecent, Replayed: true,
			Detail: writeback.Detail{MinLength: 12, MaxLength: 256, HistoryLength: 24, RetryAfter: &retry, Possible: []string{"in_history", "filter"}, Hint: "x"},
		},
	}
}

func TestAResultComesOutAsItWasSigned(t *testing.T) {
	key := signingKey(t)
	signer, err := envelope.NewResultSigner(agentName, key)
	must(t, err)
	for name, edit := range map[string]func(*writeback.Result){
		"full":      func(*writeback.Result) {},
		"no detail": func(r *writeback.Result) { r.Outcome.Detail = writeback.Detail{} },
		"written": func(r *writeback.Result) {
			r.Outcome = writeback.Outcome{Verdict: writeback.Written, Reason: writeback.ReasonOK}
		},
		"unknown": func(r *writeback.Result) { r.Outcome.Verdict = writeback.Unknown },
		"ping": func(r *writeback.Result) {
			r.Outcome = writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK}
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := someResult()
			edit(&want)
			token, err := signer.Sign(want)
			must(t, err)
			verified, err := newVerifier(t, key.Public()).Verify(token)
			must(t, err)
			if verified.RequestID() != want.RequestID || verified.KeyID() != key.KeyID() {
				t.Errorf("for %s by %s", verified.RequestID(), verified.KeyID())
			}
			got, err := verified.For(want.RequestID, want.RequestDigest)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAResultIsHandedOutOnlyToItsRequest(t *testing.T) {
	key := signingKey(t)
	signer, err := envelope.NewResultSigner(agentName, key)
	must(t, err)
	result := someResult()
	token, err := signer.Sign(result)
	must(t, err)
	verified, err := newVerifier(t, key.Public()).Verify(token)
	must(t, err)
	if got, err := verified.For(envelope.NewID(), result.RequestDigest); err == nil {
		t.Errorf("another id gets %+v", got)
	}
	if got, err := verified.For(result.RequestID, writeback.Digest{9}); err == nil {
		t.Errorf("another content gets %+v", got)
	}
	if _, err := (envelope.VerifiedResult{}).For("", writeback.Digest{}); err == nil {
		t.Error("the zero value is handed out")
	}
}

func TestASignerFillsInWhatIsItsOwn(t *testing.T) {
	key := signingKey(t)
	signer, err := envelope.NewResultSigner(agentName, key)
	must(t, err)
	result := someResult()
	result.Agent, result.ID, result.IssuedAt = "corp/somebody-else", "", time.Time{}
	token, err := signer.Sign(result)
	must(t, err)
	verified, err := newVerifier(t, key.Public()).Verify(token)
	must(t, err)
	got, err := verified.For(result.RequestID, result.RequestDigest)
	must(t, err)
	if got.Agent != agentName || len(got.ID) < 22 || got.IssuedAt.IsZero() || signer.Agent() != agentName || signer.KeyID() != key.KeyID() {
		t.Errorf("%+v", got)
	}
	result.Audience = ""
	if _, err := signer.Sign(result); err == nil {
		t.Error("a result for nobody was signed")
	}
}

func TestRejectedResults(t *testing.T) {
	key, stranger, sealing := signingKey(t), signingKey(t), sealingKey(t)
	verifier := newVerifier(t, key.Public())
	type parts struct {
		header, claims map[string]any
		raw            []byte
		key            envelope.PrivateKey
	}
	set := func(name string, value any) func(*parts) { return func(p *parts) { p.claims[name] = value } }
	malformed, untrusted, forged := writeback.EnvelopeMalformed, writeback.EnvelopeUntrustedIssuer, writeback.EnvelopeBadSignature
	type test struct {
		name   string
		edit   func(*parts)
		reason writeback.Reason
	}
	tests := []test{
		{"as it should be", func(*parts) {}, writeback.ReasonOK},
		{"an unknown reason", set("reason", "user.on_holiday"), writeback.ReasonOK},
		{"an unknown member of detail", set("detail", map[string]any{"colour": "red"}), writeback.ReasonOK},
		{"a member twice, deep in what is ignored", set("detail", map[string]any{"colour": json.RawMessage(`{"a":1,"a":1}`)}), malformed},
		{"unknown claim", set("extra", 1), malformed},
		{"unknown outcome", set("outcome", "maybe"), malformed},
		{"for another portal", set("aud", "https://other.example.test"), untrusted},
		{"in another agent's name", func(p *parts) { p.claims["iss"], p.claims["agent"] = "corp/dc-host-2", "dc-host-2" }, untrusted},
		{"agent and iss differ", set("agent", "dc-host-2"), malformed},
		{"iss without a group", set("iss", "dc-host-1"), malformed},
		{"short digest", set("req_sha256", envelopetest.Base64(make([]byte, 31))), malformed},
		{"digest not canonical", set("req_sha256", envelopetest.Base64(make([]byte, 32))[:42]+"B"), malformed},
		{"replayed a string", set("replayed", "true"), malformed},
		{"negative length", set("detail", map[string]any{"min_length": -1}), malformed},
		{"huge length", set("detail", map[string]any{"max_length": 1 << 20}), malformed},
		{"bad time", set("detail", map[string]any{"retry_after": "tomorrow"}), malformed},
		{"hint with a line end", set("detail", map[string]any{"hint": "a\nb"}), malformed},
		{"detail a string", set("detail", "x"), malformed},
		{"a claim twice", func(p *parts) { p.raw = []byte(`{"iss":"a","iss":"b"}`) }, malformed},
		{"typ of a request", func(p *parts) { p.header["typ"] = "writeback-request+jwt" }, malformed},
		{"crit", func(p *parts) { p.header["crit"] = []string{"b64"} }, malformed},
		{"alg none", func(p *parts) { p.header["alg"] = "none" }, forged},
		{"signed by a stranger under the agent's name", func(p *parts) { p.key = stranger }, forged},
		{"signed by a stranger", func(p *parts) { p.key, p.header["kid"] = stranger, stranger.KeyID() }, untrusted},
		{"under the sealing key's name", func(p *parts) { p.header["kid"] = sealing.KeyID() }, untrusted},
	}
	for _, name := range []string{"iss", "aud", "jti", "iat", "req", "req_sha256", "outcome", "reason", "replayed", "agent"} {
		tests = append(tests, test{"no " + name, func(p *parts) { delete(p.claims, name) }, malformed})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := parts{
				key:    key,
				header: map[string]any{"typ": "writeback-result+jwt", "alg": "ES256", "kid": key.KeyID()},
				claims: map[string]any{
					"iss": agentName, "aud": issuer, "jti": envelope.NewID(), "iat": 1_780_000_000, "req": envelope.NewID(),
					"req_sha256": envelopetest.Base64(make([]byte, 32)), "outcome": "written", "reason": "ok", "replayed": false, "agent": "dc-host-1",
				},
			}
			test.edit(&p)
			head, err := json.Marshal(p.header)
			must(t, err)
			payload, err := json.Marshal(p.claims)
			must(t, err)
			if p.raw != nil {
				payload = p.raw
			}
			token, err := envelopetest.Sign(head, payload, p.key)
			must(t, err)
			if _, err := verifier.Verify(token); writeback.ReasonOf(err) != test.reason {
				t.Errorf("%v, want %s", err, test.reason)
			}
		})
	}
	if _, err := verifier.Verify([]byte("x")); writeback.ReasonOf(err) != malformed {
		t.Errorf("noise: %v", err)
	}
}

func TestAVerifierRefusesKeysOfTheWrongUse(t *testing.T) {
	key := signingKey(t)
	for name, agents := range map[string]map[string][]envelope.PublicKey{
		"none":             nil,
		"sealing key":      {agentName: {sealingKey(t).Public()}},
		"zero key":         {agentName: {{}}},
		"agent of nothing": {"dc-host-1": {key.Public()}},
		"two agents":       {agentName: {key.Public()}, "corp/dc-host-2": {key.Public()}},
	} {
		if _, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{Issuer: issuer, Agents: agents}); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("%s: %v", name, err)
		}
	}
	for agent, key := range map[string]envelope.PrivateKey{"corp": key, "corp/": key, "/x": key, "corp/a b": key, agentName: sealingKey(t), "corp/zero": {}} {
		if _, err := envelope.NewResultSigner(agent, key); err == nil {
			t.Errorf("a signer for %q", agent)
		}
	}
}

package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// decodeText decodes one part of a token.
func decodeText(tb testing.TB, part string) []byte {
	tb.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	must(tb, err)
	return text
}

func (m *maker) portalTrust() portalTrust {
	return portalTrust{Issuer: issuer, Agents: map[string][]json.RawMessage{
		agentName: {m.jwk(m.agentSigning)}, "corp/dc-host-2": {m.jwk(m.portalNext)},
	}}
}

// resultDraft is a result before it is signed.
type resultDraft struct {
	header, claims map[string]any
	rawHeader, raw []byte // in the place of header and claims
	key            envelope.PrivateKey
}

// resultRecipe is one result vector before it is made.
type resultRecipe struct {
	name, description string
	edit              func(*resultDraft)
	token             func(good []byte) []byte
	step              string
	reason            writeback.Reason
}

// results makes the result vectors. The portal waits for the same request in all of them.
func (m *maker) results() []resultVector {
	recipes := append(m.acceptedResults(), m.acceptedResultForms()...)
	recipes = append(append(recipes, m.rejectedResults()...), m.rejectedResultForms()...)
	if m.suite == "ec-1" {
		recipes = append(recipes, resultRecipe{
			name: "result-r-leading-zero", description: "r begins with a zero byte.", token: m.signedUntil(m.agentSigning, func(s []byte) bool { return s[0] == 0 }),
		})
	}
	made := make([]resultVector, 0, len(recipes))
	for _, r := range recipes {
		made = append(made, m.result(r))
	}
	return made
}

func (m *maker) result(r resultRecipe) resultVector {
	awaited := awaitedRequest{ID: strings.Repeat("r", 22), Digest: envelopetest.Base64([]byte(strings.Repeat("d", 32)))}
	draft := &resultDraft{
		key:    m.agentSigning,
		header: map[string]any{"typ": "writeback-result+jwt", "alg": string(m.agentSigning.Public().Algorithm()), "kid": m.agentSigning.KeyID()},
		claims: map[string]any{
			"iss": agentName, "aud": issuer, "jti": envelope.NewID(), "iat": vectorClock, "req": awaited.ID, "req_sha256": awaited.Digest,
			"outcome": "written", "reason": "ok", "replayed": false, "agent": "dc-host-1",
		},
	}
	if r.edit != nil {
		r.edit(draft)
	}
	token := m.signResult(draft)
	if r.token != nil {
		token = r.token(token)
	}
	vector := resultVector{
		Name: r.name, Description: r.description, Request: awaited, Token: string(token),
		Expect: resultVectorEnd{Step: r.step, Reason: string(r.reason)},
	}
	if r.step == "" {
		vector.Expect.Result = &vectorResult{}
		recode(m.t, draft.claims, vector.Expect.Result)
	}
	return vector
}

func (m *maker) signResult(draft *resultDraft) []byte {
	header, err := json.Marshal(draft.header)
	must(m.t, err)
	claims, err := json.Marshal(draft.claims)
	must(m.t, err)
	if draft.rawHeader != nil {
		header = draft.rawHeader
	}
	if draft.raw != nil {
		claims = draft.raw
	}
	token, err := envelopetest.Sign(header, claims, draft.key)
	must(m.t, err)
	return token
}

// stating sets claims of a result.
func stating(pairs ...any) func(*resultDraft) {
	return func(d *resultDraft) {
		for i := 0; i < len(pairs); i += 2 {
			d.claims[pairs[i].(string)] = pairs[i+1]
		}
	}
}

// heading sets a member of a result's header.
func heading(name string, value any) func(*resultDraft) {
	return func(d *resultDraft) { d.header[name] = value }
}

func (m *maker) acceptedResults() []resultRecipe {
	return []resultRecipe{
		{name: "result-written", description: "Done."},
		{name: "result-ping", description: "The answer to a ping.", edit: stating("outcome", "ok")},
		{name: "result-refused", description: "Refused, with a detail.", edit: stating("outcome", "not_written", "reason", "password.too_short", "detail", map[string]any{"min_length": 14})},
		{name: "result-retry-after", description: "A detail with a time.", edit: stating("outcome", "not_written", "reason", "password.too_recent", "detail", map[string]any{"retry_after": "2026-06-01T08:30:00Z"})},
		{name: "result-possible", description: "A detail that names what could not be told apart.", edit: stating("outcome", "not_written", "reason", "password.refused", "detail", map[string]any{"possible": []string{"in_history", "filter"}})},
		{name: "result-check", description: "The answer to a check: what a reset would meet, and a warning for the administrator.", edit: stating("outcome", "ok", "detail", map[string]any{"min_length": 12, "history_length": 24, "warnings": []string{"immutable_id_not_indexed"}})},
		{name: "result-unknown", description: "Nobody can say; may be revised.", edit: stating("outcome", "unknown", "reason", "directory.outcome_unknown")},
		{name: "result-replayed", description: "Answered from memory.", edit: stating("replayed", true)},
		{name: "result-reason-of-tomorrow", description: "A reason that nobody knows yet: go by the outcome.", edit: stating("outcome", "not_written", "reason", "user.on_holiday")},
		{name: "result-detail-of-tomorrow", description: "Unknown members of detail are ignored, whatever they hold.", edit: func(d *resultDraft) {
			d.raw = m.withDetail(d.claims, map[string]any{"min_length": 8, "colour": "red", "agent": map[string]any{"agent": 1}})
			d.claims["detail"] = map[string]any{"min_length": 8}
		}},
		{name: "result-signed-again", description: "Another valid signature of a result: accepted, and dropped where its jti was seen.", token: func(good []byte) []byte {
			return m.signText(string(good[:bytes.LastIndexByte(good, '.')]), m.agentSigning)
		}},
		{name: "result-of-the-second-agent", description: "Signed by another pinned agent in its own name.", edit: func(d *resultDraft) {
			d.key = m.portalNext
			heading("kid", m.portalNext.KeyID())(d)
			heading("alg", string(m.portalNext.Public().Algorithm()))(d)
			stating("iss", "corp/dc-host-2", "agent", "dc-host-2")(d)
		}},
	}
}

// withDetail writes claims with another detail than those written down.
func (m *maker) withDetail(claims map[string]any, detail map[string]any) []byte {
	claims["detail"] = detail
	text, err := json.Marshal(claims)
	must(m.t, err)
	return text
}

func (m *maker) rejectedResults() []resultRecipe {
	var recipes []resultRecipe
	add := func(reason writeback.Reason, more ...resultRecipe) {
		for _, r := range more {
			r.step, r.reason = stepVerify, reason
			recipes = append(recipes, r)
		}
	}
	add(writeback.EnvelopeMalformed,
		resultRecipe{name: "result-typ-of-a-request", description: "typ of a request.", edit: heading("typ", "writeback-request+jwt")},
		resultRecipe{name: "result-crit", description: "The header holds crit.", edit: heading("crit", []string{"b64"})},
		resultRecipe{name: "result-claim-unknown", description: "A claim that results do not have.", edit: stating("extra", 1)},
		resultRecipe{name: "result-claim-twice", description: "iss stands twice.", edit: func(d *resultDraft) { d.raw = []byte(`{"iss":"a","iss":"b"}`) }},
		resultRecipe{name: "result-outcome-unknown-word", description: "An outcome that results do not have.", edit: stating("outcome", "maybe")},
		resultRecipe{name: "result-agent-differs", description: "agent is not the second half of iss.", edit: stating("agent", "dc-host-2")},
		resultRecipe{name: "result-iss-without-group", description: "iss has no slash.", edit: stating("iss", "dc-host-1")},
		resultRecipe{name: "result-digest-short", description: "A hash of 31 bytes.", edit: stating("req_sha256", envelopetest.Base64(make([]byte, 31)))},
		resultRecipe{name: "result-digest-unused-bits", description: "The unused bits of the hash's last character are not zero.", edit: stating("req_sha256", strings.Repeat("A", 42)+"B")},
		resultRecipe{name: "result-replayed-string", description: "replayed is a string.", edit: stating("replayed", "false")},
		resultRecipe{name: "result-detail-string", description: "detail is a string.", edit: stating("detail", "x")},
		resultRecipe{name: "result-detail-negative", description: "A negative length.", edit: stating("detail", map[string]any{"min_length": -1})},
		resultRecipe{name: "result-trailing-line-end", description: "A line end behind the token.", token: func(g []byte) []byte { return append(g, '\n') }},
	)
	for _, name := range []string{"iss", "aud", "jti", "iat", "req", "req_sha256", "outcome", "reason", "replayed", "agent"} {
		add(writeback.EnvelopeMalformed, resultRecipe{name: "result-without-" + name, description: "The claims do not hold " + name + ".", edit: func(d *resultDraft) { delete(d.claims, name) }})
	}
	add(writeback.EnvelopeBadSignature,
		resultRecipe{name: "result-alg-none", description: "alg none, without a signature.", edit: heading("alg", "none"), token: parts(func(p []string) { p[2] = "" })},
		resultRecipe{name: "result-signed-by-a-stranger", description: "Under the agent's kid, signed with another key.", edit: func(d *resultDraft) { d.key = m.stranger }},
		resultRecipe{name: "result-changed", description: "One character of the claims was changed after signing.", token: parts(func(p []string) { p[1] = flip(p[1]) })},
	)
	if m.suite == "rsa-1" {
		add(writeback.EnvelopeBadSignature, m.rejectedRSAResults()...)
	}
	add(writeback.EnvelopeUntrustedIssuer,
		resultRecipe{name: "result-kid-not-pinned", description: "Signed with a key that nobody has pinned.", edit: func(d *resultDraft) { d.key, d.header["kid"] = m.stranger, m.stranger.KeyID() }},
		resultRecipe{name: "result-of-another-agent", description: "An agent signs in another agent's name.", edit: stating("iss", "corp/dc-host-2", "agent", "dc-host-2")},
		resultRecipe{name: "result-for-another-portal", description: "aud is another portal.", edit: stating("aud", secondIssuer)},
	)
	return append(recipes,
		resultRecipe{name: "result-other-request", description: "Signed well, for a request with another id.", step: stepMatch, edit: stating("req", strings.Repeat("s", 22))},
		resultRecipe{name: "result-other-content", description: "Signed well, with the id of the request, for other content.", step: stepMatch, edit: stating("req_sha256", envelopetest.Base64([]byte(strings.Repeat("e", 32))))},
	)
}

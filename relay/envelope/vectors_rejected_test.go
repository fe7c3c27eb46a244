package envelope_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// rejectedRequests are the requests that must be refused, each for one fault.
func (m *maker) rejectedRequests() []recipe {
	var recipes []recipe
	for _, group := range [][]recipe{
		m.rejectedTokens(), m.rejectedHeaders(), m.rejectedSignatures(), m.rejectedIdentities(), m.rejectedJSON(), m.rejectedClaims(), m.rejectedTimes(),
		m.rejectedEncryption(), m.rejectedKeyAgreement(), m.rejectedPlaintexts(), m.rejectedContent(), m.rejectedBorders(),
	} {
		recipes = append(recipes, group...)
	}
	return recipes
}

// fill gives every recipe the same end.
func fill(step string, reason writeback.Reason, answered bool, recipes ...recipe) []recipe {
	for i := range recipes {
		recipes[i].step, recipes[i].reason, recipes[i].answered = step, reason, answered
	}
	return recipes
}

// parts changes the three parts of a token.
func parts(change func(p []string)) func([]byte) []byte {
	return func(good []byte) []byte {
		split := strings.Split(string(good), ".")
		change(split)
		return []byte(strings.Join(split, "."))
	}
}

// instead puts another token in the place of the good one.
func instead(token string) func([]byte) []byte {
	return func([]byte) []byte { return []byte(token) }
}

func (m *maker) rejectedTokens() []recipe {
	return fill(stepVerify, writeback.EnvelopeMalformed, false,
		recipe{name: "token-empty", description: "Nothing.", token: instead("")},
		recipe{name: "token-dots", description: "Three empty parts.", token: instead("..")},
		recipe{name: "token-two-parts", description: "No signature part.", token: func(g []byte) []byte { return g[:bytes.LastIndexByte(g, '.')] }},
		recipe{name: "token-four-parts", description: "A part too many.", token: func(g []byte) []byte { return append(g, ".AAAA"...) }},
		recipe{name: "token-trailing-dot", description: "A dot at the end.", token: func(g []byte) []byte { return append(g, '.') }},
		recipe{name: "token-trailing-line-end", description: "A line end behind the token.", token: func(g []byte) []byte { return append(g, '\n') }},
		recipe{name: "token-leading-space", description: "A space before the token.", token: func(g []byte) []byte { return append([]byte(" "), g...) }},
		recipe{name: "token-json", description: "JSON serialization of a JWS.", token: instead(`{"payload":"","signatures":[]}`)},
		recipe{name: "token-oversize", description: "65,537 bytes.", token: instead(strings.Repeat("a", envelope.MaxToken+1))},
		recipe{name: "base64-padded", description: "The signature is padded with =.", token: parts(func(p []string) { p[2] += "==" })},
		recipe{name: "base64-standard", description: "The signature holds a + of standard base64.", token: parts(func(p []string) { p[2] = "+" + p[2][1:] })},
		recipe{name: "base64-unused-bits", description: "The unused bits of the signature's last character are not zero.", by: m.portalWith(func(p *envelopetest.Portal) { p.SigningKey = m.portalNext }), token: parts(func(p []string) { p[2] = unusedBits(p[2]) })},
		recipe{name: "base64-line-end", description: "A line end inside the signature.", token: parts(func(p []string) { p[2] = p[2][:10] + "\n" + p[2][10:] })},
		recipe{name: "header-base64-padded", description: "The header is padded with =.", token: parts(func(p []string) { p[0] += "=" })},
	)
}

func (m *maker) rejectedHeaders() []recipe {
	raw := func(text string) func(*envelopetest.Draft) {
		return func(d *envelopetest.Draft) { d.RawHeader = fmt.Appendf(nil, text, m.alg(), m.portalKey.KeyID()) }
	}
	recipes := []recipe{
		{name: "header-jwk-embedded", description: "The key that signed is embedded in the header.", edit: func(d *envelopetest.Draft) {
			d.Header["jwk"], d.SignWith = m.jwk(m.stranger), m.stranger
		}},
		{name: "header-kid-path", description: "kid is no thumbprint.", edit: header("kid", "../../etc/passwd")},
		{name: "header-not-an-object", description: "The header is a JSON string.", edit: raw(`"%[2]s"`)},
		{name: "header-kid-twice", description: "kid stands twice.", edit: raw(`{"typ":"writeback-request+jwt","alg":"%[1]s","kid":"x","kid":"%[2]s"}`)},
		{name: "header-alg-twice-by-escape", description: "alg stands twice, once with an escape in its name.", edit: raw(`{"typ":"writeback-request+jwt","alg":"none","\u0061lg":"%[1]s","kid":"%[2]s"}`)},
		{name: "header-trailing-object", description: "A second object behind the header.", edit: raw(`{"typ":"writeback-request+jwt","alg":"%[1]s","kid":"%[2]s"}{}`)},
		{name: "header-not-utf8", description: "A byte in the header that is not UTF-8.", edit: raw("{\"typ\":\"writeback-request+jwt\xff\",\"alg\":\"%[1]s\",\"kid\":\"%[2]s\"}")},
		{name: "header-oversize", description: "A header of more than 1,024 bytes.", edit: raw(`{"typ":"writeback-request+jwt","alg":"%[1]s","kid":"%[2]s"` + strings.Repeat(" ", 1024) + `}`)},
		{name: "header-name-in-capitals", description: "KID in the place of kid.", edit: all(header("KID", m.portalKey.KeyID()), without(headers, "kid"))},
	}
	for _, name := range []string{"crit", "zip", "jku", "x5u", "x5c", "x5t", "b64", "cty"} {
		recipes = append(recipes, recipe{name: "header-" + name, description: "The header holds " + name + ", which the protocol has no place for.", edit: header(name, "x")})
	}
	for _, name := range []string{"typ", "alg", "kid"} {
		recipes = append(recipes, recipe{name: "header-without-" + name, description: "The header does not hold " + name + ".", edit: without(headers, name)})
	}
	for i, typ := range []string{"JWT", "writeback-result+jwt", "Writeback-Request+JWT", "application/writeback-request+jwt"} {
		recipes = append(recipes, recipe{name: fmt.Sprintf("header-typ-%d", i+1), description: "typ is " + typ + ".", edit: header("typ", typ)})
	}
	return fill(stepVerify, writeback.EnvelopeMalformed, false, recipes...)
}

func (m *maker) rejectedSignatures() []recipe {
	world := world{portalKey: m.portalKey, portal: m.portal}
	recipes := []recipe{
		{name: "signature-alg-none", description: "alg none, without a signature.", edit: header("alg", "none"), token: parts(func(p []string) { p[2] = "" })},
		{name: "signature-hmac-with-public-key", description: "HS256, keyed with the portal's public JWK.", token: func([]byte) []byte { return hmacWithPublicKey(m.t, world) }},
		{name: "signature-of-a-stranger", description: "Under the portal's kid, signed with another key.", edit: func(d *envelopetest.Draft) { d.SignWith = m.stranger }},
		{name: "signature-of-the-second-issuer", description: "Under the portal's kid, signed with another issuer's key.", edit: func(d *envelopetest.Draft) { d.SignWith = m.secondKey }},
		{name: "signature-random", description: "Random bytes, as many as the signature has.", token: envelopetest.Forged},
		{name: "signature-empty", description: m.alg() + " without a signature.", token: parts(func(p []string) { p[2] = "" })},
		{name: "signature-short", description: "The last byte is missing.", token: signatureBytes(m.t, func(s []byte) []byte { return s[:len(s)-1] })},
		{name: "signature-long", description: "A zero byte behind the signature.", token: signatureBytes(m.t, func(s []byte) []byte { return append(s, 0) })},
		{name: "signature-zero", description: "All bytes are 0.", token: signatureBytes(m.t, func(s []byte) []byte { return make([]byte, len(s)) })},
		{name: "claims-changed", description: "One character of the claims was changed after signing.", token: parts(func(p []string) { p[1] = flip(p[1]) })},
		{name: "claims-base64-line-end", description: "A line end inside the claims, which lenient decoders skip, and signed so.", token: func(good []byte) []byte {
			split := strings.Split(string(good), ".")
			return m.signText(split[0]+"."+split[1][:4]+"\n"+split[1][4:], m.portalKey)
		}},
		{name: "claims-base64-padded", description: "The claims are padded with =, and signed so.", edit: claim("act", json.RawMessage(`{"kind":"self"}`)), token: func(good []byte) []byte {
			return m.signText(string(good[:bytes.LastIndexByte(good, '.')])+"=", m.portalKey)
		}},
	}
	for _, alg := range []string{"none", "HS256", "RS256", "PS256", "ES256", "PS384", "ES384", "EdDSA", strings.ToLower(m.alg()), "ECDH-ES"} {
		if alg != m.alg() {
			description := fmt.Sprintf("The header says %s, the key is %s, and the signature is a good %[2]s one.", alg, m.alg())
			recipes = append(recipes, recipe{name: "alg-" + alg, description: description, edit: header("alg", alg)})
		}
	}
	if m.suite == "rsa-1" {
		recipes = append(recipes, m.rejectedRSASignatures()...)
	} else {
		recipes = append(recipes, m.rejectedCurveSignatures()...)
	}
	return fill(stepVerify, writeback.EnvelopeBadSignature, false, recipes...)
}

// signatureBytes changes the decoded signature of a token.
func signatureBytes(tb testing.TB, change func(signature []byte) []byte) func([]byte) []byte {
	return parts(func(p []string) { p[2] = envelopetest.Base64(change(decodeText(tb, p[2]))) })
}

// rejectedCurveSignatures are what only ES256 has.
func (m *maker) rejectedCurveSignatures() []recipe {
	order := elliptic.P256().Params().N
	return []recipe{
		{name: "signature-asn1", description: "The signature in DER form in the place of r and s.", token: signatureBytes(m.t, func(s []byte) []byte {
			der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s[:32]), new(big.Int).SetBytes(s[32:])})
			must(m.t, err)
			return der
		})},
		{name: "signature-s-leading-zero", description: "A zero byte before s: the same number.", token: signatureBytes(m.t, func(s []byte) []byte {
			return slices.Concat(s[:32], []byte{0}, s[32:])
		})},
		{name: "signature-s-zero", description: "s is 0.", token: signatureBytes(m.t, func(s []byte) []byte { return append(s[:32], make([]byte, 32)...) })},
		{name: "signature-r-is-the-order", description: "r is the order of the group, which stands for 0.", token: signatureBytes(m.t, func(s []byte) []byte {
			return append(order.Bytes(), s[32:]...)
		})},
	}
}

func (m *maker) rejectedIdentities() []recipe {
	recipes := fill(stepVerify, writeback.EnvelopeUntrustedIssuer, false,
		recipe{name: "kid-not-pinned", description: "Signed with a key that nobody has pinned.", by: m.portalWith(func(p *envelopetest.Portal) { p.SigningKey = m.stranger })},
		recipe{name: "kid-of-the-sealing-key", description: "kid names the agent's own sealing key.", edit: header("kid", m.agentNew.KeyID())},
		recipe{name: "issuer-of-another-key", description: "A second portal signs in the first one's name.", by: m.portalWith(func(p *envelopetest.Portal) { p.SigningKey = m.secondKey })},
		recipe{name: "issuer-unknown", description: "An issuer that nobody knows.", edit: all(claim("iss", "https://other.example.test"), inner("iss", "https://other.example.test"))},
		recipe{name: "audience-other-group", description: "Meant for another group of agents.", edit: all(claim("aud", "corp2"), inner("aud", "corp2"))},
	)
	long := func(n int) string { return strings.Repeat("a", n) }
	forms := []recipe{
		{name: "audience-list", description: "aud is an array.", edit: claim("aud", []string{group})},
		{name: "jti-short", description: "21 characters.", edit: claim("jti", long(21))},
		{name: "jti-long", description: "65 characters.", edit: claim("jti", long(65))},
		{name: "jti-characters", description: "A + in the id.", edit: claim("jti", long(21)+"+")},
		{name: "reply-short", description: "21 characters.", edit: claim("reply", long(21))},
	}
	for _, name := range []string{"iss", "aud", "jti", "reply"} {
		forms = append(forms, recipe{name: "without-" + name, description: "The claims do not hold " + name + ".", edit: without(claims, name)})
	}
	return append(recipes, fill(stepVerify, writeback.EnvelopeMalformed, false, forms...)...)
}

// rejectedJSON are claims that are signed well and are no JSON, or JSON with two readings. All but the first few would be a good request for
// a reader that lets the one fault pass.
func (m *maker) rejectedJSON() []recipe {
	var recipes []recipe
	text := func(name, description string, edit func(good string) string) {
		recipes = append(recipes, recipe{name: "json-" + name, description: description, token: func(good []byte) []byte {
			split := strings.Split(string(good), ".")
			return m.signText(split[0]+"."+envelopetest.Base64([]byte(edit(string(decodeText(m.t, split[1]))))), m.portalKey)
		}})
	}
	swap := func(from, to string) func(string) string {
		return func(good string) string {
			if !strings.Contains(good, from) {
				m.t.Fatalf("no %s in %s", from, good)
			}
			return strings.Replace(good, from, to, 1)
		}
	}
	text("empty", "The claims are empty.", func(string) string { return "" })
	text("null", "The claims are null.", func(string) string { return "null" })
	text("array", "An array around the claims.", func(good string) string { return "[" + good + "]" })
	text("member-twice", "iss stands twice, with the same value.", swap(`{`, `{"iss":"`+issuer+`",`))
	text("member-twice-by-escape", "op stands twice, once with an escape in its name.", swap(`{`, `{"\u006fp":"unlock",`))
	text("member-twice-deep", "A member of act stands twice.", swap(`"kind":"self"`, `"kind":"self","kind":"self"`))
	text("comma-at-the-end", "A comma behind the last member.", func(good string) string { return good[:len(good)-1] + ",}" })
	text("trailing-object", "A second object behind the claims.", func(good string) string { return good + " {}" })
	text("trailing-nul", "A zero byte behind the claims.", func(good string) string { return good + "\x00" })
	text("byte-order-mark", "A byte order mark before the object.", func(good string) string { return "\uFEFF" + good })
	text("not-utf8", "A byte in amr that is not UTF-8.", swap(`"otp"`, "\"otp\xff\""))
	text("single-quotes", "A string in single quotes.", swap(`"self"`, `'self'`))
	text("comment", "A comment.", swap(`{`, `{/**/`))
	text("leading-zero", "A number with a leading zero.", swap(`"iat":`, `"iat":0`))
	text("plus", "A number with a plus.", swap(`"iat":`, `"iat":+`))
	text("literal", "True in place of true.", swap(`"iat":`, `"nbf":True,"iat":`))
	text("control-character", "A tab inside a string, not escaped.", swap(`"otp"`, "\"otp\t\""))
	text("bad-escape", "An escape that JSON does not have.", swap(`"aud":"corp"`, `"aud":"\x63orp"`))
	text("bad-escape-where-nobody-reads", "An escape that JSON does not have, in a claim that nobody knows.", swap(`{`, `{"note":"\x",`))
	text("short-escape-where-nobody-reads", "Three digits after \\u, in a claim that nobody knows.", swap(`{`, `{"note":"\u00e",`))
	text("half-a-surrogate-pair", "A name of a member holds a \\u escape that is half of a pair.", swap(`{`, `{"\ud800":1,`))
	text("too-deep", "Twenty levels.", swap(`{`, `{"nbf":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+`,`))
	text("too-many", "65 elements in an array.", swap(`{`, `{"nbf":[`+strings.Repeat("1,", 64)+`1],`))
	var many strings.Builder
	for i := range 64 {
		fmt.Fprintf(&many, `"%043d":"a.b.c.d.e",`, i)
	}
	text("too-many-members", "65 sealed entries.", swap(`"sealed":{`, `"sealed":{`+many.String()))
	return fill(stepVerify, writeback.EnvelopeMalformed, false, recipes...)
}

func (m *maker) rejectedTimes() []recipe {
	recipes := fill(stepTimes, writeback.RequestExpired, true,
		recipe{name: "expired-just-now", description: "At exp + 30 s, the first moment that is too late.", clock: vectorIssued + 60 + 30},
		recipe{name: "expired-long-ago", description: "A day later.", clock: vectorIssued + 86400},
	)
	recipes = append(recipes, fill(stepTimes, writeback.RequestNotYetValid, true,
		recipe{name: "too-early", description: "The agent's clock is 31 s behind iat.", clock: vectorIssued - 31},
		recipe{name: "not-before-too-early", description: "nbf is 31 s ahead of the agent's clock.", edit: claim("nbf", vectorClock+31)},
	)...)
	return append(recipes, fill(stepTimes, writeback.EnvelopeMalformed, true,
		recipe{name: "life-too-long", description: "exp is 121 s after iat.", edit: claim("exp", vectorIssued+121)},
		recipe{name: "life-of-a-year", description: "exp is a year after iat.", edit: claim("exp", vectorIssued+365*86400)},
		recipe{name: "verified-too-late", description: "auth_time is 31 s after iat.", edit: claim("auth_time", vectorIssued+31)},
	)...)
}

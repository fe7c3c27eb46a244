package envelope_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// rejected is a request that must not open: how it differs from a good one, why it is refused, and whether it is answered.
type rejected struct {
	name       string
	edit       func(*envelopetest.Draft)
	reason     writeback.Reason
	answerable bool
}

func header(name string, value any) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { d.Header[name] = value }
}

func claim(name string, value any) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { d.Claims[name] = value }
}

func inner(name string, value any) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { d.Sealed[name] = value }
}

func jwe(name string, value any) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { d.SealHeader[name] = value }
}

func without(part func(*envelopetest.Draft) map[string]any, name string) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { delete(part(d), name) }
}

func headers(d *envelopetest.Draft) map[string]any { return d.Header }
func claims(d *envelopetest.Draft) map[string]any  { return d.Claims }
func sealed(d *envelopetest.Draft) map[string]any  { return d.Sealed }

func check(t *testing.T, w world, tests []rejected) {
	t.Helper()
	if _, err := w.open(w.token(t, func(*envelopetest.Draft) {})); err != nil {
		t.Fatalf("the unedited draft is refused: %v", err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			verified, err := w.opener.Verify(w.token(t, test.edit))
			if err == nil {
				_, err = w.opener.Decrypt(verified)
			}
			if got := writeback.ReasonOf(err); got != test.reason {
				t.Errorf("%v: reason %s, want %s", err, got, test.reason)
			}
			if verified.Answerable() != test.answerable {
				t.Errorf("answerable %t, want %t", verified.Answerable(), test.answerable)
			}
		})
	}
}

func TestRejectedHeaders(t *testing.T) {
	w := newWorld(t)
	stranger := signingKey(t)
	var tests []rejected
	for _, name := range []string{"crit", "zip", "jwk", "jku", "x5u", "x5c", "x5t", "cty", "b64", "nonce", "KID"} {
		tests = append(tests, rejected{"member " + name, header(name, "x"), writeback.EnvelopeMalformed, false})
	}
	for _, name := range []string{"typ", "alg", "kid"} {
		tests = append(tests,
			rejected{"no " + name, without(headers, name), writeback.EnvelopeMalformed, false},
			rejected{name + " not a string", header(name, 7), writeback.EnvelopeMalformed, false})
	}
	for _, alg := range []string{"none", "None", "HS256", "RS256", "PS256", "ES384", "ES256K", "EdDSA", "es256", "ECDH-ES"} {
		tests = append(tests, rejected{"alg " + alg, header("alg", alg), writeback.EnvelopeBadSignature, false})
	}
	for _, typ := range []string{"JWT", "writeback-result+jwt", "Writeback-Request+JWT", "application/writeback-request+jwt", " writeback-request+jwt"} {
		tests = append(tests, rejected{"typ " + typ, header("typ", typ), writeback.EnvelopeMalformed, false})
	}
	raw := func(text string) func(*envelopetest.Draft) {
		return func(d *envelopetest.Draft) { d.RawHeader = fmt.Appendf(nil, text, w.portalKey.KeyID()) }
	}
	tests = append(tests,
		rejected{"real jwk", func(d *envelopetest.Draft) {
			public, _ := envelope.EncodePublicKey(stranger.Public())
			d.Header["jwk"], d.SignWith = json.RawMessage(public), stranger
		}, writeback.EnvelopeMalformed, false},
		rejected{"kid of no pinned key", header("kid", stranger.KeyID()), writeback.EnvelopeUntrustedIssuer, false},
		rejected{"kid not a thumbprint", header("kid", "../../etc/passwd"), writeback.EnvelopeMalformed, false},
		rejected{"signed by another key", func(d *envelopetest.Draft) { d.SignWith = stranger }, writeback.EnvelopeBadSignature, false},
		rejected{"kid of the agent's sealing key", header("kid", w.agentKey.KeyID()), writeback.EnvelopeUntrustedIssuer, false},
		rejected{"not an object", raw(`"%s"`), writeback.EnvelopeMalformed, false},
		rejected{"kid twice", raw(`{"typ":"writeback-request+jwt","alg":"ES256","kid":"x","kid":"%s"}`), writeback.EnvelopeMalformed, false},
		rejected{"alg twice by escape", raw(`{"typ":"writeback-request+jwt","alg":"none","\u0061lg":"ES256","kid":"%s"}`), writeback.EnvelopeMalformed, false},
		rejected{"trailing data", raw(`{"typ":"writeback-request+jwt","alg":"ES256","kid":"%s"}{}`), writeback.EnvelopeMalformed, false},
		rejected{"invalid UTF-8", raw("{\"typ\":\"writeback-request+jwt\xff\",\"alg\":\"ES256\",\"kid\":\"%s\"}"), writeback.EnvelopeMalformed, false},
		rejected{"long", raw(`{"typ":"writeback-request+jwt","alg":"ES256","kid":"%s"` + strings.Repeat(" ", 1024) + `}`), writeback.EnvelopeMalformed, false},
	)
	check(t, w, tests)
}

func TestRejectedClaims(t *testing.T) {
	w := newWorld(t)
	long := func(n int) string { return strings.Repeat("a", n) }
	many := make(map[string]string)
	for i := range 65 {
		many[fmt.Sprintf("%043d", i)] = "a.b.c.d.e"
	}
	malformed, unsupported, untrusted := writeback.EnvelopeMalformed, writeback.RequestUnsupported, writeback.EnvelopeUntrustedIssuer
	tests := []rejected{
		{"unknown claim", claim("priority", 1), unsupported, true},
		{"password outside", claim("password", "x"), unsupported, true},
		{"other issuer", claim("iss", "https://other.example.test"), untrusted, false},
		{"other group", claim("aud", "corp2"), untrusted, false},
		{"several groups", claim("aud", []string{group}), malformed, false},
		{"short id", claim("jti", long(21)), malformed, false},
		{"long id", claim("jti", long(65)), malformed, false},
		{"id of other characters", claim("jti", long(21)+"+"), malformed, false},
		{"short reply", claim("reply", long(21)), malformed, false},
		{"reply of other characters", claim("reply", long(22)+"/"), malformed, false},
		{"iat a fraction", claim("iat", 1.5), malformed, true},
		{"iat an exponent", claim("iat", json.RawMessage("17e8")), malformed, true},
		{"iat a string", claim("iat", "1700000000"), malformed, true},
		{"iat negative", claim("iat", -1), malformed, true},
		{"iat minus nothing", claim("iat", json.RawMessage("-0")), malformed, true},
		{"iat beyond the year 9999", claim("iat", int64(253402300800)), malformed, true},
		{"iat beyond 64 bits", claim("iat", json.RawMessage("99999999999999999999")), malformed, true},
		{"iat null", claim("iat", nil), malformed, true},
		{"exp before iat", claim("exp", 1), malformed, true},
		{"nbf a string", claim("nbf", "1"), malformed, true},
		{"unknown op", claim("op", "delete"), unsupported, true},
		{"op in capitals", claim("op", "RESET"), unsupported, true},
		{"op empty", claim("op", ""), malformed, true},
		{"act a string", claim("act", "self"), malformed, true},
		{"act of unknown kind", claim("act", map[string]any{"kind": "robot"}), unsupported, true},
		{"self with an id", claim("act", map[string]any{"kind": "self", "id": "x"}), malformed, true},
		{"admin without an id", claim("act", map[string]any{"kind": "admin"}), malformed, true},
		{"admin with a line end", claim("act", map[string]any{"kind": "admin", "id": "a\nb"}), malformed, true},
		{"admin with more", claim("act", map[string]any{"kind": "admin", "id": "x", "on_behalf": "y"}), malformed, true},
		{"admin with a long id", claim("act", map[string]any{"kind": "admin", "id": long(257)}), malformed, true},
		{"amr a string", claim("amr", "otp"), malformed, true},
		{"amr empty", claim("amr", []string{}), malformed, true},
		{"amr counts one method twice", claim("amr", []string{"otp", "otp"}), malformed, true},
		{"amr of 17", claim("amr", strings.Split("a b c d e f g h i j k l m n o p q", " ")), malformed, true},
		{"amr with a number", claim("amr", []any{1}), malformed, true},
		{"sealed a string", claim("sealed", "a.b.c.d.e"), malformed, true},
		{"sealed empty", claim("sealed", map[string]any{}), malformed, true},
		{"sealed of 65", claim("sealed", many), malformed, false},
		{"sealed not for a thumbprint", claim("sealed", map[string]any{"kid": "a.b.c.d.e"}), malformed, true},
		{"sealed an object", claim("sealed", map[string]any{w.agentKey.KeyID(): map[string]any{}}), malformed, true},
		{"sealed with a space", claim("sealed", map[string]any{w.agentKey.KeyID(): "a. b.c.d.e"}), malformed, true},
		{"sealed too long", claim("sealed", map[string]any{w.agentKey.KeyID(): long(16<<10 + 1)}), malformed, true},
		{"a member twice inside act", claim("act", json.RawMessage(`{"kind":"self","kind":"self"}`)), malformed, false},
		{"nested too deeply", claim("act", json.RawMessage(strings.Repeat("[", 20)+strings.Repeat("]", 20))), malformed, false},
	}
	for _, name := range []string{"iss", "aud", "jti", "reply"} {
		tests = append(tests, rejected{"no " + name, without(claims, name), malformed, false})
	}
	for _, name := range []string{"iat", "exp", "op", "act"} {
		tests = append(tests, rejected{"no " + name, without(claims, name), malformed, true})
	}
	for name, text := range map[string]string{
		"not an object": `[]`, "empty": ``, "broken": `{"iss":`, "a member twice": `{"iss":"a","iss":"b"}`,
		"a member twice, deep": `{"act":{"kind":"self","kind":"admin"}}`, "comma at the end": `{"iss":"a",}`,
		"trailing": `{"iss":"a"} {}`, "invalid UTF-8": "{\"iss\":\"\xc3\x28\"}", "byte order mark": "\uFEFF{}", "single quotes": `{'iss':'a'}`,
		"leading zero": `{"iat":01}`, "plus": `{"iat":+1}`, "NaN": `{"iat":NaN}`, "control character": "{\"iss\":\"\n\"}",
		"bad escape": `{"iss":"\x"}`, "half an escape": `{"iss":"\u12"}`, "half a surrogate": `{"iss":"\ud800"}`, "null": `null`,
	} {
		tests = append(tests, rejected{"text " + name, func(d *envelopetest.Draft) { d.RawClaims = []byte(text) }, malformed, false})
	}
	check(t, w, tests)
}

func TestRejectedSealedParts(t *testing.T) {
	w := newWorld(t)
	undecryptable, unsupported := writeback.EnvelopeUndecryptable, writeback.RequestUnsupported
	change := func(operation writeback.Operation, then func(*envelopetest.Draft)) func(*envelopetest.Draft) {
		return func(d *envelopetest.Draft) { d.For(operation, map[string]any{"upn": "a@b"}, "New-1"); then(d) }
	}
	tests := []rejected{
		{"another id inside", inner("jti", envelope.NewID()), undecryptable, true},
		{"another issuer inside", inner("iss", "https://victim.example.test"), undecryptable, true},
		{"another group inside", inner("aud", "corp2"), undecryptable, true},
		{"another op inside", inner("op", "unlock"), undecryptable, true},
		{"unknown member", inner("new", 1), unsupported, true},
		{"unknown kind of id", inner("user", map[string]any{"phone": "1"}), unsupported, true},
		{"no id", inner("user", map[string]any{}), undecryptable, true},
		{"two ids", inner("user", map[string]any{"upn": "a@b", "sid": "S-1-5"}), undecryptable, true},
		{"two ids and an assertion", inner("user", map[string]any{"upn": "a@b", "sid": "S-1-5", "immutable_id": "x"}), undecryptable, true},
		{"user a string", inner("user", "a@b"), undecryptable, true},
		{"empty id", inner("user", map[string]any{"upn": ""}), undecryptable, true},
		{"id with NUL", inner("user", map[string]any{"upn": "a\x00b"}), undecryptable, true},
		{"long id", inner("user", map[string]any{"upn": strings.Repeat("a", 1025)}), undecryptable, true},
		{"password a number", inner("password", 12345678), undecryptable, true},
		{"password null", inner("password", nil), undecryptable, true},
		{"password of 4097 bytes", inner("password", strings.Repeat("a", 4097)), undecryptable, true},
		{"half a surrogate in the password", func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, `"a\ud83d"`) }, writeback.PasswordInvalidCharacters, true},
		{"the wrong half", func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, `"\udd11\ud83d"`) }, writeback.PasswordInvalidCharacters, true},
		{"invalid UTF-8 in the password", func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, "\"a\xff\"") }, undecryptable, true},
		{"overlong UTF-8 in the password", func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, "\"\xc0\xaf\"") }, undecryptable, true},
		{"must_change a string", inner("must_change", "true"), undecryptable, true},
		{"unlock a number", inner("unlock", 1), undecryptable, true},
		{"old password with a reset", inner("old_password", "x"), undecryptable, true},
		{"password with an unlock", change(writeback.OpUnlock, inner("password", "x")), undecryptable, true},
		{"password with a check", change(writeback.OpCheck, inner("password", "x")), undecryptable, true},
		{"user with a ping", change(writeback.OpPing, inner("user", map[string]any{"upn": "a@b"})), undecryptable, true},
		{"must_change with a change", change(writeback.OpChange, inner("must_change", true)), undecryptable, true},
		{"unlock with a change", change(writeback.OpChange, inner("unlock", true)), undecryptable, true},
		{"change without the old password", change(writeback.OpChange, without(sealed, "old_password")), undecryptable, true},
		{"no padding", func(d *envelopetest.Draft) { d.SkipPadding = true }, undecryptable, true},
		{"padding of zeros", func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.RawSealed = append(text, make([]byte, 512-len(text)%512)...)
		}, undecryptable, true},
		{"padding that ends in a line end", func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.RawSealed = envelopetest.Pad(text)
			d.RawSealed[len(d.RawSealed)-1] = '\n'
		}, undecryptable, true},
		{"only padding", func(d *envelopetest.Draft) { d.RawSealed = bytes.Repeat([]byte{' '}, 512) }, undecryptable, true},
		{"empty", func(d *envelopetest.Draft) { d.RawSealed = []byte{} }, undecryptable, true},
		{"password twice", func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, `"a","password":"b"`) }, undecryptable, true},
		{"trailing object", func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.RawSealed = envelopetest.Pad(append(text, `{}`...))
		}, undecryptable, true},
	}
	for _, name := range []string{"jti", "iss", "aud", "op", "user", "password"} {
		tests = append(tests, rejected{"no " + name, without(sealed, name), undecryptable, true})
	}
	check(t, w, tests)
}

func TestRejectedEncryption(t *testing.T) {
	w := newWorld(t)
	var tests []rejected
	add := func(name string, edit func(*envelopetest.Draft)) {
		tests = append(tests, rejected{name, edit, writeback.EnvelopeUndecryptable, true})
	}
	for _, name := range []string{"zip", "crit", "jwk", "jku", "x5u", "x5c", "apu", "apv", "typ", "p2c", "iv", "tag"} {
		add("header "+name, jwe(name, "DEF"))
	}
	for _, alg := range []string{"dir", "ECDH-ES+A256KW", "RSA-OAEP-256", "RSA1_5", "A256GCMKW", "PBES2-HS256+A128KW", "none", ""} {
		add("alg "+alg, jwe("alg", alg))
	}
	for _, enc := range []string{"A128GCM", "A256CBC-HS512", "none"} {
		add("enc "+enc, jwe("enc", enc))
	}
	add("no cty", without(func(d *envelopetest.Draft) map[string]any { return d.SealHeader }, "cty"))
	add("cty JSON", jwe("cty", "JSON"))
	add("kid of another key", jwe("kid", sealingKey(t).KeyID()))
	one := envelopetest.Base64([]byte{31: 1})
	for name, epk := range map[string]any{
		"missing":           nil,
		"a string":          "x",
		"off the curve":     map[string]any{"kty": "EC", "crv": "P-256", "x": one, "y": one},
		"at infinity":       map[string]any{"kty": "EC", "crv": "P-256", "x": envelopetest.Base64(make([]byte, 32)), "y": envelopetest.Base64(make([]byte, 32))},
		"on another curve":  map[string]any{"kty": "EC", "crv": "P-384", "x": one, "y": one},
		"of another type":   map[string]any{"kty": "OKP", "crv": "X25519", "x": one},
		"short coordinates": map[string]any{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
		"private":           map[string]any{"kty": "EC", "crv": "P-256", "x": one, "y": one, "d": one},
	} {
		add("epk "+name, jwe("epk", epk))
	}
	for name, change := range map[string]func([]string){
		"tag truncated":        func(p []string) { p[4] = p[4][:16] },
		"tag empty":            func(p []string) { p[4] = "" },
		"tag flipped":          func(p []string) { p[4] = flip(p[4]) },
		"tag takes ciphertext": func(p []string) { moveIntoTag(p) },
		"ciphertext flipped":   func(p []string) { p[3] = flip(p[3]) },
		"ciphertext empty":     func(p []string) { p[3] = "" },
		"nonce short":          func(p []string) { p[2] = p[2][:8] },
		"encrypted key there":  func(p []string) { p[1] = "AAAA" },
		"header other bytes":   func(p []string) { p[0] = p[0][:len(p[0])-4] },
		"four parts":           func(p []string) { p[4] = ""; p[3] = strings.TrimSuffix(p[3], ".") },
	} {
		add(name, func(d *envelopetest.Draft) {
			d.AfterSealing = func(entry string) string {
				parts := strings.Split(entry, ".")
				change(parts)
				return strings.Join(parts, ".")
			}
		})
	}
	add("six parts", func(d *envelopetest.Draft) { d.AfterSealing = func(entry string) string { return entry + ".AAAA" } })
	add("sealed for another key under our name", func(d *envelopetest.Draft) {
		text, _ := json.Marshal(d.Sealed)
		entry, err := envelopetest.Seal(sealingKey(t).Public(), map[string]any{"alg": "ECDH-ES", "enc": "A256GCM", "cty": "json", "kid": w.agentKey.KeyID()}, envelopetest.Pad(text))
		must(t, err)
		d.Claims["sealed"] = map[string]any{w.agentKey.KeyID(): entry}
	})
	tests = append(tests, rejected{"sealed for another key only", func(d *envelopetest.Draft) {
		d.Claims["sealed"] = map[string]any{sealingKey(t).KeyID(): "a.b.c.d.e"}
	}, writeback.EnvelopeNotForUs, true})
	check(t, w, tests)
}

// flip changes the first character of a base64 text to another.
func flip(text string) string {
	if text[0] == 'A' {
		return "B" + text[1:]
	}
	return "A" + text[1:]
}

// moveIntoTag shifts the end of the ciphertext into the tag: the same bytes, cut elsewhere.
func moveIntoTag(parts []string) {
	ciphertext, _ := base64.RawURLEncoding.DecodeString(parts[3])
	tag, _ := base64.RawURLEncoding.DecodeString(parts[4])
	cut := len(ciphertext) - 16
	parts[3], parts[4] = envelopetest.Base64(ciphertext[:cut]), envelopetest.Base64(append(ciphertext[cut:], tag...))
}

func TestRejectedTokens(t *testing.T) {
	w := newWorld(t)
	good := w.token(t, func(*envelopetest.Draft) {})
	parts := strings.Split(string(good), ".")
	join := func(parts ...string) []byte { return []byte(strings.Join(parts, ".")) }
	hs256 := hmacWithPublicKey(t, w)
	for _, test := range []struct {
		name   string
		token  []byte
		reason writeback.Reason
	}{
		{"nothing", nil, writeback.EnvelopeMalformed},
		{"dots", []byte(".."), writeback.EnvelopeMalformed},
		{"noise", []byte("\xff\x00\x01"), writeback.EnvelopeMalformed},
		{"two parts", join(parts[0], parts[1]), writeback.EnvelopeMalformed},
		{"four parts", join(parts[0], parts[1], parts[2], "AAAA"), writeback.EnvelopeMalformed},
		{"trailing dot", append(bytes.Clone(good), '.'), writeback.EnvelopeMalformed},
		{"trailing line end", append(bytes.Clone(good), '\n'), writeback.EnvelopeMalformed},
		{"leading space", append([]byte(" "), good...), writeback.EnvelopeMalformed},
		{"padded base64", join(parts[0], parts[1], parts[2]+"=="), writeback.EnvelopeMalformed},
		{"standard base64", join(parts[0], parts[1], "+"+parts[2][1:]), writeback.EnvelopeMalformed},
		{"unused bits set", join(parts[0], parts[1], unusedBits(parts[2])), writeback.EnvelopeMalformed},
		{"line end inside", join(parts[0], parts[1], parts[2][:10]+"\n"+parts[2][10:]), writeback.EnvelopeMalformed},
		{"too long", bytes.Repeat([]byte("a"), envelope.MaxToken+1), writeback.EnvelopeMalformed},
		{"JSON serialization", []byte(`{"payload":"","signatures":[]}`), writeback.EnvelopeMalformed},
		{"forged signature", envelopetest.Forged(good), writeback.EnvelopeBadSignature},
		{"no signature", join(parts[0], parts[1], ""), writeback.EnvelopeBadSignature},
		{"short signature", join(parts[0], parts[1], parts[2][:84]), writeback.EnvelopeBadSignature},
		{"zero signature", join(parts[0], parts[1], envelopetest.Base64(make([]byte, 64))), writeback.EnvelopeBadSignature},
		{"changed claims", join(parts[0], flip(parts[1]), parts[2]), writeback.EnvelopeBadSignature},
		{"line end in the claims", join(parts[0], parts[1][:4]+"\n"+parts[1][4:], parts[2]), writeback.EnvelopeBadSignature},
		{"HMAC with the public key", hs256, writeback.EnvelopeBadSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			verified, err := w.opener.Verify(test.token)
			if got := writeback.ReasonOf(err); got != test.reason {
				t.Errorf("%v: reason %s, want %s", err, got, test.reason)
			}
			if verified.Answerable() {
				t.Error("an unverified token would be answered")
			}
		})
	}
}

// unusedBits sets the bits of the last character that stand for nothing: 64 bytes leave four of them.
func unusedBits(signature string) string {
	last := signature[len(signature)-1]
	return signature[:len(signature)-1] + string(last+1)
}

// hmacWithPublicKey makes the classic forgery: HS256 keyed with what everybody knows.
func hmacWithPublicKey(t *testing.T, w world) []byte {
	t.Helper()
	public, err := envelope.EncodePublicKey(w.portalKey.Public())
	must(t, err)
	head := fmt.Sprintf(`{"typ":"writeback-request+jwt","alg":"HS256","kid":%q}`, w.portalKey.KeyID())
	payload, err := json.Marshal(w.portal.Draft().Claims)
	must(t, err)
	input := envelopetest.Base64([]byte(head)) + "." + envelopetest.Base64(payload)
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(input))
	return []byte(input + "." + envelopetest.Base64(mac.Sum(nil)))
}

func TestASecondPortalCannotReuseSomebodyElsesCiphertext(t *testing.T) {
	w := newWorld(t)
	evil := signingKey(t)
	opener, err := envelope.NewOpener(envelope.OpenerConfig{
		Group:       group,
		Issuers:     map[string][]envelope.PublicKey{issuer: {w.portalKey.Public()}, "evil": {evil.Public()}},
		SealingKeys: []envelope.PrivateKey{w.agentKey},
	})
	must(t, err)
	stolen := w.portal.Draft()
	text, err := json.Marshal(stolen.Sealed)
	must(t, err)
	entry, err := envelopetest.Seal(w.agentKey.Public(), stolen.SealHeader, envelopetest.Pad(text))
	must(t, err)

	attacker := envelopetest.Portal{Issuer: "evil", Group: group, SigningKey: evil, Recipients: w.portal.Recipients}
	draft := attacker.Draft()
	draft.Claims["jti"], draft.Claims["sealed"] = stolen.Claims["jti"], map[string]any{w.agentKey.KeyID(): entry}
	token, err := attacker.Token(draft)
	must(t, err)
	verified, err := opener.Verify(token)
	must(t, err)
	if _, err := opener.Decrypt(verified); writeback.ReasonOf(err) != writeback.EnvelopeUndecryptable {
		t.Errorf("%v, want envelope.undecryptable", err)
	}

	draft.Claims["iss"] = issuer // and under the victim's name
	token, err = attacker.Token(draft)
	must(t, err)
	if _, err := opener.Verify(token); writeback.ReasonOf(err) != writeback.EnvelopeUntrustedIssuer {
		t.Errorf("%v, want envelope.untrusted_issuer", err)
	}
}

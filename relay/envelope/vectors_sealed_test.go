package envelope_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// sealHeaders is the JWE header of a draft.
func sealHeaders(d *envelopetest.Draft) map[string]any { return d.SealHeader }

// entry changes the five parts of the sealed entry after it was made.
func entry(change func(p []string)) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		d.AfterSealing = func(made string) string {
			split := strings.Split(made, ".")
			change(split)
			return strings.Join(split, ".")
		}
	}
}

func (m *maker) rejectedEncryption() []recipe {
	recipes := []recipe{
		{name: "jwe-tag-truncated", description: "A tag of 12 bytes.", edit: entry(func(p []string) { p[4] = p[4][:16] })},
		{name: "jwe-tag-empty", description: "No tag.", edit: entry(func(p []string) { p[4] = "" })},
		{name: "jwe-tag-changed", description: "One bit of the tag is another.", edit: entry(func(p []string) { p[4] = flip(p[4]) })},
		{name: "jwe-tag-takes-ciphertext", description: "The same bytes, but 16 of the ciphertext count as tag.", edit: entry(moveIntoTag)},
		{name: "jwe-ciphertext-changed", description: "One bit of the ciphertext is another.", edit: entry(func(p []string) { p[3] = flip(p[3]) })},
		{name: "jwe-ciphertext-empty", description: "No ciphertext.", edit: entry(func(p []string) { p[3] = "" })},
		{name: "jwe-nonce-short", description: "A nonce of 6 bytes.", edit: entry(func(p []string) { p[2] = p[2][:8] })},
		{name: "jwe-four-parts", description: "A part too few.", edit: func(d *envelopetest.Draft) {
			d.AfterSealing = func(made string) string { return made[:strings.LastIndexByte(made, '.')] }
		}},
		{name: "jwe-six-parts", description: "A part too many.", edit: func(d *envelopetest.Draft) {
			d.AfterSealing = func(made string) string { return made + ".AAAA" }
		}},
		{name: "jwe-base64-unused-bits", description: "The unused bits of the tag's last character are not zero.", edit: entry(func(p []string) { p[4] = unusedBits(p[4]) })},
		{name: "jwe-header-respelled", description: "The header was written anew with a space after sealing: it is authenticated as it stands.", edit: entry(func(p []string) {
			var header json.RawMessage
			recode(m.t, json.RawMessage(decodeText(m.t, p[0])), &header)
			p[0] = envelopetest.Base64(append(header, ' '))
		})},
		{name: "jwe-no-cty", description: "The header does not hold cty.", edit: without(sealHeaders, "cty")},
		{name: "jwe-cty-JSON", description: "cty in capitals.", edit: jwe("cty", "JSON")},
		{name: "jwe-no-enc", description: "The header does not hold enc.", edit: without(sealHeaders, "enc")},
		{name: "jwe-kid-of-another-key", description: "kid is not the entry's name.", edit: jwe("kid", m.otherAgent.KeyID())},
		{name: "jwe-sealed-for-another-key", description: "Sealed for another agent's key, under the name of this one's.", edit: m.resealed(m.otherAgent.Public(), nil)},
	}
	for _, name := range []string{"zip", "crit", "apu", "apv", "jwk", "jku", "typ"} {
		recipes = append(recipes, recipe{name: "jwe-" + name, description: "The header holds " + name + ", which the protocol has no place for.", edit: jwe(name, "DEF")})
	}
	own := string(m.agentNew.Public().Algorithm())
	for _, alg := range []string{"dir", "ECDH-ES", "ECDH-ES+A256KW", "RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-512", "RSA1_5", "PBES2-HS256+A128KW", "none"} {
		if alg != own {
			recipes = append(recipes, recipe{name: "jwe-alg-" + alg, description: "The header says " + alg + ", the key is " + own + ".", edit: jwe("alg", alg)})
		}
	}
	for _, name := range []string{"alg", "kid"} {
		recipes = append(recipes, recipe{name: "jwe-no-" + name, description: "The header does not hold " + name + ".", edit: m.sealedUnder(func(header map[string]any) { delete(header, name) })})
	}
	for _, enc := range []string{"A128GCM", "A256CBC-HS512"} {
		recipes = append(recipes, recipe{name: "jwe-enc-" + enc, description: "The header says " + enc + ".", edit: jwe("enc", enc)})
	}
	return append(fill(stepOpen, writeback.EnvelopeUndecryptable, true, recipes...), fill(stepOpen, writeback.EnvelopeNotForUs, true,
		recipe{name: "not-for-us", description: "Sealed for another agent of the group only: this one hands the message on.", by: m.portalWith(func(p *envelopetest.Portal) {
			p.Recipients = []envelope.PublicKey{m.otherAgent.Public()}
		})})...)
}

// resealed puts an entry for recipient under the agent's name. A nil draft stands for the edited one.
func (m *maker) resealed(recipient envelope.PublicKey, of *envelopetest.Draft) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		source := d
		if of != nil {
			source = of
		}
		text, err := json.Marshal(source.Sealed)
		must(m.t, err)
		header := map[string]any{"enc": "A256GCM", "cty": "json", "kid": m.agentNew.KeyID()}
		made, err := envelopetest.Seal(recipient, header, envelopetest.Pad(text))
		must(m.t, err)
		d.Claims["sealed"] = map[string]any{m.agentNew.KeyID(): made}
	}
}

// sealedUnder seals under a header that is edited before it is authenticated: all else is as it should be.
func (m *maker) sealedUnder(edit func(header map[string]any)) func(*envelopetest.Draft) {
	return m.sealedBy(func(header map[string]any) (encryptedKey, contentKey []byte) {
		encryptedKey, contentKey = m.newContentKey(header)
		edit(header)
		return encryptedKey, contentKey
	})
}

// sealedBy seals with a content key that is made in any way; that may edit the header.
func (m *maker) sealedBy(newKey func(header map[string]any) (encryptedKey, contentKey []byte)) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		header := map[string]any{"alg": string(m.agentNew.Public().Algorithm()), "enc": "A256GCM", "cty": "json", "kid": m.agentNew.KeyID()}
		encryptedKey, contentKey := newKey(header)
		encoded, err := json.Marshal(header)
		must(m.t, err)
		text, err := json.Marshal(d.Sealed)
		must(m.t, err)
		made, err := envelopetest.Encrypt(envelopetest.Base64(encoded), encryptedKey, contentKey, envelopetest.Pad(text))
		must(m.t, err)
		d.Claims["sealed"] = map[string]any{m.agentNew.KeyID(): made}
	}
}

// newContentKey makes a content key for the agent's new key, and completes the header.
func (m *maker) newContentKey(header map[string]any) (encryptedKey, contentKey []byte) {
	if m.suite == "rsa-1" {
		return m.wrapped(randomKey(32), &rsa.OAEPOptions{Hash: crypto.SHA256})
	}
	epk, z := m.agreed()
	header["epk"] = epk
	return nil, keyOf(m.t, z)
}

// keyOf derives the content key from the shared point.
func keyOf(t *testing.T, z []byte) []byte {
	t.Helper()
	_, input := contentCipher(t, z)
	sum := sha256.Sum256(input)
	return sum[:]
}

// agreed makes a one-time key and the point shared with the agent's new key.
func (m *maker) agreed() (epk map[string]any, z []byte) {
	key, _ := readCurveKey(m.t, m.jwk(m.agentNew))
	recipient, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, decodeText(m.t, key.X), decodeText(m.t, key.Y)))
	must(m.t, err)
	oneTime, err := ecdh.P256().GenerateKey(rand.Reader)
	must(m.t, err)
	point := oneTime.PublicKey().Bytes()
	z, err = oneTime.ECDH(recipient)
	must(m.t, err)
	return map[string]any{"kty": "EC", "crv": "P-256", "x": envelopetest.Base64(point[1:33]), "y": envelopetest.Base64(point[33:])}, z
}

// underPoint is sealedUnder with an edited epk.
func (m *maker) underPoint(edit func(epk map[string]any)) func(*envelopetest.Draft) {
	return m.sealedUnder(func(header map[string]any) { edit(header["epk"].(map[string]any)) })
}

// rejectedKeyAgreement are the faults of what leads to the content key.
func (m *maker) rejectedKeyAgreement() []recipe {
	if m.suite == "rsa-1" {
		return m.rejectedWrapping()
	}
	return m.rejectedPoints()
}

func (m *maker) rejectedPoints() []recipe {
	one, zero := envelopetest.Base64([]byte{31: 1}), envelopetest.Base64(make([]byte, 32))
	ec := func(members ...string) map[string]any {
		key := map[string]any{"kty": "EC", "crv": "P-256", "x": one, "y": one}
		for i := 0; i < len(members); i += 2 {
			key[members[i]] = members[i+1]
		}
		return key
	}
	return fill(stepOpen, writeback.EnvelopeUndecryptable, true,
		recipe{name: "jwe-encrypted-key", description: "An encrypted key, which direct key agreement does not have.", edit: entry(func(p []string) { p[1] = "AAAA" })},
		recipe{name: "epk-missing", description: "The header does not hold epk.", edit: m.sealedUnder(func(header map[string]any) { delete(header, "epk") })},
		recipe{name: "epk-null", description: "epk is null.", edit: jwe("epk", nil)},
		recipe{name: "epk-string", description: "epk is a string.", edit: jwe("epk", "x")},
		recipe{name: "epk-off-the-curve", description: "A point that is not on P-256: an invalid-curve attack.", edit: jwe("epk", ec())},
		recipe{name: "epk-zero", description: "Both coordinates are 0.", edit: jwe("epk", ec("x", zero, "y", zero))},
		recipe{name: "epk-beyond-the-field", description: "A coordinate greater than the field's prime.", edit: jwe("epk", ec("x", envelopetest.Base64(bytes.Repeat([]byte{0xff}, 32))))},
		recipe{name: "epk-other-curve", description: "crv is P-384, and the point is the right one on P-256.", edit: m.underPoint(func(epk map[string]any) { epk["crv"] = "P-384" })},
		recipe{name: "epk-other-kty", description: "kty is OKP, and the point is the right one on P-256.", edit: m.underPoint(func(epk map[string]any) { epk["kty"] = "OKP" })},
		recipe{name: "epk-without-crv", description: "epk does not hold crv, and the point is the right one.", edit: m.underPoint(func(epk map[string]any) { delete(epk, "crv") })},
		recipe{name: "epk-member-unknown", description: "epk holds kid, and the point is the right one.", edit: m.underPoint(func(epk map[string]any) { epk["kid"] = "x" })},
		recipe{name: "epk-other-type", description: "An X25519 key.", edit: jwe("epk", map[string]any{"kty": "OKP", "crv": "X25519", "x": one})},
		recipe{name: "epk-short", description: "Coordinates without their leading zeros.", edit: jwe("epk", ec("x", "AQ", "y", "AQ"))},
		recipe{name: "epk-private", description: "epk holds d, and the point is the right one.", edit: m.underPoint(func(epk map[string]any) { epk["d"] = one })},
	)
}

func (m *maker) rejectedPlaintexts() []recipe {
	text := func(edit func(text []byte) []byte) func(*envelopetest.Draft) {
		return func(d *envelopetest.Draft) {
			plain, err := json.Marshal(d.Sealed)
			must(m.t, err)
			d.RawSealed = edit(plain)
		}
	}
	return fill(stepOpen, writeback.EnvelopeUndecryptable, true,
		recipe{name: "padding-missing", description: "The plaintext is not padded.", edit: func(d *envelopetest.Draft) { d.SkipPadding = true }},
		recipe{name: "padding-16", description: "Padded to a multiple of 16 bytes.", edit: text(func(p []byte) []byte { return append(p, strings.Repeat(" ", 16-len(p)%16)...) })},
		recipe{name: "padding-zeros", description: "Padded with zero bytes.", edit: text(func(p []byte) []byte { return append(p, make([]byte, 512-len(p)%512)...) })},
		recipe{name: "padding-line-end", description: "The last byte of the padding is a line end.", edit: text(func(p []byte) []byte { return append(envelopetest.Pad(append(p, ' '))[:511], '\n') })},
		recipe{name: "padding-only", description: "Nothing but spaces.", edit: text(func([]byte) []byte { return bytes.Repeat([]byte{' '}, 512) })},
		recipe{name: "plaintext-empty", description: "An empty plaintext.", edit: text(func([]byte) []byte { return []byte{} })},
		recipe{name: "plaintext-array", description: "An array around the object.", edit: text(func(p []byte) []byte { return envelopetest.Pad(append(append([]byte("["), p...), "]}"...)) })},
		recipe{name: "plaintext-trailing-object", description: "A second object behind the first.", edit: text(func(p []byte) []byte { return envelopetest.Pad(append(p, "{}"...)) })},
		recipe{name: "plaintext-not-utf8", description: "A byte in the password that is not UTF-8.", edit: rawPassword("\"a\xff\"")},
		recipe{name: "plaintext-overlong-utf8", description: "A slash in two bytes.", edit: rawPassword("\"\xc0\xaf\"")},
		recipe{name: "plaintext-password-twice", description: "Two passwords.", edit: rawPassword(`"a","password":"b"`)},
	)
}

func (m *maker) rejectedContent() []recipe {
	refused := []recipe{
		{name: "inner-jti-differs", description: "Another jti inside than outside.", edit: inner("jti", strings.Repeat("b", 22))},
		{name: "inner-iss-differs", description: "Another issuer inside than outside.", edit: inner("iss", secondIssuer)},
		{name: "inner-aud-differs", description: "Another group inside than outside.", edit: inner("aud", "corp2")},
		{name: "inner-op-differs", description: "Another operation inside than outside.", edit: all(asOperation(writeback.OpUnlock, ""), inner("op", "check"))},
		{name: "inner-of-another-issuer", description: "A second portal signs a request of its own around the first one's ciphertext.",
			by: m.portalWith(func(p *envelopetest.Portal) { p.Issuer, p.SigningKey = secondIssuer, m.secondKey }), edit: func(d *envelopetest.Draft) {
				stolen := m.portal.Draft()
				stolen.Sealed["jti"] = d.Claims["jti"]
				m.resealed(m.agentNew.Public(), stolen)(d)
			}},
		{name: "inner-of-another-request", description: "The ciphertext of another request of the same portal.", edit: func(d *envelopetest.Draft) {
			m.resealed(m.agentNew.Public(), m.portal.Draft())(d)
		}},
		{name: "user-empty", description: "user names nobody.", edit: user()},
		{name: "user-two", description: "Two names.", edit: user("upn", "a@b", "sid", "S-1-5")},
		{name: "user-two-and-assertion", description: "Two names and an immutable id.", edit: user("upn", "a@b", "sid", "S-1-5", "immutable_id", "x")},
		{name: "user-string", description: "user is a string.", edit: inner("user", "a@b")},
		{name: "user-value-empty", description: "An empty name.", edit: user("upn", "")},
		{name: "user-nul", description: "U+0000 in a name.", edit: user("upn", "a\x00b")},
		{name: "user-replacement-character", description: "U+FFFD in a name: it stands where somebody's decoder gave up, and names nobody.", edit: user("upn", "a\ufffdb")},
		{name: "user-long", description: "1,025 bytes.", edit: user("upn", strings.Repeat("a", 1025))},
		{name: "password-number", description: "A password that is a number.", edit: inner("password", 12345678)},
		{name: "password-null", description: "null.", edit: inner("password", nil)},
		{name: "password-too-long", description: "4,097 bytes.", edit: inner("password", strings.Repeat("a", 4097))},
		{name: "must-change-string", description: "must_change is a string.", edit: inner("must_change", "true")},
		{name: "unlock-number", description: "unlock is a number.", edit: inner("unlock", 1)},
		{name: "reset-with-old-password", description: "A reset does not have an old password.", edit: inner("old_password", "x")},
		{name: "unlock-with-password", description: "An unlock does not have a password.", edit: all(asOperation(writeback.OpUnlock, ""), inner("password", "x"))},
		{name: "ping-with-user", description: "A ping is about nobody.", edit: all(asOperation(writeback.OpPing, ""), user("upn", "a@b"))},
		{name: "change-without-old-password", description: "A change needs the old password.", edit: all(asOperation(writeback.OpChange, "New-1"), without(sealed, "old_password"))},
		{name: "change-with-unlock", description: "A change does not unlock.", edit: all(asOperation(writeback.OpChange, "New-1"), inner("unlock", true))},
	}
	for _, name := range []string{"jti", "iss", "aud", "op", "user", "password"} {
		refused = append(refused, recipe{name: "inner-without-" + name, description: "The sealed part does not hold " + name + ".", edit: without(sealed, name)})
	}
	recipes := fill(stepOpen, writeback.EnvelopeUndecryptable, true, refused...)
	recipes = append(recipes, fill(stepOpen, writeback.RequestUnsupported, true,
		recipe{name: "inner-member-unknown", description: "A member that no operation of this version has.", edit: inner("new", 1)},
		recipe{name: "user-kind-unknown", description: "A kind of user id that this version does not know.", edit: user("phone", "1")},
	)...)
	return append(recipes, fill(stepOpen, writeback.PasswordInvalidCharacters, true,
		recipe{name: "password-half-a-pair", description: "Half of a surrogate pair: what a person typed, so it has a reason of its own.", edit: rawPassword(`"a\ud83d"`)},
		recipe{name: "password-pair-reversed", description: "The halves of a surrogate pair in the wrong order.", edit: rawPassword(`"\udd11\ud83d"`)},
	)...)
}

package envelope_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// user names whom a draft is about.
func user(members ...string) func(*envelopetest.Draft) {
	named := make(map[string]any)
	for pair := range slices.Chunk(members, 2) {
		named[pair[0]] = pair[1]
	}
	return inner("user", named)
}

// asOperation makes a draft one of another operation.
func asOperation(operation writeback.Operation, password string) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) { d.For(operation, map[string]any{"sid": "S-1-5-21-1-2-3-1104"}, password) }
}

// all makes several edits one.
func all(edits ...func(*envelopetest.Draft)) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		for _, edit := range edits {
			edit(d)
		}
	}
}

// rawPassword writes the sealed part with a password given as JSON text.
func rawPassword(quoted string) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		delete(d.Sealed, "must_change")
		delete(d.Sealed, "unlock")
		d.Sealed["user"] = map[string]any{"upn": "a@b"}
		d.RawSealed = sealedWithPassword(d, quoted)
	}
}

// acceptedRequests are the requests that must open. The first is repeated and reused by later ones.
func (m *maker) acceptedRequests() []recipe {
	recipes := append(m.acceptedSubjects(), m.acceptedPasswords()...)
	recipes = append(recipes, m.acceptedForms()...)
	recipes = append(recipes, m.acceptedKeys()...)
	if m.suite == "rsa-1" {
		recipes = append(recipes, m.acceptedRSA()...)
	} else {
		recipes = append(recipes, m.acceptedCurve()...)
	}
	return append(append(recipes, m.acceptedTimes()...), m.longestHeader())
}

func (m *maker) acceptedSubjects() []recipe {
	return []recipe{
		{name: "reset-sid", description: "The usual reset: a person, the own account, named by its SID."},
		{name: "reset-guid", description: "By objectGUID.", edit: user("guid", "6f1b2a0c-8d43-4b5e-9a51-2f0e7c1d9b3a")},
		{name: "reset-upn", description: "By userPrincipalName, with a letter beyond ASCII.", edit: user("upn", "jürgen@corp.example.test")},
		{name: "reset-sam", description: "By DOMAIN\\name.", edit: user("sam", `CORP\ada`)},
		{name: "reset-immutable-id", description: "By Entra's sourceAnchor.", edit: user("immutable_id", "DCobb0ONXkuaUS8OfB2bOg==")},
		{name: "reset-mail", description: "By mail address: belongs to the format, but the agent's directory does not serve it.", edit: user("mail", "ada@example.test")},
		{name: "reset-assertion", description: "By SID, with an immutable id that the account must carry.", edit: user("sid", "S-1-5-21-1-2-3-1104", "immutable_id", "DCobb0ONXkuaUS8OfB2bOg==")},
		{name: "reset-defaults", description: "must_change and unlock are left out: false and true.", edit: all(without(sealed, "must_change"), without(sealed, "unlock"))},
		{name: "reset-switches", description: "must_change and unlock are the other way round.", edit: all(inner("must_change", true), inner("unlock", false))},
		{name: "reset-by-operator", description: "An operator for somebody else, with an id beyond ASCII.", edit: claim("act", map[string]any{"kind": "admin", "id": "Zoë (help desk) #7"})},
		{name: "unlock", description: "An unlock has no password.", edit: asOperation(writeback.OpUnlock, "")},
		{name: "ping", description: "A ping is sealed, too, and names nobody.", edit: asOperation(writeback.OpPing, "")},
		{name: "check", description: "A check asks beforehand whether a reset can succeed, and has no password.", edit: asOperation(writeback.OpCheck, "")},
		{name: "change", description: "A change has two passwords: the new one and the old one.", edit: asOperation(writeback.OpChange, "New-1")},
	}
}

func (m *maker) acceptedPasswords() []recipe {
	return []recipe{
		{name: "password-as-typed", description: "Spaces at both ends and a decomposed é stay as they are: no trimming, no normalisation.", edit: inner("password", "  e\u0301 Grüße 🔑 ")},
		{name: "password-escapes", description: "Every escape of JSON, and a surrogate pair.", edit: rawPassword(`"\"\\\/\b\f\n\r\t\u00e9\ud83d\uDD11"`), password: new("\"\\/\b\f\n\r\té🔑")},
		{name: "password-nul", description: "The envelope carries U+0000; a later step of the agent refuses it as password.invalid_characters.", edit: rawPassword(`"a\u0000b"`), password: new("a\x00b")},
		{name: "password-empty", description: "The envelope carries it; a later step of the agent refuses it as password.invalid_characters.", edit: inner("password", "")},
		{name: "password-longest", description: "4096 bytes, the longest the envelope carries; a later step of the agent refuses it as password.too_long.", edit: inner("password", strings.Repeat("a", 4096))},
		{name: "password-two-blocks", description: "The padded plaintext is 1024 bytes long.", edit: inner("password", strings.Repeat("ß", 200))},
		{name: "plaintext-fills-block", description: "The JSON text is 512 bytes long, so no space is appended.", edit: func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.Sealed["password"] = d.Sealed["password"].(string) + strings.Repeat("x", 512-len(text))
		}},
		{name: "padding-generous", description: "More blocks of spaces than needed are allowed.", edit: func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.RawSealed = append(envelopetest.Pad(text), strings.Repeat(" ", 512)...)
		}},
	}
}

func (m *maker) acceptedForms() []recipe {
	return []recipe{
		{name: "white-space", description: "White space and the order of members are free, in header, claims and sealed part.", edit: func(d *envelopetest.Draft) {
			d.RawHeader = fmt.Appendf(nil, "{\r\n\t\"kid\" : %q , \"typ\":\"writeback-request+jwt\",\"alg\":%q} ", m.portalKey.KeyID(), m.alg())
			d.RawSealed, _ = json.MarshalIndent(d.Sealed, " ", "\t")
			d.RawSealed = envelopetest.Pad(d.RawSealed)
		}},
		{name: "escaped-names", description: "Names of members are compared after their escapes are decoded.", edit: func(d *envelopetest.Draft) {
			text, _ := json.Marshal(d.Sealed)
			d.RawSealed = envelopetest.Pad([]byte(strings.Replace(string(text), `"jti"`, `"\u006ati"`, 1)))
		}},
		{name: "nothing-optional", description: "Neither auth_time nor amr.", edit: all(without(claims, "auth_time"), without(claims, "amr"))},
		{name: "methods-16", description: "The greatest number of methods.", edit: claim("amr", strings.Split("a b c d e f g h i j k l m n o p", " "))},
		{name: "ids-longest", description: "jti and reply of 64 characters.", edit: func(d *envelopetest.Draft) {
			long := strings.Repeat("Aa0-_9zZ", 8)
			d.Claims["jti"], d.Sealed["jti"], d.Claims["reply"] = long, long, long
		}},
		{name: "id-reused", description: "The id of reset-sid with other content: it opens, and an agent that has seen reset-sid answers envelope.id_reused.", reuses: "reset-sid",
			edit: func(d *envelopetest.Draft) {
				id := m.made["reset-sid"].Expect.Claims.ID
				d.Claims["jti"], d.Sealed["jti"], d.Sealed["password"] = id, id, "Other-Horse-43"
			}},
	}
}

func (m *maker) acceptedKeys() []recipe {
	both := m.portalWith(func(p *envelopetest.Portal) {
		p.Recipients = []envelope.PublicKey{m.otherAgent.Public(), m.agentOld.Public(), m.agentNew.Public()}
	})
	old := m.portalWith(func(p *envelopetest.Portal) {
		p.Recipients = []envelope.PublicKey{m.otherAgent.Public(), m.agentOld.Public()}
	})
	next := m.portalWith(func(p *envelopetest.Portal) { p.SigningKey = m.portalNext })
	second := m.portalWith(func(p *envelopetest.Portal) { p.Issuer, p.SigningKey = secondIssuer, m.secondKey })
	return []recipe{
		{name: "sealed-for-several", description: "Sealed for another agent, and for both keys of this one.", by: both},
		{name: "sealed-for-the-old-key", description: "Sealed for another agent, and for this one's old key only.", by: old},
		{name: "signed-with-the-next-key", description: "Signed with the other key that is pinned to the issuer.", by: next},
		{name: "second-issuer", description: "A second portal with a key of its own.", by: second},
	}
}

func (m *maker) acceptedTimes() []recipe {
	return []recipe{
		{name: "life-longest", description: "exp is 120 s after iat.", edit: claim("exp", vectorIssued+120)},
		{name: "clock-earliest", description: "The agent's clock is 30 s behind iat.", clock: vectorIssued - 30},
		{name: "clock-latest", description: "The last second: exp + 29 s.", clock: vectorIssued + 60 + 29},
		{name: "not-before", description: "nbf is 30 s ahead of the agent's clock.", edit: claim("nbf", vectorClock+30)},
		{name: "verified-in-the-future", description: "auth_time is 30 s after iat, as the clocks may differ.", edit: claim("auth_time", vectorIssued+30)},
	}
}

// acceptedCurve are the requests that only ec-1 has. One number in 256 begins with a zero byte, which careless code drops.
func (m *maker) acceptedCurve() []recipe {
	return []recipe{
		{name: "sealed-by-the-document", description: "Sealed step by step as the specification's text says, without a JOSE library.", edit: m.sealedUnder(func(map[string]any) {})},
		{name: "malleated-signature", description: "The other valid signature (r, n-s) of the content of reset-sid: the same request, with the same req_sha256.", repeats: "reset-sid"},
		{name: "signature-r-leading-zero", description: "r begins with a zero byte.", token: m.signedUntil(m.portalKey, func(s []byte) bool { return s[0] == 0 })},
		{name: "signature-s-leading-zero", description: "s begins with a zero byte.", token: m.signedUntil(m.portalKey, func(s []byte) bool { return s[32] == 0 })},
		{name: "shared-point-leading-zero", description: "Z begins with a zero byte.", edit: m.sealedBy(func(header map[string]any) ([]byte, []byte) {
			epk, z := m.agreed()
			for z[0] != 0 {
				epk, z = m.agreed()
			}
			header["epk"] = epk
			return nil, keyOf(m.t, z)
		})},
	}
}

// signedUntil signs the content of a token again and again, until the signature is as wished.
func (m *maker) signedUntil(key envelope.PrivateKey, wished func(signature []byte) bool) func([]byte) []byte {
	return func(token []byte) []byte {
		for !wished(decodeText(m.t, string(token[bytes.LastIndexByte(token, '.')+1:]))) {
			token = m.signText(string(token[:bytes.LastIndexByte(token, '.')]), key)
		}
		return token
	}
}

package envelope_test

import (
	"encoding/json"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
)

// rejectedClaims are signed by a portal that may be answered: who it is and where the answer goes is known.
func (m *maker) rejectedClaims() []recipe {
	recipes := fill(stepVerify, writeback.RequestUnsupported, true,
		recipe{name: "claim-unknown", description: "A claim that this version does not know: refused, not ignored.", edit: claim("priority", 1)},
		recipe{name: "claim-password", description: "A password outside of the sealed part.", edit: claim("password", "x")},
		recipe{name: "op-unknown", description: "An operation that this version does not know.", edit: claim("op", "delete")},
		recipe{name: "op-in-capitals", description: "RESET is not reset.", edit: claim("op", "RESET")},
		recipe{name: "actor-unknown", description: "A kind of actor that this version does not know.", edit: claim("act", map[string]any{"kind": "robot"})},
	)
	forms := append(m.rejectedNumbers(), m.rejectedActors()...)
	forms = append(forms, m.rejectedEntries()...)
	for _, name := range []string{"iat", "exp", "op", "act"} {
		forms = append(forms, recipe{name: "without-" + name, description: "The claims do not hold " + name + ".", edit: without(claims, name)})
	}
	return append(recipes, fill(stepVerify, writeback.EnvelopeMalformed, true, forms...)...)
}

func (m *maker) rejectedNumbers() []recipe {
	return []recipe{
		{name: "iat-fraction", description: "Half a second.", edit: claim("iat", json.RawMessage("1780000000.5"))},
		{name: "iat-fraction-zero", description: "A whole number with a fraction of zero.", edit: claim("iat", json.RawMessage("1780000000.0"))},
		{name: "iat-exponent", description: "A whole number with an exponent.", edit: claim("iat", json.RawMessage("178e7"))},
		{name: "iat-string", description: "A number in quotes.", edit: claim("iat", "1780000000")},
		{name: "iat-negative", description: "Before 1970.", edit: claim("iat", -1)},
		{name: "iat-minus-zero", description: "-0.", edit: claim("iat", json.RawMessage("-0"))},
		{name: "exp-beyond-9999", description: "The year 10000.", edit: claim("exp", int64(253402300800))},
		{name: "iat-beyond-64-bits", description: "More than 64 bits.", edit: claim("iat", json.RawMessage("99999999999999999999"))},
		{name: "iat-null", description: "null.", edit: claim("iat", nil)},
		{name: "nbf-null", description: "An optional claim that is null instead of left out.", edit: claim("nbf", nil)},
		{name: "exp-before-iat", description: "exp is a second before iat.", edit: claim("exp", vectorIssued-1)},
		{name: "exp-at-iat", description: "exp is iat.", edit: claim("exp", vectorIssued)},
	}
}

func (m *maker) rejectedActors() []recipe {
	return []recipe{
		{name: "actor-string", description: "act is a string.", edit: claim("act", "self")},
		{name: "actor-self-with-id", description: "A person for the own account has no operator id.", edit: claim("act", map[string]any{"kind": "self", "id": "x"})},
		{name: "actor-admin-without-id", description: "An operator has an id.", edit: claim("act", map[string]any{"kind": "admin"})},
		{name: "actor-id-line-end", description: "A line end in an id that is written into logs.", edit: claim("act", map[string]any{"kind": "admin", "id": "a\nb"})},
		{name: "actor-id-replacement-character", description: "U+FFFD in an id.", edit: claim("act", map[string]any{"kind": "admin", "id": "a\ufffdb"})},
		{name: "actor-member-unknown", description: "A member that act does not have.", edit: claim("act", map[string]any{"kind": "admin", "id": "x", "on_behalf": "y"})},
		{name: "actor-id-long", description: "257 bytes.", edit: claim("act", map[string]any{"kind": "admin", "id": strings.Repeat("a", 257)})},
		{name: "methods-string", description: "amr is a string.", edit: claim("amr", "otp")},
		{name: "methods-empty", description: "amr is empty instead of left out.", edit: claim("amr", []string{})},
		{name: "methods-twice", description: "One method twice, to look like two.", edit: claim("amr", []string{"otp", "otp"})},
		{name: "methods-17", description: "One more than allowed.", edit: claim("amr", strings.Split("a b c d e f g h i j k l m n o p q", " "))},
	}
}

func (m *maker) rejectedEntries() []recipe {
	own := m.agentNew.KeyID()
	return []recipe{
		{name: "sealed-string", description: "sealed is a string.", edit: claim("sealed", "a.b.c.d.e")},
		{name: "sealed-empty", description: "sealed has no entry.", edit: claim("sealed", map[string]any{})},
		{name: "sealed-name", description: "An entry's name is no thumbprint.", edit: claim("sealed", map[string]any{"kid": "a.b.c.d.e"})},
		{name: "sealed-object", description: "An entry is an object.", edit: claim("sealed", map[string]any{own: map[string]any{}})},
		{name: "sealed-space", description: "A space in an entry.", edit: claim("sealed", map[string]any{own: "a. b.c.d.e"})},
		{name: "sealed-long", description: "An entry of 16,385 characters.", edit: claim("sealed", map[string]any{own: strings.Repeat("a", 16<<10+1)})},
	}
}

package envelope_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// saying writes the claims of a result with a detail that is given as text, which need not be JSON. What is read of it is known.
func (m *maker) saying(detail string, known map[string]any) func(*resultDraft) {
	return func(d *resultDraft) {
		text, err := json.Marshal(d.claims)
		must(m.t, err)
		d.raw = fmt.Appendf(nil, `{"detail":%s,%s`, detail, text[1:])
		d.claims["detail"] = known
	}
}

// headerOf pads the header of a result with spaces to a length.
func (m *maker) headerOf(length int) func(*resultDraft) {
	return func(d *resultDraft) {
		text, err := json.Marshal(d.header)
		must(m.t, err)
		d.rawHeader = append(text, strings.Repeat(" ", length-len(text))...)
	}
}

// respelled signs the claims of a result in another spelling of base64url. They are filled up with spaces, so that they end on as many
// characters as a decoder that knows padding wants it after.
func (m *maker) respelled(spell func(encoded string) string) func([]byte) []byte {
	return func(good []byte) []byte {
		split := strings.Split(string(good), ".")
		claims := decodeText(m.t, split[1])
		for len(claims)%3 != 2 {
			claims = append(claims, ' ')
		}
		return m.signText(split[0]+"."+spell(envelopetest.Base64(claims)), m.agentSigning)
	}
}

// acceptedResultForms are at the borders of what a portal takes.
func (m *maker) acceptedResultForms() []resultRecipe {
	at := func(text string) func(*resultDraft) {
		return stating("outcome", "not_written", "reason", "password.too_recent", "detail", map[string]any{"retry_after": text})
	}
	known := map[string]any{"min_length": 8}
	return []resultRecipe{
		{name: "result-header-1024", description: "A header of 1,024 bytes.", edit: m.headerOf(1024)},
		{name: "result-retry-after-offset", description: "A time with half a second, and hours ahead of UTC.", edit: at("2026-06-01T10:30:00.5+02:00")},
		{name: "result-retry-after-leap-day", description: "A day that few years have.", edit: at("2028-02-29T23:59:59Z")},
		{name: "result-possible-16", description: "The greatest number of causes.", edit: stating("detail", map[string]any{"possible": strings.Split("a b c d e f g h i j k l m n o p", " ")})},
		{name: "result-detail-ignored-values", description: "Unknown members of detail hold null, numbers that no member of the protocol may be, and half of a surrogate pair: nobody reads them.", edit: m.saying(`{"a":null,"b":-1.5e3,"c":[0.5,null],"d":"\ud800","min_length":8}`, known)},
		{name: "result-detail-six-levels", description: "Six levels of objects and arrays, the greatest number, in an unknown member of detail.", edit: m.saying(`{"a":`+string(levels(4))+`,"min_length":8}`, known)},
		{name: "result-detail-64-elements", description: "The greatest number of elements, in an unknown member of detail.", edit: m.saying(`{"a":[`+strings.Repeat("1,", 63)+`1],"min_length":8}`, known)},
	}
}

// rejectedResultForms would each be a good result for a reader that lets the one fault pass.
func (m *maker) rejectedResultForms() []resultRecipe {
	recipes := []resultRecipe{
		{name: "result-header-1025", description: "A header of 1,025 bytes.", edit: m.headerOf(1025)},
		{name: "result-not-utf8", description: "A byte that is not UTF-8, in an unknown member of detail.", edit: m.saying("{\"a\":\"\xff\"}", nil)},
		{name: "result-detail-name-half-a-pair", description: "The name of an unknown member of detail is half of a surrogate pair.", edit: m.saying(`{"\ud800":1}`, nil)},
		{name: "result-detail-twice-where-nobody-reads", description: "A name stands twice in an unknown member of detail.", edit: m.saying(`{"a":{"b":1,"b":1}}`, nil)},
		{name: "result-detail-seven-levels", description: "A level too many, in an unknown member of detail.", edit: m.saying(`{"a":`+string(levels(5))+`}`, nil)},
		{name: "result-detail-65-elements", description: "An element too many, in an unknown member of detail.", edit: m.saying(`{"a":[`+strings.Repeat("1,", 64)+`1]}`, nil)},
		{name: "result-detail-null", description: "detail is null instead of left out.", edit: stating("detail", nil)},
		{name: "result-iat-null", description: "iat is null.", edit: stating("iat", nil)},
		{name: "result-iat-fraction", description: "iat has half a second.", edit: stating("iat", json.RawMessage("1780000010.5"))},
		{name: "result-iat-fraction-zero", description: "iat has a fraction of zero.", edit: stating("iat", json.RawMessage("1780000010.0"))},
	}
	recipes = append(recipes, rejectedDetailNames("possible")...)
	recipes = append(recipes, rejectedDetailNames("warnings")...)
	recipes = append(recipes, rejectedRetryAfter()...)
	for i := range recipes {
		recipes[i].step, recipes[i].reason = stepVerify, writeback.EnvelopeMalformed
	}
	return append(recipes,
		resultRecipe{name: "result-claims-padded", description: "The claims are padded with =, and signed so.", step: stepVerify, reason: writeback.EnvelopeBadSignature, token: m.respelled(func(encoded string) string { return encoded + "=" })},
		resultRecipe{name: "result-claims-line-end", description: "A line end inside the claims, and signed so.", step: stepVerify, reason: writeback.EnvelopeBadSignature, token: m.respelled(func(encoded string) string { return encoded[:8] + "\n" + encoded[8:] })},
		resultRecipe{name: "result-claims-unused-bits", description: "The unused bits of the claims' last character are not zero, and signed so.", step: stepVerify, reason: writeback.EnvelopeBadSignature, token: m.respelled(unusedBits)},
	)
}

func rejectedDetailNames(member string) []resultRecipe {
	detail := func(value any) func(*resultDraft) { return stating("detail", map[string]any{member: value}) }
	name := "result-" + member + "-"
	return []resultRecipe{
		{name: name + "none", description: member + " is an empty array instead of left out.", edit: detail([]string{})},
		{name: name + "empty", description: "An empty name in " + member + ".", edit: detail([]string{"filter", ""})},
		{name: name + "twice", description: "A name stands twice in " + member + ".", edit: detail([]string{"filter", "filter"})},
		{name: name + "17", description: "A name too many in " + member + ".", edit: detail(strings.Split("a b c d e f g h i j k l m n o p q", " "))},
		{name: name + "null", description: "null in " + member + ".", edit: detail([]any{nil})},
		{name: name + "string", description: member + " is a string.", edit: detail("filter")},
	}
}

func rejectedRetryAfter() []resultRecipe {
	var recipes []resultRecipe
	for _, each := range [][3]string{
		{"empty", "", "It is empty"}, {"word", "tomorrow", "A word"}, {"date", "2026-06-01", "A date without a time"}, {"no-zone", "2026-06-01T08:30:00", "No zone"},
		{"space", "2026-06-01 08:30:00Z", "A space in the place of T"}, {"small-letters", "2026-06-01t08:30:00z", "Small letters"},
		{"hour-of-one-digit", "2026-06-01T8:30:00Z", "An hour of one digit"}, {"comma", "2026-06-01T08:30:00,5Z", "A comma before the fraction"},
		{"month-13", "2026-13-01T08:30:00Z", "The thirteenth month"}, {"february-30", "2026-02-30T08:30:00Z", "A day that no year has"},
		{"february-29", "2026-02-29T08:30:00Z", "A day that this year does not have"}, {"hour-24", "2026-06-01T24:00:00Z", "The hour 24"},
		{"offset-24", "2026-06-01T08:30:00+24:00", "Twenty-four hours ahead of UTC"}, {"offset-minute-60", "2026-06-01T08:30:00+01:60", "An offset of sixty minutes"},
		{"fraction-empty", "2026-06-01T08:30:00.Z", "A fraction without digits"}, {"long", "2026-06-01T08:30:00." + strings.Repeat("0", 44) + "Z", "65 characters"},
	} {
		recipes = append(recipes, resultRecipe{name: "result-retry-after-" + each[0], description: each[2] + ": " + each[1] + ".", edit: stating("detail", map[string]any{"retry_after": each[1]})})
	}
	return append(recipes,
		resultRecipe{name: "result-retry-after-number", description: "Seconds since 1970.", edit: stating("detail", map[string]any{"retry_after": vectorClock})},
		resultRecipe{name: "result-retry-after-null", description: "null.", edit: stating("detail", map[string]any{"retry_after": nil})},
	)
}

// rejectedBorders are requests that are a byte too long, or whose claims or sealed part hold a member that nobody knows, of as many levels as are allowed and of one more. No good
// request has more than three: what shows that six are read is the reason.
func (m *maker) rejectedBorders() []recipe {
	return slices.Concat(
		fill(stepVerify, writeback.RequestUnsupported, true, recipe{name: "claims-six-levels", description: "Six levels, the greatest number, in a claim that nobody knows: this is JSON, and the claim is what is wrong.", edit: claim("note", levels(5))}),
		fill(stepVerify, writeback.EnvelopeMalformed, false, recipe{name: "claims-seven-levels", description: "A level too many, in a claim that nobody knows.", edit: claim("note", levels(6))}),
		fill(stepOpen, writeback.RequestUnsupported, true, recipe{name: "sealed-six-levels", description: "Six levels, the greatest number, in a sealed member that nobody knows: this is JSON, and the member is what is wrong.", edit: inner("note", levels(5))}),
		fill(stepOpen, writeback.EnvelopeUndecryptable, true, recipe{name: "sealed-seven-levels", description: "A level too many, in a sealed member that nobody knows.", edit: inner("note", levels(6))}),
		fill(stepVerify, writeback.EnvelopeMalformed, false, recipe{name: "header-1025", description: "A header of 1,025 bytes.", edit: m.requestHeaderOf(1025)}),
	)
}

// requestHeaderOf pads the header of a request with spaces to a length.
func (m *maker) requestHeaderOf(length int) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		text, err := json.Marshal(d.Header)
		must(m.t, err)
		d.RawHeader = append(text, strings.Repeat(" ", length-len(text))...)
	}
}

// longestHeader is a request whose header is as long as it may be.
func (m *maker) longestHeader() recipe {
	return recipe{name: "header-1024", description: "A header of 1,024 bytes, the longest.", edit: m.requestHeaderOf(1024)}
}

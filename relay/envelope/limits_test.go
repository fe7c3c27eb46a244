package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// allocated returns how many bytes a call allocates, all allocations together.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// modest demands that neither parser takes more than a mebibyte for a token, whatever comes of it.
func modest(t *testing.T, name string, w world, verifier *envelope.ResultVerifier, token []byte) {
	t.Helper()
	const most = 1 << 20
	for parser, call := range map[string]func(){
		"as a request": func() { _, _ = w.open(token) }, "peeked at": func() { _, _ = envelope.Peek(token) },
		"as a result": func() { _, _ = verifier.Verify(token) },
	} {
		if bytes := allocated(call); bytes > most {
			t.Errorf("%s, %s: %d bytes of memory for a token of %d", name, parser, bytes, len(token))
		}
	}
}

// hostileJSON are objects of about the given length that make a careless reader take much memory.
func hostileJSON(size int) map[string]string {
	fill := func(unit string, per int) string {
		var text strings.Builder
		for text.Len() < size-per*2 {
			group := strings.TrimSuffix(strings.Repeat(unit+",", min(per, (size-text.Len())/(len(unit)+1)+1)), ",")
			if text.Len() > 0 {
				text.WriteByte(',')
			}
			text.WriteString("[" + group + "]")
		}
		return `{"a":[` + text.String() + `]}`
	}
	var names strings.Builder
	for i := range 64 {
		fmt.Fprintf(&names, `"%d":0,`, i)
	}
	members := "{" + strings.TrimSuffix(names.String(), ",") + "}"
	return map[string]string{
		"small objects":          fill(`{"a":1}`, 64),
		"objects of two":         fill(`{"a":1,"b":2}`, 64),
		"objects of five":        fill(`{"a":1,"b":2,"c":3,"d":4,"e":5}`, 64),
		"full objects":           fill(members, 64),
		"empty arrays":           fill(`[]`, 64),
		"arrays of one":          fill(`[1]`, 64),
		"arrays of numbers":      fill(`[1,1,1,1,1,1,1,1]`, 64),
		"arrays of many strings": fill(`"\u0041"`, 64),
		"open arrays":            `{"a":` + strings.Repeat("[", size-5),
		"open objects":           strings.Repeat(`{"a":`, size/5),
		"a long name":            `{"` + strings.Repeat("a", size-8) + `":0}`,
		"a long escaped name":    `{"` + strings.Repeat(`\u0041`, size/6-2) + `":0}`,
		"a long escaped string":  `{"a":"` + strings.Repeat(`\u0041`, size/6-2) + `"}`,
		"a long number":          `{"a":` + strings.Repeat("1", size-8) + `}`,
		"spaces":                 `{` + strings.Repeat(" ", size-2) + `}`,
	}
}

// TestNoTokenTakesMuchMemory looks at all that a token can be: bytes from anybody, and what a portal with a good key may sign and seal.
func TestNoTokenTakesMuchMemory(t *testing.T) {
	for suite, w := range worlds(t) {
		t.Run(suite, func(t *testing.T) {
			verifier := newVerifier(t, w.portalKey.Public())
			good := w.token(t, func(*envelopetest.Draft) {})
			modest(t, "warming up", w, verifier, good)
			modest(t, "a good one", w, verifier, good)
			for name, token := range foreignTokens(good) {
				modest(t, name, w, verifier, token)
			}
			for name, text := range hostileJSON(46 << 10) {
				modest(t, "claims of "+name, w, verifier, w.token(t, func(d *envelopetest.Draft) { d.RawClaims = []byte(text) }))
				modest(t, "entries of "+name, w, verifier, w.token(t, rawEntries(text)))
				modest(t, "a result of "+name, w, verifier, signedResult(t, w, text))
			}
			for name, text := range hostileJSON(11 << 10) {
				modest(t, "sealed "+name, w, verifier, w.token(t, func(d *envelopetest.Draft) { d.RawSealed = envelopetest.Pad([]byte(text)) }))
				modest(t, "an entry of "+name, w, verifier, w.token(t, claim("sealed", map[string]string{w.agentKey.KeyID(): envelopetest.Base64([]byte(text)) + "...."})))
			}
		})
	}
}

// rawEntries puts any text in the place of the sealed entries, also one that is no JSON.
func rawEntries(text string) func(*envelopetest.Draft) {
	return func(d *envelopetest.Draft) {
		d.Claims["sealed"] = "@"
		claims, _ := json.Marshal(d.Claims)
		d.RawClaims = bytes.Replace(claims, []byte(`"@"`), []byte(text), 1)
	}
}

func signedResult(t *testing.T, w world, claims string) []byte {
	t.Helper()
	header := fmt.Sprintf(`{"typ":"writeback-result+jwt","alg":%q,"kid":%q}`, w.portalKey.Public().Algorithm(), w.portalKey.KeyID())
	token, err := envelopetest.Sign([]byte(header), []byte(claims), w.portalKey)
	must(t, err)
	return token
}

// foreignTokens are what anybody can write to the queue.
func foreignTokens(good []byte) map[string][]byte {
	header := string(good[:bytes.IndexByte(good, '.')])
	tokens := map[string][]byte{
		"dots":        bytes.Repeat([]byte("."), envelope.MaxToken),
		"letters":     bytes.Repeat([]byte("A"), envelope.MaxToken),
		"oversize":    bytes.Repeat([]byte("A."), envelope.MaxToken),
		"long claims": []byte(header + "." + strings.Repeat("A", envelope.MaxToken-len(header)-5) + ".AAA"),
		"long tag":    []byte(header + ".AAA." + strings.Repeat("A", envelope.MaxToken-len(header)-5)),
	}
	for name, text := range hostileJSON(46 << 10) {
		tokens["a header of "+name] = []byte(envelopetest.Base64([]byte(text)) + ".e30.AAA")
		tokens["unsigned claims of "+name] = []byte(header + "." + envelopetest.Base64([]byte(text)) + ".AAA")
	}
	for name, text := range hostileJSON(700) {
		tokens["a short header of "+name] = []byte(envelopetest.Base64([]byte(text)) + ".e30.AAA")
	}
	return tokens
}

// vectorSecrets are what no error about a vector may show: the passwords that most of them seal, and the private members of the agent's keys.
func vectorSecrets(t *testing.T, trust agentTrust) []string {
	t.Helper()
	needles := []string{"Correct-Horse-42", "Other-Horse-43", "New-1"}
	for _, jwk := range trust.SealingKeys {
		var members map[string]string
		must(t, json.Unmarshal(jwk, &members))
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			if members[name] != "" {
				needles = append(needles, members[name])
			}
		}
	}
	for _, needle := range needles {
		needles = append(needles, base64.StdEncoding.EncodeToString([]byte(needle)), fmt.Sprintf("%x", needle))
	}
	return needles
}

// said is all that an error tells anybody: itself, its causes and its remedy.
func said(err error) string {
	var text strings.Builder
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		fmt.Fprintf(&text, "%v\n%+v\n%#v\n", cause, cause, cause)
	}
	var typed *writeback.Error
	if errors.As(err, &typed) {
		text.WriteString(typed.Hint + "\n" + typed.Remedy() + "\n")
	}
	return text.String()
}

// TestNoErrorAboutAVectorShowsASecret opens every vector, with a good clock and without one.
func TestNoErrorAboutAVectorShowsASecret(t *testing.T) {
	for _, suite := range suites() {
		file := loadVectors[agentTrust, requestVector](t, rejectedFile, suite)
		opener, needles := file.Trust.opener(t), vectorSecrets(t, file.Trust)
		for _, vector := range file.Vectors {
			verified, err := opener.Verify([]byte(vector.Token))
			if err == nil {
				_, err = opener.Decrypt(verified)
			}
			for _, needle := range needles {
				if strings.Contains(said(err), needle) {
					t.Errorf("%s %s: the error shows %q: %v", suite, vector.Name, needle, err)
				}
			}
		}
	}
}

// TestNoErrorAboutAKeyShowsIt reads private keys of which one member is spoilt.
func TestNoErrorAboutAKeyShowsIt(t *testing.T) {
	text, err := os.ReadFile(keyFilePath())
	must(t, err)
	var file keyFile
	must(t, json.Unmarshal(text, &file))
	checked := 0
	for _, vector := range file.Vectors {
		var members map[string]any
		if len(vector.Expect) > 0 || json.Unmarshal([]byte(vector.Text), &members) != nil {
			continue
		}
		_, err := readKeyVector(vector)
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			value, ok := members[name].(string)
			if ok && len(value) > 8 && strings.Contains(said(err), value) {
				t.Errorf("%s: the error shows %s: %v", vector.Name, name, err)
			}
			checked++
		}
	}
	if checked == 0 {
		t.Errorf("%s holds no private key", filepath.Base(keyFilePath()))
	}
}

// TestNoErrorShowsWhatWasSealed plants a mark in every place of the sealed part where a portal's mistake could put a password.
func TestNoErrorShowsWhatWasSealed(t *testing.T) {
	const mark = "Zq7Zq7Zq7"
	w := newWorld(t)
	for i, quoted := range []string{
		`"x","` + mark + `":"x"`, `"x","old_password":"` + mark + `"`, `"x","must_change":"` + mark + `"`, `"x","unlock":"` + mark + `"`,
		`{"` + mark + `":1}`, `["` + mark + `"]`, `"` + mark + `\ud800"`, `"` + mark + `\x"`, `"` + mark + "\x01\"", `"` + mark + "\xff\"", `"` + mark,
		`"` + strings.Repeat(mark, 500) + `"`, `"x"},"` + mark + `":{`, `"x"}"` + mark + `"`, `7` + mark, `"x","jti":"` + mark + `"`,
	} {
		token := w.token(t, func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, quoted) })
		request, err := w.open(token)
		if err == nil {
			request.Destroy()
			t.Errorf("%d: opened", i)
			continue
		}
		if strings.Contains(said(err), mark[:6]) {
			t.Errorf("%d: the error shows what was sealed: %v", i, err)
		}
	}
}

// TestAReplacementCharacterIsNoName: U+FFFD stands where somebody's decoder gave up, so it names nobody.
func TestAReplacementCharacterIsNoName(t *testing.T) {
	w := newWorld(t)
	if _, err := w.open(w.token(t, user("upn", "a\ufffdb"))); writeback.ReasonOf(err) != writeback.EnvelopeUndecryptable {
		t.Errorf("%v, want envelope.undecryptable", err)
	}
}

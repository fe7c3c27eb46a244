package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// printed is one value of the worked example: its label in the document, and the value.
type printed struct{ Label, Value string }

func readProtocol(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	must(t, err)
	return string(text)
}

// printedExample reads the labelled values of the worked example from the document.
func printedExample(t *testing.T) []printed {
	t.Helper()
	_, example, found := strings.Cut(readProtocol(t), "\n## Worked example\n")
	example, _, ended := strings.Cut(example, "\n## ")
	if !found || !ended {
		t.Fatal("docs/protocol.md has no worked example")
	}
	var values []printed
	for _, match := range regexp.MustCompile("(?m)^(.+):\n\n```text\n(.+)\n```$").FindAllStringSubmatch(example, -1) {
		values = append(values, printed{match[1], match[2]})
	}
	if blocks := strings.Count(example, "```text"); blocks != len(values) {
		t.Errorf("%d values and %d labels", blocks, len(values))
	}
	return values
}

// workedExample computes all values, in the order of the document.
func workedExample(t *testing.T, g golden) []printed {
	t.Helper()
	return slices.Concat(exampleKeys(t, g), exampleSealing(t, g), exampleSigning(t, g), exampleAnswer(t, g))
}

// reprint writes the values into the document, each behind its label.
func reprint(t *testing.T, values []printed) {
	t.Helper()
	document := readProtocol(t)
	for _, value := range values {
		label := "\n" + value.Label + ":\n\n```text\n"
		before, rest, found := strings.Cut(document, label)
		_, after, ended := strings.Cut(rest, "\n```")
		if !found || !ended {
			t.Fatalf("docs/protocol.md has no place for %q", value.Label)
		}
		document = before + label + value.Value + "\n```" + after
	}
	must(t, os.WriteFile(filepath.Join("..", "..", "docs", "protocol.md"), []byte(document), 0o644))
}

// TestTheWorkedExampleOfTheDocument recomputes what docs/protocol.md prints, with the standard library and the steps that the document
// describes; that the agent's own code opens the same token is TestTokensMadeLongAgoStillOpen.
func TestTheWorkedExampleOfTheDocument(t *testing.T) {
	g := readGolden(t, "ec-1")
	if diff := cmp.Diff(workedExample(t, g), printedExample(t)); diff != "" {
		t.Errorf("docs/protocol.md (-computed +printed):\n%s", diff)
	}
}

// curveKey is a private JWK on P-256.
type curveKey struct{ X, Y, D string }

func readCurveKey(t *testing.T, jwk []byte) (key curveKey, thumbprintInput string) {
	t.Helper()
	must(t, json.Unmarshal(jwk, &key))
	return key, fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, key.X, key.Y)
}

func hexOfSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func exampleKeys(t *testing.T, g golden) []printed {
	t.Helper()
	sealing, sealingInput := readCurveKey(t, g.SealingKey)
	_, portalInput := readCurveKey(t, g.PortalKey)
	for _, pair := range [][2]string{{sealingInput, parse(t, bytes.Clone(g.SealingKey)).KeyID()}, {portalInput, parse(t, bytes.Clone(g.PortalKey)).KeyID()}} {
		if sum := sha256.Sum256([]byte(pair[0])); envelopetest.Base64(sum[:]) != pair[1] {
			t.Errorf("the thumbprint of %s is not %s", pair[0], pair[1])
		}
	}
	return []printed{
		{"Sealing key, `d`", sealing.D},
		{"Sealing key, input of the thumbprint", sealingInput},
		{"Sealing key, SHA-256 of that", hexOfSum([]byte(sealingInput))},
		{"Sealing key, `kid`: the same in base64url", parse(t, bytes.Clone(g.SealingKey)).KeyID()},
		{"Portal's key, input of the thumbprint", portalInput},
		{"Portal's key, `kid`", parse(t, bytes.Clone(g.PortalKey)).KeyID()},
	}
}

// sealedEntry returns the one sealed entry of the example's request.
func sealedEntry(t *testing.T, request string) string {
	t.Helper()
	var claims struct{ Sealed map[string]string }
	must(t, json.Unmarshal(decodeText(t, strings.Split(request, ".")[1]), &claims))
	for _, entry := range claims.Sealed {
		return entry
	}
	t.Fatal("no entry")
	return ""
}

// sharedPoint is Z: ECDH between the agent's private key and the one-time public key in the header.
func sharedPoint(t *testing.T, key curveKey, header []byte) []byte {
	t.Helper()
	var members struct {
		EPK curveKey `json:"epk"`
	}
	must(t, json.Unmarshal(header, &members))
	point := slices.Concat([]byte{4}, decodeText(t, members.EPK.X), decodeText(t, members.EPK.Y))
	oneTime, err := ecdh.P256().NewPublicKey(point)
	must(t, err)
	private, err := ecdh.P256().NewPrivateKey(decodeText(t, key.D))
	must(t, err)
	z, err := private.ECDH(oneTime)
	must(t, err)
	return z
}

// contentCipher is AES-GCM with the content key of a shared point, and the input of the hash that the key is.
func contentCipher(t *testing.T, z []byte) (gcm cipher.AEAD, input []byte) {
	t.Helper()
	input = slices.Concat([]byte{0, 0, 0, 1}, z, []byte("\x00\x00\x00\x07A256GCM\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"))
	content := sha256.Sum256(input)
	block, err := aes.NewCipher(content[:])
	must(t, err)
	gcm, err = cipher.NewGCM(block)
	must(t, err)
	return gcm, input
}

func exampleSealing(t *testing.T, g golden) []printed {
	t.Helper()
	compact := sealedEntry(t, g.Request)
	p := strings.Split(compact, ".")
	header, nonce, ciphertext, tag := decodeText(t, p[0]), decodeText(t, p[2]), decodeText(t, p[3]), decodeText(t, p[4])
	key, _ := readCurveKey(t, g.SealingKey)
	z := sharedPoint(t, key, header)
	gcm, input := contentCipher(t, z)
	content := sha256.Sum256(input)
	plain, err := gcm.Open(nil, nonce, slices.Concat(ciphertext, tag), []byte(p[0]))
	must(t, err)
	text := bytes.TrimRight(plain, " ")
	return []printed{
		{"Plaintext, without the padding", string(text)},
		{"Its length in bytes", strconv.Itoa(len(text))},
		{"Number of spaces to append", strconv.Itoa((512 - len(text)%512) % 512)},
		{"SHA-256 of the padded plaintext", hexOfSum(plain)},
		{"JWE header", string(header)},
		{"JWE header, encoded: the additional data of AES-GCM", p[0]},
		{"Z, the x coordinate of the shared point", hex.EncodeToString(z)},
		{"Input of SHA-256: counter, Z, OtherInfo", hex.EncodeToString(input)},
		{"Content key", hex.EncodeToString(content[:])},
		{"Nonce", hex.EncodeToString(nonce)},
		{"First 32 bytes of the ciphertext", hex.EncodeToString(ciphertext[:32])},
		{"SHA-256 of the ciphertext", hexOfSum(ciphertext)},
		{"Tag", hex.EncodeToString(tag)},
		{"Length of the compact JWE in characters", strconv.Itoa(len(compact))},
	}
}

func exampleSigning(t *testing.T, g golden) []printed {
	t.Helper()
	p := strings.Split(g.Request, ".")
	opener, err := envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {parse(t, bytes.Clone(g.PortalKey)).Public()}},
		SealingKeys: []envelope.PrivateKey{parse(t, bytes.Clone(g.SealingKey))},
	})
	must(t, err)
	verified, err := opener.Verify([]byte(g.Request))
	must(t, err)
	digest, signature := verified.Claims().Digest, decodeText(t, p[2])
	if digest.String() != hexOfSum([]byte(p[0]+"."+p[1])) {
		t.Error("the digest is not the SHA-256 of the signing input")
	}
	return []printed{
		{"JWS header", string(decodeText(t, p[0]))},
		{"Claims, with `...` in the place of the compact JWE", strings.Replace(string(decodeText(t, p[1])), sealedEntry(t, g.Request), "...", 1)},
		{"SHA-256 of the signing input", digest.String()},
		{"The same in base64url: what the result must carry as `req_sha256`", envelopetest.Base64(digest[:])},
		{"Signature, r", hex.EncodeToString(signature[:32])},
		{"Signature, s", hex.EncodeToString(signature[32:])},
		{"Request token", g.Request},
	}
}

func exampleAnswer(t *testing.T, g golden) []printed {
	t.Helper()
	p := strings.Split(g.Result, ".")
	_, input := readCurveKey(t, g.AgentKey)
	return []printed{
		{"Agent's signing key, input of the thumbprint", input},
		{"Agent's signing key, `kid`: pinned to the agent `" + agentName + "`", parse(t, bytes.Clone(g.AgentKey)).KeyID()},
		{"Result header", string(decodeText(t, p[0]))},
		{"Result claims", string(decodeText(t, p[1]))},
		{"SHA-256 of the result's signing input", hexOfSum([]byte(p[0] + "." + p[1]))},
		{"Result token", g.Result},
	}
}

// TestTheDocumentNamesOnlyWhatThereIs holds the document's reasons and limits against the code.
func TestTheDocumentNamesOnlyWhatThereIs(t *testing.T) {
	document := readProtocol(t)
	for _, name := range regexp.MustCompile("`(?:envelope|request|auth|user|policy|password|directory|agent)\\.([a-z_]+)`").FindAllString(document, -1) {
		reason := writeback.Reason(strings.Trim(name, "`"))
		if !reason.Known() {
			t.Errorf("there is no reason %s", reason)
		}
	}
	for _, limit := range []string{
		fmt.Sprintf("at most %d,%03d bytes", envelope.MaxToken/1000, envelope.MaxToken%1000),
		fmt.Sprintf("`skew` %.0f s and `life` %.0f s", envelope.DefaultSkew.Seconds(), envelope.DefaultMaxLife.Seconds()),
	} {
		if !strings.Contains(document, limit) {
			t.Errorf("docs/protocol.md does not say %q", limit)
		}
	}
}

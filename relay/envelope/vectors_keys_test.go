package envelope_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// keyVector is a JWK or JWK Set as text, since some of them are no JSON.
type keyVector struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Private     bool        `json:"private,omitempty"` // read as a private key, not as public ones
	Text        string      `json:"text"`
	Expect      []vectorKey `json:"expect"` // empty: refused
}

type vectorKey struct {
	KeyID     string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

// keyFile stands in a folder of its own: it holds no tokens.
type keyFile struct {
	Format  int         `json:"format"`
	Vectors []keyVector `json:"vectors"`
}

func keyFilePath() string { return filepath.Join("testdata", "vectors", "keys", "keys.json") }

// TestKeyVectors runs what is committed.
func TestKeyVectors(t *testing.T) {
	text, err := os.ReadFile(keyFilePath())
	must(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var file keyFile
	must(t, decoder.Decode(&file))
	accepted := 0
	for _, vector := range file.Vectors {
		if len(vector.Expect) > 0 {
			accepted++
		}
		t.Run(vector.Name, func(t *testing.T) {
			got, err := readKeyVector(vector)
			if diff := cmp.Diff(vector.Expect, got); diff != "" {
				t.Errorf("%s: %v (-file +code):\n%s", vector.Description, err, diff)
			}
			if len(vector.Expect) == 0 && err == nil {
				t.Errorf("%s: no key, and no error", vector.Description)
			}
		})
	}
	if rejected := len(file.Vectors) - accepted; file.Format != 1 || accepted < 10 || rejected < 40 {
		t.Errorf("format %d, %d accepted, %d rejected", file.Format, accepted, rejected)
	}
}

func readKeyVector(vector keyVector) ([]vectorKey, error) {
	if vector.Private {
		key, err := envelope.ParsePrivateKey(secret.NewString(vector.Text))
		if err != nil {
			return []vectorKey{}, err
		}
		return []vectorKey{described(key.Public())}, nil
	}
	keys, err := envelope.ParsePublicKeys([]byte(vector.Text))
	found := []vectorKey{}
	if err == nil {
		for _, key := range keys {
			found = append(found, described(key))
		}
	}
	return found, err
}

func described(key envelope.PublicKey) vectorKey {
	return vectorKey{KeyID: key.KeyID(), Use: string(key.Use()), Algorithm: string(key.Algorithm())}
}

// keyMaker makes the vectors of keys.
type keyMaker struct {
	t    *testing.T
	made []keyVector
}

// TestKeyVectorsAreTheOnesDescribedHere makes the file with -update, and else sees to it that none was forgotten.
func TestKeyVectorsAreTheOnesDescribedHere(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	m := &keyMaker{t: t}
	m.acceptedKeys()
	m.rejectedForms()
	m.rejectedSets()
	m.rejectedPoints()
	m.rejectedModuli()
	m.rejectedHalves()
	text := encodeVectors(t, keyFile{1, m.made})
	if *updateVectors {
		must(t, os.MkdirAll(filepath.Dir(keyFilePath()), 0o755))
		must(t, os.WriteFile(keyFilePath(), text, 0o644))
	}
	committed, err := os.ReadFile(keyFilePath())
	must(t, err)
	if diff := cmp.Diff(outlineOfKeys(t, committed), outlineOfKeys(t, text)); diff != "" {
		t.Errorf("made from other descriptions (-file +here); make it anew with -update:\n%s", diff)
	}
}

func outlineOfKeys(t *testing.T, text []byte) any {
	t.Helper()
	var file struct {
		Vectors []struct {
			Name, Description string
			Private           bool
			Expect            []struct{ Use, Alg string }
		}
	}
	must(t, json.Unmarshal(text, &file))
	return file.Vectors
}

// jwkEdit changes the members of a JWK before it becomes text.
type jwkEdit func(members map[string]any)

func setting(name string, value any) jwkEdit { return func(k map[string]any) { k[name] = value } }

func leavingOut(name string) jwkEdit { return func(k map[string]any) { delete(k, name) } }

// of writes the public or private JWK of a key, edited.
func (m *keyMaker) of(key envelope.PrivateKey, private bool, edits ...jwkEdit) string {
	maker := maker{t: m.t}
	members := make(map[string]any)
	encoded := maker.jwk(key)
	if private {
		encoded = maker.privateJWK(key)
	}
	must(m.t, json.Unmarshal(encoded, &members))
	for _, edit := range edits {
		edit(members)
	}
	text, err := json.Marshal(members)
	must(m.t, err)
	return string(text)
}

func (m *keyMaker) accept(name, description, text string, keys ...envelope.PrivateKey) {
	vector := keyVector{Name: name, Description: description, Text: text, Private: strings.Contains(text, `"d":`)}
	for _, key := range keys {
		vector.Expect = append(vector.Expect, described(key.Public()))
	}
	m.made = append(m.made, vector)
}

func (m *keyMaker) refuse(name, description, text string) {
	m.made = append(m.made, keyVector{Name: name, Description: description, Text: text, Expect: []vectorKey{}})
}

func (m *keyMaker) refusePrivate(name, description, text string) {
	m.made = append(m.made, keyVector{Name: name, Description: description, Text: text, Private: true, Expect: []vectorKey{}})
}

func (m *keyMaker) acceptedKeys() {
	curve, sealing := signingKey(m.t), sealingKey(m.t)
	for _, each := range []struct {
		name, description string
		key               envelope.PrivateKey
	}{
		{"es256", "A key of a portal or an agent that signs with ES256", curve},
		{"ecdh-es", "A key of an agent that requests are sealed for with ECDH-ES", sealing},
		{"ps256-3072", "A key of 3072 bits that signs with PS256", rsaKey(m.t, envelope.PS256, 0)},
		{"ps256-4096", "A key of 4096 bits that signs with PS256", rsaKey(m.t, envelope.PS256, 3)},
		{"rsa-oaep-256-3072", "A key of 3072 bits that requests are sealed for with RSA-OAEP-256", rsaKey(m.t, envelope.RSAOAEP256, 0)},
		{"rsa-oaep-256-4096", "A key of 4096 bits that requests are sealed for with RSA-OAEP-256", rsaKey(m.t, envelope.RSAOAEP256, 3)},
	} {
		m.accept(each.name, each.description+".", m.of(each.key, false), each.key)
		m.accept(each.name+"-private", each.description+", with its private half.", m.of(each.key, true), each.key)
	}
	zero := signingKey(m.t)
	for coordinate(m.t, zero)[0] != 0 {
		zero = signingKey(m.t)
	}
	m.accept("es256-leading-zero", "x begins with a zero byte, which stays: a coordinate is always 32 bytes long.", m.of(zero, false), zero)
	m.accept("no-kid", "kid may be left out: the thumbprint names the key.", m.of(curve, false, leavingOut("kid")), curve)
	m.accept("foreign-members", "Members that are no part of the key are ignored (RFC 7517 section 4).", m.of(curve, false, setting("x5c", []string{"AAAA"}), setting("key_ops", []string{"verify"}), setting("note", 1)), curve)
	m.acceptedSets(curve, sealing)
	m.accept("set", "A JWK Set (RFC 7517 section 5), as an agent exports it.", `{"keys":[`+m.of(curve, false, setting("agent", agentName))+`,`+m.of(sealing, false, setting("agent", agentName))+`]}`, curve, sealing)
}

// setOf writes a JWK Set.
func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// keyOfTomorrow is a key of a suite that nobody here knows.
const keyOfTomorrow = `{"kty":"AKP","alg":"HPKE-7","use":"enc","kid":"tomorrow","pub":"AAAA","agent":"` + agentName + `","more":{"a":[null,-1.5e3]}}`

// acceptedSets are about what a set may hold beside good keys that each stand there once.
func (m *keyMaker) acceptedSets(curve, sealing envelope.PrivateKey) {
	good, other := m.of(curve, false), m.of(sealing, false)
	m.accept("set-with-alg-of-tomorrow", "An alg that nobody knows: this key is left out, whatever else it holds, and the others are used.", setOf(good, keyOfTomorrow, other), curve, sealing)
	m.accept("set-with-use-of-tomorrow", "A use that nobody knows: this key is left out.", setOf(m.of(sealing, false, setting("use", "wrap")), good), curve)
	m.accept("set-with-alg-not-ours", "A key for RS256, which no suite has, is left out in the same way.", setOf(m.of(rsaKey(m.t, envelope.PS256, 0), false, setting("alg", "RS256")), good), curve)
	m.accept("set-twice", "A key that stands twice counts once.", setOf(good, other, good), curve, sealing)
	m.accept("set-of-64", "The greatest number of keys; all but one are left out.", setOf(good, strings.Repeat(keyOfTomorrow+",", 62)+keyOfTomorrow), curve)
	m.accept("set-six-levels", "Six levels of objects and arrays, the greatest number, in a member that nobody knows.", setOf(m.of(curve, false, setting("note", levels(3)))), curve)
}

// levels is an array in an array and so on.
func levels(n int) json.RawMessage {
	return json.RawMessage(strings.Repeat("[", n) + strings.Repeat("]", n))
}

func (m *keyMaker) rejectedSets() {
	key, sealing := signingKey(m.t), sealingKey(m.t)
	good, other := m.of(key, false), m.of(sealing, false)
	m.refuse("set-empty", "A JWK Set without a key.", setOf())
	m.refuse("set-with-one-bad", "A JWK Set whose second key is bad: none of it is taken.", setOf(good, `{"kty":"EC"}`))
	m.refuse("set-with-one-off-the-curve", "The second key is of a known alg and not on the curve: none is taken.", setOf(good, m.of(sealing, false, leavingOut("kid"), func(k map[string]any) { k["y"] = flip(k["y"].(string)) })))
	m.refuse("set-with-use-not-of-alg", "The second key is for a use that there is, and that its alg does not have: none is taken.", setOf(good, m.of(sealing, false, setting("use", "sig"))))
	m.refuse("set-with-alg-number", "The second key has an alg that is no text: none is taken.", setOf(good, m.of(sealing, false, setting("alg", 7))))
	m.refuse("set-with-null", "null in the place of a key.", setOf(good, "null"))
	m.refuse("set-two-uses", "One key for two uses.", setOf(good, m.of(key, false, setting("use", "enc"), setting("alg", "ECDH-ES"))))
	m.refuse("set-two-agents", "One key of two agents.", setOf(m.of(key, false, setting("agent", agentName)), m.of(key, false, setting("agent", "corp/dc-host-2"))))
	m.refuse("set-of-tomorrow", "No key of a known alg is left.", setOf(keyOfTomorrow))
	m.refuse("set-of-65", "A key too many.", setOf(good, strings.Repeat(keyOfTomorrow+",", 63)+keyOfTomorrow))
	m.refuse("set-seven-levels", "A level too many.", setOf(m.of(key, false, setting("note", levels(4)))))
	m.refuse("set-private-of-tomorrow", "A private key of an alg that nobody knows: whoever hands it over should hear of it.", setOf(good, other, strings.Replace(keyOfTomorrow, `"pub"`, `"priv":"AAAA","pub"`, 1)))
	m.refuse("set-private", "The second key is private.", setOf(good, m.of(sealing, true)))
	m.refuse("alone-of-tomorrow", "A key of an alg that nobody knows, alone: there is nothing to leave it out of.", keyOfTomorrow)
	m.refuse("alone-use-of-tomorrow", "A key for a use that nobody knows, alone.", m.of(key, false, setting("use", "wrap")))
}

// coordinate returns x of a key on P-256.
func coordinate(t *testing.T, key envelope.PrivateKey) []byte {
	t.Helper()
	encoded, err := envelope.EncodePublicKey(key.Public())
	must(t, err)
	var parsed curveKey
	must(t, json.Unmarshal(encoded, &parsed))
	return decodeText(t, parsed.X)
}

func (m *keyMaker) rejectedForms() {
	key, sealing, modulus := signingKey(m.t), sealingKey(m.t), rsaKey(m.t, envelope.PS256, 0)
	good := m.of(key, false)
	m.refuse("empty", "Nothing.", "")
	m.refuse("pem", "Not JSON.", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
	m.refuse("trailing", "A second object behind the key.", good+"{}")
	m.refuse("member-twice", "use stands twice.", strings.Replace(good, `{`, `{"use":"sig",`, 1))
	m.refuse("no-use", "use is missing.", m.of(key, false, leavingOut("use")))
	m.refuse("no-alg", "alg is missing.", m.of(key, false, leavingOut("alg")))
	m.refuse("use-not-of-alg", "A key for ES256 whose use is enc.", m.of(key, false, setting("use", "enc")))
	m.refuse("kid-of-another-key", "kid is the thumbprint of another key.", m.of(key, false, setting("kid", sealing.KeyID())))
	m.refuse("kid-by-hand", "kid is no thumbprint.", m.of(key, false, setting("kid", "portal-1")))
	for _, alg := range []string{"none", "HS256", "ES384", "RS256", "PS384", "RSA-OAEP", "RSA1_5", "ECDH-ES+A256KW"} {
		m.refuse("alg-"+alg, "alg is "+alg+".", m.of(modulus, false, setting("alg", alg)))
	}
	m.refuse("symmetric", "A symmetric key.", `{"kty":"oct","k":"AAAA","use":"sig","alg":"HS256"}`)
	m.refuse("rsa-for-es256", "An RSA key for ES256.", m.of(modulus, false, setting("alg", "ES256")))
	m.refuse("curve-for-ps256", "A key on P-256 for PS256.", m.of(key, false, setting("alg", "PS256")))
	m.refuse("kty-not-of-the-members", "kty is RSA, the members are those of P-256.", m.of(key, false, setting("kty", "RSA")))
	m.refuse("private-where-public", "A private key on P-256 where public ones belong.", m.of(key, true))
	m.refuse("private-rsa-where-public", "A private RSA key where public ones belong.", m.of(modulus, true))
	m.refuse("private-prime-where-public", "A public RSA key with one of its primes.", m.of(modulus, true, leavingOut("d"), leavingOut("q"), leavingOut("dp"), leavingOut("dq"), leavingOut("qi")))
}

func (m *keyMaker) rejectedPoints() {
	key := signingKey(m.t)
	change := func(name string, edit func(text string) string) jwkEdit {
		return func(k map[string]any) { k[name] = edit(k[name].(string)) }
	}
	m.refuse("point-off-the-curve", "A point that is not on P-256.", m.of(key, false, leavingOut("kid"), change("y", flip)))
	m.refuse("point-zero", "Both coordinates are 0.", m.of(key, false, leavingOut("kid"), setting("x", envelopetest.Base64(make([]byte, 32))), setting("y", envelopetest.Base64(make([]byte, 32)))))
	m.refuse("point-p384", "crv is P-384.", m.of(key, false, setting("crv", "P-384")))
	m.refuse("point-without-y", "y is missing.", m.of(key, false, leavingOut("y")))
	m.refuse("point-x-long", "A zero byte before x: the same number.", m.of(key, false, change("x", func(x string) string {
		return envelopetest.Base64(append([]byte{0}, decodeText(m.t, x)...))
	})))
	m.refuse("point-x-padded", "x is padded with =.", m.of(key, false, change("x", func(x string) string { return x + "=" })))
	m.refuse("point-x-unused-bits", "The unused bits of the last character of x are not zero.", m.of(key, false, change("x", unusedBits)))
	m.refuse("point-x-number", "x is a number.", m.of(key, false, setting("x", 1)))
}

// number writes a number as RFC 7518 section 2 says.
func number(n *big.Int) string { return envelopetest.Base64(n.Bytes()) }

// odd is a random odd number of a length, with the highest bit set.
func odd(t *testing.T, bits int) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	must(t, err)
	return n.SetBit(n.SetBit(n, bits-1, 1), 0, 1)
}

func (m *keyMaker) rejectedModuli() {
	key := rsaKey(m.t, envelope.PS256, 0)
	public, err := envelopetest.RSAPublic(key.Public())
	must(m.t, err)
	with := func(edits ...jwkEdit) string { return m.of(key, false, append(edits, leavingOut("kid"))...) }
	for _, bits := range []int{512, 1024, 2048, 3071, 3073, 3080, 4095, 4104, 8192} {
		m.refuse(fmt.Sprintf("rsa-bits-%d", bits), fmt.Sprintf("A modulus of %d bits; 3072 and 4096 are allowed.", bits), with(setting("n", number(odd(m.t, bits)))))
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	must(m.t, err)
	m.refuse("rsa-seal-2048", "A real key of 2048 bits, for sealing.", with(setting("n", number(weak.N)), setting("use", "enc"), setting("alg", "RSA-OAEP-256")))
	m.refuse("rsa-even", "An even modulus.", with(setting("n", number(new(big.Int).SetBit(public.N, 0, 0)))))
	m.refuse("rsa-leading-zero", "A zero byte before the modulus: the same number.", with(setting("n", envelopetest.Base64(append([]byte{0}, public.N.Bytes()...)))))
	m.refuse("rsa-no-n", "n is missing.", with(leavingOut("n")))
	m.refuse("rsa-no-e", "e is missing.", with(leavingOut("e")))
	for _, e := range []int64{1, 2, 3, 65539, 1<<32 + 1} {
		m.refuse(fmt.Sprintf("rsa-exponent-%d", e), fmt.Sprintf("The public exponent is %d; 65537 is allowed.", e), with(setting("e", number(big.NewInt(e)))))
	}
	m.refuse("rsa-exponent-leading-zero", "A zero byte before 65537: the same number.", with(setting("e", "AAEAAQ")))
}

func (m *keyMaker) rejectedHalves() {
	curve, key, other := signingKey(m.t), rsaKey(m.t, envelope.RSAOAEP256, 0), rsaKey(m.t, envelope.RSAOAEP256, 1)
	own, err := envelopetest.RSAPrivate(key)
	must(m.t, err)
	foreign, err := envelopetest.RSAPrivate(other)
	must(m.t, err)
	m.refusePrivate("half-public", "A public key where a private one belongs.", m.of(curve, false))
	m.refusePrivate("half-d-of-another", "On P-256, with d of another key.", m.of(curve, true, setting("d", envelopetest.Base64(randomKey(32)))))
	m.refusePrivate("half-d-zero", "On P-256, with d 0.", m.of(curve, true, setting("d", envelopetest.Base64(make([]byte, 32)))))
	m.refusePrivate("half-d-short", "On P-256, with d of 31 bytes.", m.of(curve, true, setting("d", envelopetest.Base64(randomKey(31)))))
	for _, name := range []string{"p", "q", "dp", "dq", "qi"} {
		m.refusePrivate("half-rsa-no-"+name, name+" is missing.", m.of(key, true, leavingOut(name)))
	}
	one := big.NewInt(1)
	for _, wrong := range []struct {
		name  string
		value *big.Int
	}{
		{"n", foreign.N}, {"d", foreign.D}, {"p", foreign.Primes[0]}, {"q", foreign.Primes[1]}, {"dp", new(big.Int).Add(own.Precomputed.Dp, one)},
		{"dq", new(big.Int).Sub(own.Precomputed.Dq, one)}, {"qi", new(big.Int).Xor(own.Precomputed.Qinv, one)},
	} {
		m.refusePrivate("half-rsa-wrong-"+wrong.name, wrong.name+" does not belong to the others.", m.of(key, true, leavingOut("kid"), setting(wrong.name, number(wrong.value))))
	}
	m.refusePrivate("half-rsa-three-primes", "oth announces more primes.", m.of(key, true, setting("oth", []any{map[string]any{"r": "Aw", "d": "AQ", "t": "AQ"}})))
	m.refusePrivate("half-rsa-leading-zero", "A zero byte before d: the same number.", m.of(key, true, setting("d", envelopetest.Base64(append([]byte{0}, own.D.Bytes()...)))))
	m.refusePrivate("half-rsa-dp-beyond", "dp is not reduced.", m.of(key, true, setting("dp", number(new(big.Int).Add(own.Precomputed.Dp, new(big.Int).Sub(own.Primes[0], one))))))
}

package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// privateText returns the private JWK and its secret scalar.
func privateText(t *testing.T, key envelope.PrivateKey) (text string, scalar string) {
	t.Helper()
	encoded, err := envelope.EncodePrivateKey(key)
	must(t, err)
	var parsed struct{ D string }
	must(t, json.Unmarshal(encoded.Reveal(), &parsed))
	if len(parsed.D) != 43 {
		t.Fatalf("d is %d long", len(parsed.D))
	}
	return string(encoded.Reveal()), parsed.D
}

func TestNoPrinterShowsAPrivateKey(t *testing.T) {
	key := signingKey(t)
	_, scalar := privateText(t, key)
	raw, err := base64.RawURLEncoding.DecodeString(scalar)
	must(t, err)
	needles := []string{scalar, fmt.Sprintf("%x", raw), fmt.Sprint(raw), strings.Trim(fmt.Sprint(raw), "[]"), string(raw)}
	type hidden struct{ inner envelope.PrivateKey }
	holders := map[string]any{
		"value": key, "pointer": &key, "slice": []envelope.PrivateKey{key}, "unexported": hidden{key}, "pointer inside": struct{ k *envelope.PrivateKey }{&key},
		"config": envelope.SealerConfig{SigningKey: key},
	}
	for name, holder := range holders {
		var outs []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			outs = append(outs, fmt.Sprintf(verb, holder))
		}
		outs = append(outs, cmp.Diff(nil, holder))
		for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, xml.Marshal} {
			if out, err := try(encode, holder); err == nil {
				outs = append(outs, string(out))
			}
		}
		var text bytes.Buffer
		_ = gob.NewEncoder(&text).Encode(holder)
		slog.New(slog.NewTextHandler(&text, nil)).Info("key", "k", holder)
		outs = append(outs, text.String())
		for _, out := range outs {
			for _, needle := range needles {
				if strings.Contains(out, needle) {
					t.Errorf("%s shows the key: %s", name, out)
				}
			}
		}
	}
	if got := fmt.Sprint(key); got != secret.Redacted {
		t.Errorf("printed as %q", got)
	}
}

// try calls an encoder that may panic on what it does not know.
func try(encode func(any) ([]byte, error), v any) (out []byte, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("%v", caught)
		}
	}()
	return encode(v)
}

func TestKeysSurviveTheirFileForm(t *testing.T) {
	for _, key := range []envelope.PrivateKey{signingKey(t), sealingKey(t)} {
		encoded, err := envelope.EncodePrivateKey(key)
		must(t, err)
		parsed, err := envelope.ParsePrivateKey(encoded)
		must(t, err)
		if parsed.KeyID() != key.KeyID() || !parsed.Created().Equal(key.Created()) || parsed.Public().Use() != key.Public().Use() {
			t.Errorf("private: %v became %v", key.Public(), parsed.Public())
		}
		public, err := envelope.EncodePublicKey(key.Public())
		must(t, err)
		keys, err := envelope.ParsePublicKeys(public)
		must(t, err)
		if len(keys) != 1 || keys[0].KeyID() != key.KeyID() || keys[0].Algorithm() != key.Public().Algorithm() || keys[0].String() != key.Public().String() {
			t.Errorf("public: %v", keys)
		}
		if _, scalar := privateText(t, key); strings.Contains(string(public), scalar) {
			t.Error("the public form holds the private key")
		}
	}
}

// The key of RFC 7517 appendix A.1, and its RFC 7638 thumbprint as openssl dgst -sha256 computes it.
const (
	thumbprintOfRFCKey = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
	rfcPoint           = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
)

func TestAKeyIsNamedByItsThumbprint(t *testing.T) {
	keys, err := envelope.ParsePublicKeys([]byte(`{` + rfcPoint + `,"use":"enc","alg":"ECDH-ES"}`))
	must(t, err)
	if got, want := keys[0].KeyID(), thumbprintOfRFCKey; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRejectedKeys(t *testing.T) {
	signing := signingKey(t)
	private, scalar := privateText(t, signing)
	for name, text := range map[string]string{
		"nothing":                  ``,
		"not JSON":                 `-----BEGIN PUBLIC KEY-----`,
		"no use":                   `{` + rfcPoint + `,"alg":"ES256"}`,
		"no alg":                   `{` + rfcPoint + `,"use":"sig"}`,
		"a sealing key that signs": `{` + rfcPoint + `,"use":"sig","alg":"ECDH-ES"}`,
		"a signing key that opens": `{` + rfcPoint + `,"use":"enc","alg":"ES256"}`,
		"alg none":                 `{` + rfcPoint + `,"use":"sig","alg":"none"}`,
		"alg HS256":                `{"kty":"oct","k":"AAAA","use":"sig","alg":"HS256"}`,
		"kid of another key":       `{` + rfcPoint + `,"use":"sig","alg":"ES256","kid":"` + signing.KeyID() + `"}`,
		"kid by hand":              `{` + rfcPoint + `,"use":"sig","alg":"ES256","kid":"my-key"}`,
		"off the curve":            strings.Replace(`{`+rfcPoint+`,"use":"sig","alg":"ES256"}`, "4Etl6", "5Etl6", 1),
		"P-384 by name":            strings.Replace(`{`+rfcPoint+`,"use":"sig","alg":"ES256"}`, "P-256", "P-384", 1),
		"RSA":                      `{"kty":"RSA","n":"AQAB","e":"AQAB","use":"sig","alg":"ES256"}`,
		"a private key":            private,
		"a private key in a set":   `{"keys":[` + private + `]}`,
		"a member twice":           `{` + rfcPoint + `,"use":"sig","use":"enc","alg":"ES256"}`,
		"an empty set":             `{"keys":[]}`,
		"a set of a string":        `{"keys":["x"]}`,
		"a set that is none":       `{"keys":{}}`,
		"agent of no form":         `{` + rfcPoint + `,"use":"sig","alg":"ES256","agent":"a\nb"}`,
		"too long":                 `{"x":"` + strings.Repeat("a", 256<<10) + `"}`,
	} {
		if keys, err := envelope.ParsePublicKeys([]byte(text)); err == nil {
			t.Errorf("%s: accepted: %v", name, keys)
		} else if strings.Contains(err.Error(), scalar) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"a public key":  `{` + rfcPoint + `,"use":"sig","alg":"ES256"}`,
		"wrong kid":     strings.Replace(private, signing.KeyID(), sealingKey(t).KeyID(), 1),
		"another use":   strings.Replace(private, `"sig"`, `"enc"`, 1),
		"d not its own": strings.Replace(private, scalar, flip(scalar), 1),
		"d empty":       strings.Replace(private, scalar, "", 1),
		"iat a string":  strings.Replace(private, `"iat":`, `"iat":"x","i":`, 1),
	} {
		if key, err := envelope.ParsePrivateKey(secret.NewString(text)); err == nil {
			t.Errorf("%s: accepted: %v", name, key.Public())
		}
	}
}

// Whoever can use none of the keys hears which there were, and what to do.
func TestKeysThatAreLeftOutAreNamedWhereNoneRemains(t *testing.T) {
	tomorrow := `{"kty":"AKP","use":"enc","alg":"HPKE-7","pub":"AAAA"}`
	wrapping := `{` + rfcPoint + `,"use":"wrap","alg":"ECDH-ES"}`
	good := `{` + rfcPoint + `,"use":"enc","alg":"ECDH-ES"}`
	path := filepath.Join(t.TempDir(), "agents.jwks")
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"alone": {tomorrow, []string{`"HPKE-7"`}},
		"a set": {`{"keys":[` + tomorrow + `,` + wrapping + `]}`, []string{`"HPKE-7"`, `"wrap"`}},
	} {
		must(t, os.WriteFile(path, []byte(c.text), 0o600))
		_, err := envelope.LoadPublicKeys(path)
		var fault *writeback.Error
		if !errors.As(err, &fault) || !strings.Contains(fault.Hint, "ec-1") {
			t.Errorf("%s: %v has no remedy", name, err)
		}
		for _, says := range c.says {
			if err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v does not name %s", name, err, says)
			}
		}
	}
	must(t, os.WriteFile(path, []byte(`{"keys":[`+tomorrow+`,`+good+`]}`), 0o600))
	if keys, err := envelope.LoadPublicKeys(path); err != nil || len(keys) != 1 {
		t.Errorf("beside a good one: %v, %v", keys, err)
	}
}

func TestAKeyFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "portal.jwk")
	key := signingKey(t)
	must(t, envelope.SaveKey(path, key))
	if err := envelope.SaveKey(path, signingKey(t)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting: %v", err)
	}
	loaded, err := envelope.LoadKey(path)
	must(t, err)
	if loaded.KeyID() != key.KeyID() {
		t.Errorf("loaded %v", loaded.Public())
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o610} {
		must(t, os.Chmod(path, mode))
		_, err := envelope.LoadKey(path)
		var fault *writeback.Error
		if !errors.As(err, &fault) || !strings.Contains(fault.Remedy(), "chmod 600 "+path) {
			t.Errorf("%#o: %v", mode, err)
		}
	}
}

func TestAKeyFileThatCannotBeUsedHasARemedy(t *testing.T) {
	directory := t.TempDir()
	broken := filepath.Join(directory, "broken.jwk")
	must(t, os.WriteFile(broken, []byte("{"), 0o600))
	for _, path := range []string{broken, filepath.Join(directory, "missing.jwk"), directory} {
		if _, err := envelope.LoadKey(path); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("LoadKey %s: %v", path, err)
		}
		_, err := envelope.LoadPublicKeys(path)
		var fault *writeback.Error
		if !errors.As(err, &fault) || fault.Hint == "" {
			t.Errorf("LoadPublicKeys %s: %v", path, err)
		}
	}
}

func TestAKeyStoreKeepsOneFilePerKey(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "keys")
	store, err := envelope.OpenKeyStore(directory)
	must(t, err)
	if keys, err := store.Scan(); err != nil || len(keys) != 0 {
		t.Fatalf("empty: %v, %v", keys, err)
	}
	sign, err := store.Generate(envelope.UseSign)
	must(t, err)
	seal, err := store.Generate(envelope.UseSeal)
	must(t, err)
	if _, err := store.Generate("both"); err == nil {
		t.Error("a key for both uses was made")
	}
	must(t, os.WriteFile(filepath.Join(directory, "README"), []byte("x"), 0o600))
	reopened, err := envelope.OpenKeyStore(directory)
	must(t, err)
	keys := scan(t, reopened)
	if len(keys) != 2 || keys[seal.KeyID()].Use != envelope.UseSeal || keys[sign.KeyID()].Use != envelope.UseSign {
		t.Errorf("%v", keys)
	}
	set, err := reopened.PublicSet(agentName)
	must(t, err)
	public, err := envelope.ParsePublicKeys(set)
	must(t, err)
	for _, key := range public {
		if key.Agent() != agentName || key.KeyID() != sign.KeyID() && key.KeyID() != seal.KeyID() {
			t.Errorf("exported %v of %q", key, key.Agent())
		}
	}
	if len(public) != 2 {
		t.Errorf("%d exported", len(public))
	}
	if _, err := reopened.PublicSet("nobody"); err == nil {
		t.Error("exported for no agent")
	}
}

func TestAKeyStoreNoticesWhatIsWrong(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "keys")
	store, err := envelope.OpenKeyStore(directory)
	must(t, err)
	key, err := store.Generate(envelope.UseSeal)
	must(t, err)
	path := filepath.Join(directory, "sealing-"+key.KeyID()+".jwk")
	other := filepath.Join(directory, "other.jwk")
	must(t, os.Rename(path, other))
	wantOneFault(t, store, "Give the file the name of its key")
	must(t, os.WriteFile(other, []byte("{}"), 0o600))
	wantOneFault(t, store, "Restore the file from a backup")
	if _, err := envelope.OpenKeyStore(filepath.Join(directory, "a", "b")); err == nil {
		t.Error("a store without a parent directory was made")
	}
	if runtime.GOOS != "windows" {
		must(t, os.Chmod(directory, 0o755))
		if _, err := envelope.OpenKeyStore(directory); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("a directory for everybody: %v", err)
		}
	}
}

// wantOneFault fails the test unless the store lists one key, which cannot be used, with a remedy that begins so.
func wantOneFault(t *testing.T, store *envelope.KeyStore, remedy string) {
	t.Helper()
	keys, err := store.Scan()
	must(t, err)
	var fault *writeback.Error
	if len(keys) != 1 || !errors.As(keys[0].Fault, &fault) || !strings.HasPrefix(fault.Hint, remedy) {
		t.Errorf("listed: %+v", keys)
	}
}

func TestTheNewestKeyIsListedFirst(t *testing.T) {
	directory := t.TempDir() + "/keys"
	store, err := envelope.OpenKeyStore(directory)
	must(t, err)
	want := make([]string, 5)
	for _, second := range []int{3, 1, 4, 0, 2} {
		text, _ := privateText(t, signingKey(t))
		dated := regexp.MustCompile(`"iat":\d+`).ReplaceAllString(text, fmt.Sprintf(`"iat":%d`, 1_700_000_000+second))
		key, err := envelope.ParsePrivateKey(secret.NewString(dated))
		must(t, err)
		must(t, envelope.SaveKey(filepath.Join(directory, "signing-"+key.KeyID()+".jwk"), key))
		want[4-second] = key.KeyID()
	}
	keys, err := store.Scan()
	must(t, err)
	var got []string
	for _, key := range keys {
		got = append(got, key.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package interop_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// answer is a result before it is signed, and afterwards.
type answer struct {
	header, claims map[string]any
	key            envelope.PrivateKey // signs
	token          func(good string) string
}

// tricks are what the stand-in for writeback-send can do to a good answer.
func tricks() map[string]func(*answer) {
	claim := func(name string, value any) func(*answer) { return func(a *answer) { a.claims[name] = value } }
	header := func(name string, value any) func(*answer) { return func(a *answer) { a.header[name] = value } }
	token := func(change func(string) string) func(*answer) { return func(a *answer) { a.token = change } }
	return map[string]func(*answer){
		"none":              func(*answer) {},
		"silence":           token(func(string) string { return "" }),
		"random-signature":  token(func(good string) string { return string(envelopetest.Forged([]byte(good))) }),
		"no-signature":      token(func(good string) string { return good[:strings.LastIndexByte(good, '.')+1] }),
		"four-parts":        token(func(good string) string { return good + ".AAAA" }),
		"padded":            token(func(good string) string { return good + "==" }),
		"stranger":          func(a *answer) { a.key = another(a.key) },
		"key-of-a-stranger": func(a *answer) { a.key = another(a.key); a.header["kid"] = a.key.KeyID() },
		"alg-none": func(a *answer) {
			a.header["alg"] = "none"
			a.token = func(good string) string { return good[:strings.LastIndexByte(good, '.')+1] }
		},
		"typ-of-a-request": header("typ", "writeback-request+jwt"),
		"jwk-in-header":    header("jwk", map[string]any{"kty": "EC"}),
		"crit":             header("crit", []string{"exp"}),
		"another-portal":   claim("aud", "portal2"),
		"another-request":  claim("req", strings.Repeat("a", 22)),
		"another-content":  claim("req_sha256", strings.Repeat("A", 43)),
		"another-agent":    claim("iss", lab.Group+"/other"),
		"agent-differs":    claim("agent", "other"),
		"unknown-claim":    claim("priority", 1),
		"without-replayed": func(a *answer) { delete(a.claims, "replayed") },
		"claim-twice": func(a *answer) {
			a.claims["outcome"] = json.RawMessage(`"not_written","outcome":"written"`)
		},
	}
}

// another makes a key of the same algorithm.
func another(key envelope.PrivateKey) envelope.PrivateKey {
	made, err := envelope.GenerateKey(key.Public().Algorithm())
	if err != nil {
		panic(err)
	}
	return made
}

// The stand-in is this test binary under the name writeback-send: it finds a file with its orders beside itself.
const ordersFile = "stand-in.json"

type orders struct {
	Trick string
	Store string // the agent's key store
}

// standIn makes a folder in which writeback-send is a stand-in that plays a trick.
func standIn(t *testing.T, in *installation, trick string) string {
	t.Helper()
	folder := t.TempDir()
	self, err := os.Executable()
	check(t, err)
	check(t, os.Symlink(self, filepath.Join(folder, "writeback-send")))
	text, err := json.Marshal(orders{Trick: trick, Store: filepath.Join(in.site.Folder, "state", "keys")})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(folder, ordersFile), text, 0o600))
	return folder
}

// TestMain is the stand-in where it was called so.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "writeback-send" {
		os.Exit(m.Run())
	}
	if err := play(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stand-in:", err)
		os.Exit(3)
	}
}

// play answers the request on stdin as the agent would, but for the trick.
func play(stdin io.Reader, stdout io.Writer) error {
	var o orders
	text, err := os.ReadFile(filepath.Join(folderOfCaller(), ordersFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	request, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	a, err := goodAnswer(bytes.TrimSpace(request), o.Store)
	if err != nil {
		return err
	}
	tricks()[o.Trick](a)
	result, err := a.sign()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, result)
	return err
}

// folderOfCaller is the first folder of the PATH, where the stand-in was found.
func folderOfCaller() string { return filepath.SplitList(os.Getenv("PATH"))[0] }

// goodAnswer says that the request was carried out.
func goodAnswer(request []byte, keys string) (*answer, error) {
	store, err := envelope.OpenKeyStore(keys)
	if err != nil {
		return nil, err
	}
	own, err := store.Scan()
	if err != nil {
		return nil, err
	}
	signing := envelope.SelectKeys(own, nil, time.Now()).Signing
	if signing.IsZero() {
		return nil, errors.New("no signing key")
	}
	peeked, err := envelope.Peek(request)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(request[:bytes.LastIndexByte(request, '.')])
	return &answer{
		key:    signing,
		header: map[string]any{"typ": "writeback-result+jwt", "alg": string(signing.Public().Algorithm()), "kid": signing.KeyID()},
		claims: map[string]any{
			"iss": lab.Group + "/" + lab.AgentName, "agent": lab.AgentName, "aud": lab.Issuer, "jti": envelope.NewID(), "iat": time.Now().Unix(), "req": peeked.ID,
			"req_sha256": base64.RawURLEncoding.EncodeToString(digest[:]), "outcome": "written", "reason": "ok", "replayed": false,
		},
	}, nil
}

func (a *answer) sign() (string, error) {
	header, err := json.Marshal(a.header)
	if err != nil {
		return "", err
	}
	claims, err := a.members()
	if err != nil {
		return "", err
	}
	token, err := envelopetest.Sign(header, claims, a.key)
	if err != nil || a.token == nil {
		return string(token), err
	}
	return a.token(string(token)), nil
}

// members writes the claims by hand, since encoding/json would not write one twice.
func (a *answer) members() ([]byte, error) {
	var written []string
	for name, value := range a.claims {
		text, raw := value.(json.RawMessage)
		if !raw {
			var err error
			if text, err = json.Marshal(value); err != nil {
				return nil, err
			}
		}
		written = append(written, fmt.Sprintf("%q:%s", name, text))
	}
	return []byte("{" + strings.Join(written, ",") + "}"), nil
}

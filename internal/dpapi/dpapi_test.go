package dpapi_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

func TestProtectedFilesAreForFew(t *testing.T) {
	// The SID of TrustedInstaller is the same on every Windows: it checks the derivation.
	if got, want := dpapi.ServiceSID("TrustedInstaller"), "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"; got != want {
		t.Errorf("SID %s, want %s", got, want)
	}
	service := dpapi.ServiceSID("writeback-agent")
	for directory, want := range map[bool]string{
		false: "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + service + ")(A;;FA;;;S-1-5-21-1-2-3-1001)",
		true:  "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + service + ")(A;OICI;FA;;;S-1-5-21-1-2-3-1001)",
	} {
		if got := dpapi.PrivateSDDL("S-1-5-21-1-2-3-1001", directory); got != want {
			t.Errorf("directory %t: %s, want %s", directory, got, want)
		}
	}
}

// The form on disk, and the purposes, are a promise: files outlive the program that wrote them.
func TestTheFormOnDisk(t *testing.T) {
	if got, want := string(dpapi.Frame([]byte{1, 2, 3, 255}).Reveal()), "writeback-dpapi-1:AQID/w=="; got != want {
		t.Errorf("framed as %q, want %q", got, want)
	}
	if dpapi.PrivateKey != "password-writeback private key" || dpapi.Configuration != "password-writeback configured secret" {
		t.Error("a purpose has changed: what was protected before cannot be read any more")
	}
}

func TestUnframing(t *testing.T) {
	for text, want := range map[string]string{
		"writeback-dpapi-1:AQID/w==":         "\x01\x02\x03\xff",
		"writeback-dpapi-1: AQID/w==\r\n":    "\x01\x02\x03\xff", // an editor was there
		"writeback-dpapi-1:AQID\n/w==":       "\x01\x02\x03\xff", // a mail was
		"writeback-dpapi-1:":                 "",
		"writeback-dpapi-1:\n":               "",
		"writeback-dpapi-1:AQID/w=":          "",
		"writeback-dpapi-1:AQID_w==":         "",
		"writeback-dpapi-2:AQID/w==":         "",
		"writeback-dpapi-1":                  "",
		"AQID/w==":                           "",
		" writeback-dpapi-1:AQID/w==":        "",
		"writeback-dpapi-1:AQID/w==AQID/w==": "",
		"":                                   "",
	} {
		got, err := dpapi.Unframe(secret.NewString(text))
		if string(got) != want || (want == "") != errors.Is(err, dpapi.ErrDamaged) {
			t.Errorf("%q: %x, %v", text, got, err)
		}
		if _, err := dpapi.Unprotect(secret.NewString(text), dpapi.Configuration); want == "" && !errors.Is(err, dpapi.ErrDamaged) {
			t.Errorf("%q: Unprotect: %v", text, err)
		}
	}
}

func TestTheHeaderTellsProtectedFromPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"writeback-dpapi-1:AQID": true, "writeback-dpapi-1:": true,
		"": false, "writeback-dpapi-1": false, "p4ss": false, `{"kty":"EC"}`: false, " writeback-dpapi-1:AQID": false,
	} {
		if got := dpapi.IsProtected([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func FuzzUnframe(f *testing.F) {
	f.Add([]byte("AQID"))
	f.Add([]byte("writeback-dpapi-1:AQID/w==\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if encrypted, err := dpapi.Unframe(secret.New(bytes.Clone(content))); err == nil && (len(encrypted) == 0 || !dpapi.IsProtected(content)) {
			t.Errorf("%q is taken for %x", content, encrypted)
		}
		if len(content) == 0 {
			return
		}
		back, err := dpapi.Unframe(dpapi.Frame(content))
		if err != nil || !bytes.Equal(back, content) {
			t.Errorf("%x came back as %x, %v", content, back, err)
		}
	})
}

func names(t *testing.T, directory string) []string {
	t.Helper()
	var all []string
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func expectNames(t *testing.T, directory string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, names(t, directory)); diff != "" {
		t.Errorf("in %s (-want +got):\n%s", filepath.Base(directory), diff)
	}
}

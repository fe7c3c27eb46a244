package dpapi_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	const plain = "p4ss wörd\r\n\x00"
	protected, err := dpapi.Protect(secret.NewString(plain), dpapi.Configuration)
	must(t, err)
	text := protected.Reveal()
	if !dpapi.IsProtected(text) || strings.Contains(string(text), "p4ss") {
		t.Error("the protected form is plain")
	}
	back, err := dpapi.Unprotect(protected, dpapi.Configuration)
	must(t, err)
	if !back.Equal(secret.NewString(plain)) {
		t.Error("another secret came back")
	}
	if _, err := dpapi.Unprotect(protected, dpapi.PrivateKey); err == nil {
		t.Error("it opens for another purpose")
	}
	if at := len(text) - 8; text[at] != 'A' {
		text[at] = 'A'
	} else {
		text[at] = 'B'
	}
	if _, err := dpapi.Unprotect(secret.New(text), dpapi.Configuration); err == nil {
		t.Error("a spoiled secret opens")
	}
}

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "bind")
	for _, plain := range []string{"first", "second"} {
		must(t, dpapi.WriteFile(path, secret.NewString(plain), dpapi.Configuration))
		back, err := dpapi.Unprotect(secret.NewString(mustRead(t, path)), dpapi.Configuration)
		must(t, err)
		if !back.Equal(secret.NewString(plain)) {
			t.Errorf("not %s", plain)
		}
	}
	expectNames(t, directory, "bind")
}

func TestAPrivateFileHasItsAccessListAndIsNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bind")
	file, err := dpapi.CreatePrivate(path)
	must(t, err)
	must(t, file.Close())
	if _, err := dpapi.CreatePrivate(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made again: %v", err)
	}
	descriptor, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	must(t, err)
	list := descriptor.String()
	if !strings.HasPrefix(list, "D:P") || !strings.Contains(list, dpapi.ServiceSID("writeback-agent")) || strings.Contains(list, ";;;WD)") || strings.Contains(list, ";;;BU)") {
		t.Errorf("access list %s", list)
	}
}

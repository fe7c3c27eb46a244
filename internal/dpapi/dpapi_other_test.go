//go:build !windows

package dpapi_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

// Elsewhere nothing is protected, nothing is made and nothing is lost.
func TestElsewhereThereIsNoDPAPI(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "bind")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, protectErr := dpapi.Protect(secret.NewString("x"), dpapi.Configuration)
	_, unprotectErr := dpapi.Unprotect(secret.NewString("writeback-dpapi-1:AQID"), dpapi.Configuration)
	_, createErr := dpapi.CreatePrivate(filepath.Join(directory, "new"))
	for name, err := range map[string]error{
		"Protect": protectErr, "Unprotect": unprotectErr, "CreatePrivate": createErr,
		"MakePrivate": dpapi.MakePrivate(filepath.Join(directory, "folder")),
		"WriteFile":   dpapi.WriteFile(path, secret.NewString("after"), dpapi.Configuration),
	} {
		if !errors.Is(err, dpapi.ErrNotWindows) {
			t.Errorf("%s: %v", name, err)
		}
	}
	expectNames(t, directory, "bind")
	if got := mustRead(t, path); got != "before" {
		t.Errorf("the file holds %q", got)
	}
}

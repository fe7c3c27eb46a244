package envelope_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
)

func TestWhatRootMakesBelongsToTheAgent(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	directory := filepath.Join(t.TempDir(), "keys")
	must(t, os.Mkdir(directory, 0o700))
	must(t, os.Chown(directory, 12345, 12345))
	store, err := envelope.OpenKeyStore(directory)
	must(t, err)
	_, err = store.Make(envelope.ES256, envelope.KeyLife{Expires: at(1)})
	must(t, err)
	names, err := os.ReadDir(directory)
	must(t, err)
	if len(names) != 2 {
		t.Errorf("%d files", len(names))
	}
	for _, name := range names {
		info, err := name.Info()
		must(t, err)
		if owner := ownerOf(info); owner != 12345 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s belongs to %d, mode %#o", name.Name(), owner, info.Mode().Perm())
		}
	}
}

func TestAKeyFileIsProtectedAndReadable(t *testing.T) {
	key := sealingKey(t)
	encoded, err := envelope.EncodePrivateKey(key)
	must(t, err)
	protected, err := envelope.Protect(encoded)
	must(t, err)
	plain, err := envelope.Unprotect(protected)
	must(t, err)
	back, err := envelope.ParsePrivateKey(plain)
	must(t, err)
	if back.KeyID() != key.KeyID() {
		t.Error("another key came back")
	}
	if runtime.GOOS != "windows" {
		return
	}
	if strings.Contains(string(protected.Reveal()), "kty") {
		t.Error("the protected form is plain")
	}
	spoiled := protected.Reveal()
	spoiled[len(spoiled)/2] ^= 1
	if _, err := envelope.Unprotect(secret.New(spoiled)); err == nil {
		t.Error("a spoiled key opens")
	}
}

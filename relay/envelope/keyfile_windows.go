package envelope

import (
	"os"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

// createPrivate makes a new file that only the system, administrators, the agent's service and this process' own account can use.
func createPrivate(path string) (*os.File, error) { return dpapi.CreatePrivate(path) }

// makePrivate makes a directory under the same rules; what is made in it inherits them.
func makePrivate(path string) error { return dpapi.MakePrivate(path) }

// protect encrypts a private key with the machine's key: a copy of the file is of no use elsewhere. It is not bound to an account, because
// administrators make keys that the service's account uses; the access list says who may read.
func protect(key secret.Value) (secret.Value, error) { return dpapi.Protect(key, dpapi.PrivateKey) }

// unprotect is the way back. A key that was brought here in plain, to be moved into a store, is read as it is.
func unprotect(stored secret.Value) (secret.Value, error) {
	text := stored.Reveal()
	if !dpapi.IsProtected(text) {
		return secret.New(text), nil
	}
	clear(text)
	return dpapi.Unprotect(stored, dpapi.PrivateKey)
}

// checkPrivate accepts every file: what we make has its access list from the first moment on, and of what others made the access
// list is the installer's business; the mode bits Go shows say nothing about it.
func checkPrivate(*os.File) error { return nil }

// syncDirectory does nothing: NTFS journals names, and directories cannot be flushed.
func syncDirectory(string) error { return nil }

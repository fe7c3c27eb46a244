package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/password-writeback/writeback/internal/secret"
)

// protectedHeader begins a key file that only this machine can read; the base64 of what CryptProtectData returned follows.
const protectedHeader = "writeback-dpapi-1:"

// entropy is mixed into the protection, so that another program's protected data is not taken for a key. It is no secret.
func entropy() *windows.DataBlob { return blobOf([]byte("password-writeback private key")) }

// createPrivate makes a new file that only the system, administrators, the agent's service and this process' own account can use.
func createPrivate(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	access, err := privateAccess(false)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, access, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &os.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// makePrivate makes a directory under the same rules; what is made in it inherits them.
func makePrivate(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	access, err := privateAccess(true)
	if err == nil {
		err = windows.CreateDirectory(name, access)
	}
	if err != nil {
		return &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// privateAccess is the access list that a new file or directory gets from its first moment on.
func privateAccess(directory bool) (*windows.SecurityAttributes, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("find this process' account: %w", err)
	}
	descriptor, err := windows.SecurityDescriptorFromString(privateSDDL(user.User.Sid.String(), directory))
	if err != nil {
		return nil, fmt.Errorf("make an access list: %w", err)
	}
	access := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	access.Length = uint32(unsafe.Sizeof(*access))
	return access, nil
}

// protect encrypts a private key with the machine's key (DPAPI, CRYPTPROTECT_LOCAL_MACHINE): a copy of the file is of no use elsewhere. It is
// not bound to an account, because administrators make keys that the service's account uses; the access list says who may read.
func protect(key secret.Value) (secret.Value, error) {
	var out windows.DataBlob
	var err error
	key.Use(func(plain []byte) {
		flags := uint32(windows.CRYPTPROTECT_LOCAL_MACHINE | windows.CRYPTPROTECT_UI_FORBIDDEN)
		err = windows.CryptProtectData(blobOf(plain), nil, entropy(), 0, nil, flags, &out)
	})
	if err != nil {
		return secret.Value{}, fmt.Errorf("protect a key (CryptProtectData): %w", err)
	}
	protected := takeBlob(out)
	text := append([]byte(protectedHeader), base64.StdEncoding.EncodeToString(protected)...)
	return secret.New(text), nil
}

// unprotect is the way back. A key that was brought here in plain, to be moved into a store, is read as it is.
func unprotect(stored secret.Value) (secret.Value, error) {
	text := stored.Reveal()
	coded, protected := bytes.CutPrefix(text, []byte(protectedHeader))
	if !protected {
		return secret.New(text), nil
	}
	defer clear(text)
	encrypted, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(coded)))
	if err != nil || len(encrypted) == 0 {
		return secret.Value{}, errors.New("the protected key is damaged")
	}
	var out windows.DataBlob
	if err := windows.CryptUnprotectData(blobOf(encrypted), nil, entropy(), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out); err != nil {
		return secret.Value{}, fmt.Errorf("the key was protected on another machine, or is damaged (CryptUnprotectData): %w", err)
	}
	return secret.New(takeBlob(out)), nil
}

func blobOf(data []byte) *windows.DataBlob {
	return &windows.DataBlob{Size: uint32(len(data)), Data: unsafe.SliceData(data)} //nolint:gosec // how Windows takes bytes
}

// takeBlob copies what Windows allocated, clears it and gives it back.
func takeBlob(blob windows.DataBlob) []byte {
	theirs := unsafe.Slice(blob.Data, blob.Size) //nolint:gosec // how Windows gives bytes
	ours := bytes.Clone(theirs)
	clear(theirs)
	_, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(blob.Data))) //nolint:gosec // it was allocated with LocalAlloc
	return ours
}

// checkPrivate accepts every file: what we make has its access list from the first moment on, and of what others made the access
// list is the installer's business; the mode bits Go shows say nothing about it.
func checkPrivate(*os.File) error { return nil }

// syncDirectory does nothing: NTFS journals names, and directories cannot be flushed.
func syncDirectory(string) error { return nil }

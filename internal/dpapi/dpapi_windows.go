package dpapi

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Available says whether this system has DPAPI.
func Available() bool { return true }

// encrypt has Windows encrypt with the machine's key.
func encrypt(plain []byte, purpose Purpose) ([]byte, error) {
	var out windows.DataBlob
	flags := uint32(windows.CRYPTPROTECT_LOCAL_MACHINE | windows.CRYPTPROTECT_UI_FORBIDDEN)
	if err := windows.CryptProtectData(blobOf(plain), nil, blobOf([]byte(purpose)), 0, nil, flags, &out); err != nil {
		return nil, fmt.Errorf("protect a secret (CryptProtectData): %w", err)
	}
	return takeBlob(out), nil
}

func decrypt(encrypted []byte, purpose Purpose) ([]byte, error) {
	var out windows.DataBlob
	err := windows.CryptUnprotectData(blobOf(encrypted), nil, blobOf([]byte(purpose)), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return nil, fmt.Errorf("it was protected on another machine or for something else, or is damaged (CryptUnprotectData): %w", err)
	}
	return takeBlob(out), nil
}

// CreatePrivate makes a new file that only the system, administrators, the agent's service and this process' own account can use.
func CreatePrivate(path string) (*os.File, error) {
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

// MakePrivate makes a directory under the same rules; what is made in it inherits them.
func MakePrivate(path string) error {
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

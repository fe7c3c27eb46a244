//go:build !windows

package dpapi

import "os"

// Available says whether this system has DPAPI.
func Available() bool { return false }

func encrypt([]byte, Purpose) ([]byte, error) { return nil, ErrNotWindows }

func decrypt([]byte, Purpose) ([]byte, error) { return nil, ErrNotWindows }

// CreatePrivate makes nothing: a file's mode protects it here, and who owns it is for its maker to decide.
func CreatePrivate(path string) (*os.File, error) {
	return nil, &os.PathError{Op: "create", Path: path, Err: ErrNotWindows}
}

// MakePrivate makes nothing either.
func MakePrivate(path string) error {
	return &os.PathError{Op: "mkdir", Path: path, Err: ErrNotWindows}
}

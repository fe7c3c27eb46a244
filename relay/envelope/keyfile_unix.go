//go:build !windows

package envelope

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/password-writeback/writeback/internal/secret"
)

// createPrivate makes a new file that only its owner can read. What root makes belongs to the owner of the folder it is in, because the
// agent, which is not root, has to read it.
func createPrivate(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := handToOwner(file); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return file, nil
}

// makePrivate makes a directory under the same rules.
func makePrivate(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	made, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(handToOwner(made), made.Close())
}

// handToOwner gives away what is open and not what its path leads to by now: the owner of the folder, who is not root, could exchange that for a
// file of root's.
func handToOwner(made *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(made.Name()))
	if err != nil {
		return err
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return nil
	}
	return made.Chown(int(owner.Uid), int(owner.Gid))
}

// protect returns what is written in place of a private key: here the key itself, which the mode of its file protects.
func protect(key secret.Value) (secret.Value, error) { return secret.New(key.Reveal()), nil }

// unprotect is the way back.
func unprotect(stored secret.Value) (secret.Value, error) { return secret.New(stored.Reveal()), nil }

// checkPrivate refuses an open file or directory that others than its owner can use.
func checkPrivate(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return keyFault("Make sure that the file can be read.", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		private := mode &^ 0o077
		return keyFault(fmt.Sprintf("Run: chmod %o %s", private, file.Name()),
			fmt.Errorf("%s has the mode %#o: others than its owner can use it", file.Name(), mode))
	}
	return nil
}

// syncDirectory makes a new name in a directory durable.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return errors.Join(directory.Sync(), directory.Close())
}

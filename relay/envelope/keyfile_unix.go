//go:build !windows

package envelope

import (
	"errors"
	"fmt"
	"os"
)

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

//go:build unix

package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// acquire locks a file for this process. The lock ends with the process, however that ends.
func acquire(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

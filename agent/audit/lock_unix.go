//go:build unix

package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps a second writer out for as long as the file stays open; the kernel lets go of it when the process ends.
func lock(file *os.File) error {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Sync()
}

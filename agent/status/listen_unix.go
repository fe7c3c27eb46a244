//go:build !windows

package status

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// bind makes the socket under a temporary name and moves it to its place when its owner and mode are right: nobody ever meets it
// with others.
func bind(path string, mode fs.FileMode, group string) (*net.UnixListener, error) {
	temporary := path + ".new"
	_ = os.Remove(temporary)
	made, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	err = errors.Join(chgrp(temporary, group), os.Chmod(temporary, mode))
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = made.Close() // removes the temporary name, which it was made with
		return nil, err
	}
	return made, nil
}

func chgrp(path, group string) error {
	if group == "" {
		return nil
	}
	found, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	id, err := strconv.Atoi(found.Gid)
	if err != nil {
		return fmt.Errorf("group %s has the id %q", group, found.Gid)
	}
	return os.Chown(path, -1, id)
}

// isDead reports whether a failed dial means that nobody listens on the socket any more.
func isDead(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

package status

import (
	"io/fs"
	"net"
)

// bind makes the socket. It inherits the access list of its folder, which installing the agent restricts.
func bind(path string, _ fs.FileMode, _ string) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// isDead reports whether a failed dial means that nobody listens on the socket any more. Windows answers with several codes for
// that, and does not let the file of a socket in use be removed: so trying to remove it is safe.
func isDead(error) bool { return true }

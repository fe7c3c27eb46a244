package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// probeTimeout is how long a socket found at the path may take to show that an agent is behind it.
const probeTimeout = time.Second

// Listen makes the socket at path with the given mode and group; group "" leaves the process's own. On Windows mode and group mean
// nothing. The socket of an agent that died is replaced, that of a living one is refused, and so is any other file. Closing the
// listener removes the socket. Errors are [*writeback.Error] with a remedy.
func Listen(path string, mode fs.FileMode, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // members of status.group must reach the socket in it
		return nil, misconfigured("Let the agent's account make the socket's folder, or set status.socket to another path.", err)
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	inner, err := bind(path, mode, group)
	if err != nil {
		return nil, misconfigured("Let the agent's account write the socket's folder and be a member of status.group, or change status.socket.", err)
	}
	inner.SetUnlinkOnClose(false)
	made, err := os.Lstat(path)
	if err != nil {
		return nil, misconfigured("Something else removes files from the socket's folder; set status.socket to another path.", errors.Join(err, inner.Close()))
	}
	return &listener{UnixListener: inner, path: path, made: made}, nil
}

// vacant makes sure that no living agent and no other file is at path.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return misconfigured("Let the agent's account see the socket's folder.", err)
	case info.Mode().IsRegular() && info.Size() > 0 || info.IsDir():
		// On Windows a socket does not show as one, but never has a size.
		return misconfigured("Remove the file, or set status.socket to another path.", fmt.Errorf("%s is there and is no socket", path))
	}
	probing, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	conn, err := dial(probing, path)
	if err == nil {
		_ = conn.Close()
		return misconfigured("Stop the other agent, or give this one another status.socket and state_dir.", fmt.Errorf("another agent answers at %s", path))
	}
	if !isDead(err) {
		return misconfigured("Find out who uses the socket, or set status.socket to another path.", err)
	}
	if err = os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return misconfigured("Remove the socket of the agent that died.", err)
	}
	return nil
}

func misconfigured(hint string, cause error) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: hint, Cause: fmt.Errorf("status socket: %w", cause)}
}

// listener removes its socket when it is closed, unless somebody else's has taken its place.
type listener struct {
	*net.UnixListener
	path   string
	made   fs.FileInfo
	remove sync.Once
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.remove.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// dial connects to the agent behind the socket.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", socket)
}

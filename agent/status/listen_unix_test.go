//go:build !windows

package status_test

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/password-writeback/writeback/agent/status"
)

func TestTheSocketHasTheModeAndGroupAskedFor(t *testing.T) {
	own, err := user.LookupGroupId(fmt.Sprint(os.Getegid()))
	if err != nil {
		t.Skip("the process's group has no name here")
	}
	for _, mode := range []os.FileMode{0o660, 0o600, 0o666} {
		path := socketPath(t)
		listener, err := status.Listen(path, mode, own.Name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != mode|os.ModeSocket {
			t.Errorf("mode %v, want %v", got, mode|os.ModeSocket)
		}
		if got := info.Sys().(*syscall.Stat_t).Gid; int(got) != os.Getegid() {
			t.Errorf("group %d, want %d", got, os.Getegid())
		}
		if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnUnknownGroupLeavesNothingBehind(t *testing.T) {
	path := socketPath(t)
	if _, err := status.Listen(path, 0o660, "no-such-group-here"); remedyOf(err) == "" {
		t.Errorf("Listen: %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestASocketOneMayNotUse(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may use every socket")
	}
	path := socketPath(t)
	listener, err := status.Listen(path, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = status.Fetch(t.Context(), path)
	if failed := fetchError(t, err); !strings.HasPrefix(failed.Remedy, "Run it as root") {
		t.Errorf("%v: %s", failed, failed.Remedy)
	}
	if _, err := status.Listen(path, 0o660, ""); remedyOf(err) == "" {
		t.Errorf("Listen: %v", err)
	}
}

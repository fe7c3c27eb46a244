package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// After a write that failed, nothing more is written, even if there is room again: behind a torn frame it would be lost
// or, worse, make the file look damaged.
func TestFailureIsFinal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	path := filepath.Join(t.TempDir(), "room")
	room, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	f := &File{path: path, f: full}
	for range 2 {
		if err := f.Append([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("append: %v", err)
		}
		f.f = room
	}
	if info, err := room.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("written after the failure: %v %v", info.Size(), err)
	}
}

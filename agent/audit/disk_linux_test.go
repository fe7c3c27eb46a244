package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/password-writeback/writeback/agent/audit"
)

// TestFullDisk fills a small file system: Append fails and leaves no half line behind, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k,mode=0700"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	logs := filepath.Join(dir, "audit")
	l := open(t, options(logs))
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	event := audit.Event{Kind: audit.KindIntent, Cause: strings.Repeat("x", 3000)}
	written := 0
	var err error
	for ; written < 100; written++ {
		if err = l.Append(t.Context(), event); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("error %v after %d lines, want ENOSPC", err, written)
	}
	if got := l.Last().Sequence; got != uint64(written) {
		t.Errorf("last %d, want %d", got, written)
	}
	if err := l.Append(t.Context(), event); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("still full: %v", err)
	}
	// A group that fits in part leaves more behind than the next line covers.
	if err := os.Truncate(filler, 40<<10); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var more atomic.Int64
	for range 32 {
		group.Go(func() {
			if l.Append(context.Background(), event) == nil {
				more.Add(1)
			}
		})
	}
	group.Wait()
	written += int(more.Load())
	remove(t, filler)
	add(t, l, "room again")
	intact(t, logs, written+1)
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, "size=64k,mode=0700"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if _, err := audit.Open(t.Context(), options(filepath.Join(dir, "audit"))); !errors.Is(err, unix.EROFS) {
		t.Errorf("error %v, want EROFS", err)
	}
}

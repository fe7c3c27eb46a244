package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/password-writeback/writeback/agent/ledger"
)

// smallDisk mounts a file system of so many bytes; it needs the right to mount.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "512k")
	b := newBench(t, func(o *ledger.Options) { o.Path = filepath.Join(dir, "ledger.db") })
	filler := filepath.Join(dir, "filler")
	key := b.claim(0)
	b.must(os.WriteFile(filler, make([]byte, 256<<10), 0o600))

	var failed error
	n := 1
	for ; n < 3000 && failed == nil; n++ {
		_, _, failed = b.Claim(b.Context(), b.claims(n))
	}
	b.refused(failed, unix.ENOSPC)
	if _, _, err := b.Claim(b.Context(), b.claims(n)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("still full: %v", err)
	}
	same(t, b.get(key).State, ledger.StateClaimed) // reading goes on
	_, ok, err := b.Get(b.Context(), b.claims(n-1).Key())
	b.must(err)
	same(t, ok, false) // what was refused is not there

	_, err = b.Prune(b.Context()) // with nothing to forget: a caller takes its success for a disk that works again
	b.refused(err, unix.ENOSPC)

	b.must(os.Remove(filler))
	_, err = b.Prune(b.Context())
	b.must(err)
	b.must(b.BeginWriting(b.Context(), key, b.intent(1), ledger.Budget{}))
	b.reopen()
	same(t, b.get(key).State, ledger.StateWriting)
}

func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "1m")
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := ledger.Open(t.Context(), ledger.Options{Path: filepath.Join(dir, "state", "ledger.db")})
	if !errors.Is(err, unix.EROFS) {
		t.Errorf("error %v, want EROFS", err)
	}
}

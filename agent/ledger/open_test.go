package ledger_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// refusesToOpen wants Open to fail with kind and a remedy, and to leave the file as it was.
func refusesToOpen(b *bench, kind error) {
	b.Helper()
	before, err := os.ReadFile(b.options.Path)
	b.must(err)
	_, err = ledger.Open(b.Context(), b.options)
	b.refused(err, kind)
	var typed *writeback.Error
	if !errors.As(err, &typed) || typed.Reason != writeback.AgentStorageUnavailable || typed.Hint == "" {
		b.Errorf("%v has no reason or no remedy", err)
	}
	after, err := os.ReadFile(b.options.Path)
	b.must(err)
	if string(before) != string(after) {
		b.Error("the refused file was changed")
	}
}

// filled returns the path of a closed ledger with something in every bucket.
func filled(t *testing.T) *bench {
	b := newBench(t)
	for n := range 8 {
		b.unsettled(n)
	}
	key := b.writing(100)
	b.must(b.Finish(b.Context(), key, written(), true, nil))
	b.must(b.AdvanceTime(b.Context(), start))
	b.must(b.Close())
	return b
}

func TestModesOfTheFile(t *testing.T) {
	b := newBench(t)
	mode := func(path string) os.FileMode {
		info, err := os.Stat(path)
		b.must(err)
		return info.Mode().Perm()
	}
	same(t, mode(filepath.Dir(b.options.Path)), os.FileMode(0o700))
	same(t, mode(b.options.Path), os.FileMode(0o600))
	b.must(os.Chmod(b.options.Path, 0o644))
	b.reopen()
	same(t, mode(b.options.Path), os.FileMode(0o600))
	b.must(b.Close())
	b.must(os.Chmod(filepath.Dir(b.options.Path), 0o770))
	_, err := ledger.Open(b.Context(), b.options)
	if err == nil {
		t.Error("a directory that others may write was accepted")
	}
}

func TestCreatedIsTold(t *testing.T) {
	b := newBench(t)
	for _, want := range []bool{true, false} {
		stats, err := b.Stats(b.Context())
		b.must(err)
		same(t, stats.Created, want)
		b.reopen()
	}
}

func TestSecondProcess(t *testing.T) {
	b := newBench(t)
	_, err := ledger.Open(b.Context(), b.options)
	b.refused(err, ledger.ErrLocked)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ledger.Open(cancelled, b.options)
	b.refused(err, context.Canceled)
	b.reopen()
}

func TestDamagedFiles(t *testing.T) {
	for name, damage := range map[string]func(*bench, []byte) []byte{
		"empty":         func(*bench, []byte) []byte { return nil },
		"not a ledger":  func(*bench, []byte) []byte { return []byte("# Notes\n\nThis is a text.\n") },
		"zeros":         func(_ *bench, content []byte) []byte { clear(content); return content },
		"cut in half":   func(_ *bench, content []byte) []byte { return content[:len(content)/2] },
		"only the head": func(_ *bench, content []byte) []byte { return content[:2*os.Getpagesize()] },
		"pages of noise": func(_ *bench, content []byte) []byte {
			for i := 2 * os.Getpagesize(); i < len(content); i++ {
				content[i] ^= byte(i * 7)
			}
			return content
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := filled(t)
			content, err := os.ReadFile(b.options.Path)
			b.must(err)
			b.must(os.WriteFile(b.options.Path, damage(b, content), 0o600))
			refusesToOpen(b, ledger.ErrCorrupt)
			if name == "cut in half" {
				_, err := ledger.Open(b.Context(), b.options)
				same(t, strings.Contains(err.Error(), "bytes and should have at least"), true)
			}
			refusesToOpen(b, ledger.ErrCorrupt) // not ErrLocked: the first try let go of the file
		})
	}
}

// TestDamagedValues edits the file through bbolt, so that its pages are sound and only our own checks can notice.
func TestDamagedValues(t *testing.T) {
	first := func(tx *bbolt.Tx, bucket string) (*bbolt.Bucket, []byte, []byte) {
		found := tx.Bucket([]byte(bucket))
		key, value := found.Cursor().First()
		return found, append([]byte{}, key...), append([]byte{}, value...)
	}
	flip := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			found, key, value := first(tx, bucket)
			value[len(value)-3] ^= 1
			return found.Put(key, value)
		}
	}
	drop := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			found, key, _ := first(tx, bucket)
			return found.Delete(key)
		}
	}
	add := func(bucket, key string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte("x")) }
	}
	format := func(text string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte(text)) }
	}
	for name, test := range map[string]struct {
		edit func(*bbolt.Tx) error
		want error
	}{
		"record flipped":      {flip("records"), ledger.ErrCorrupt},
		"result flipped":      {flip("outbox"), ledger.ErrCorrupt},
		"last write flipped":  {flip("writes"), ledger.ErrCorrupt},
		"tries of nobody":     {add("tries", "stranger"), ledger.ErrCorrupt},
		"time flipped":        {add("meta", "highest_time"), ledger.ErrCorrupt},
		"record gone":         {drop("records"), ledger.ErrCorrupt},
		"expiry gone":         {drop("expiry"), ledger.ErrCorrupt},
		"open gone":           {drop("open"), ledger.ErrCorrupt},
		"unaudited gone":      {drop("unaudited"), ledger.ErrCorrupt},
		"waiting gone":        {drop("waiting"), ledger.ErrCorrupt},
		"result gone":         {drop("outbox"), ledger.ErrCorrupt},
		"open too many":       {add("open", "stranger"), ledger.ErrCorrupt},
		"bucket gone":         {func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("outbox")) }, ledger.ErrCorrupt},
		"meta gone":           {func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }, ledger.ErrCorrupt},
		"format is no number": {format("one"), ledger.ErrCorrupt},
		"format is newer":     {format("2"), ledger.ErrNewerFormat},
	} {
		t.Run(name, func(t *testing.T) {
			b := filled(t)
			db, err := bbolt.Open(b.options.Path, 0o600, nil)
			b.must(err)
			b.must(db.Update(test.edit))
			b.must(db.Close())
			refusesToOpen(b, test.want)
		})
	}
}

// TestAFileOfNoBucketsIsNew is the crash between the creation of the file and its first commit.
func TestAFileOfNoBucketsIsNew(t *testing.T) {
	b := newBench(t)
	b.must(b.Close())
	b.must(os.Remove(b.options.Path))
	db, err := bbolt.Open(b.options.Path, 0o600, nil)
	b.must(err)
	b.must(db.Close())
	b.open()
	b.claim(1)
}

func TestPathsThatCannotBe(t *testing.T) {
	b := newBench(t)
	for name, path := range map[string]string{
		"a directory":         filepath.Dir(b.options.Path),
		"below a file":        filepath.Join(b.options.Path, "ledger.db"),
		"below a device":      "/dev/null/ledger.db",
		"a device, no ledger": "/dev/null",
	} {
		options := b.options
		options.Path = path
		if l, err := ledger.Open(t.Context(), options); err == nil {
			t.Errorf("%s: opened", name)
			_ = l.Close()
		}
	}
}

package audit_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/internal/writeback"
)

func appendBytes(t *testing.T, path string, b []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(b)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// last returns the newest file of the log.
func last(t *testing.T, dir string) string {
	t.Helper()
	names := logFiles(t, dir)
	return names[len(names)-1]
}

// TestTornEndIsSetAside is the crash in the middle of a write, at every length of the line.
func TestTornEndIsSetAside(t *testing.T) {
	line := []byte(lines(t, made(t, 4, 1<<20))[3])
	for _, torn := range [][]byte{
		line[:1], line[:len(line)/2], line, bytes.Repeat([]byte{0}, 5000), append([]byte("\x00\x00\x00\n"), line...),
	} {
		dir := made(t, 3, 1<<20)
		appendBytes(t, last(t, dir), torn)
		if report := verify(t, dir); report.Intact() {
			t.Fatal("the torn line was not noticed")
		}
		l := open(t, options(dir))
		add(t, l, "after")
		intact(t, dir, 5)
		kept, err := os.ReadFile(filepath.Join(dir, "torn-000000000004.txt"))
		if err != nil || !bytes.Equal(kept, torn) {
			t.Errorf("kept %q, %v; want %q", kept, err, torn)
		}
		all := notes(t, dir)
		if !strings.Contains(all[3], "torn-000000000004.txt") || all[4] != "after" {
			t.Errorf("notes %q", all)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, options(dir)) // and once is enough
		intact(t, dir, 5)
	}
}

func TestTornFirstLineOfAFile(t *testing.T) {
	dir := made(t, 4, 400)
	next := filepath.Join(dir, "audit-000000000005.jsonl")
	if err := os.WriteFile(next, []byte(`{"v":1,"se`), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, options(dir))
	intact(t, dir, 5)

	fresh := filepath.Join(t.TempDir(), "audit")
	if err := open(t, options(fresh)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(fresh, "audit-000000000001.jsonl"), []byte(`{"v":1`), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, options(fresh))
	intact(t, fresh, 1)
}

// TestUnacknowledgedLinesCount: whole lines behind the head are what a crash between fsync and head leaves.
func TestUnacknowledgedLinesCount(t *testing.T) {
	dir := made(t, 3, 1<<20)
	head, err := os.ReadFile(filepath.Join(dir, "head"))
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, options(dir))
	add(t, l, "note 4", "note 5")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "head"), head, 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, options(dir))
	if got := l.Last().Sequence; got != 5 {
		t.Errorf("last %d, want 5", got)
	}
	add(t, l, "note 6")
	intact(t, dir, 6)
}

func TestOpenRefusesDamage(t *testing.T) {
	edit := func(f func([]string) []string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { setLines(t, dir, f(lines(t, dir))) }
	}
	for name, damage := range map[string]func(*testing.T, string){
		"changed":            edit(func(l []string) []string { l[1] = strings.Replace(l[1], "note", "NOTE", 1); return l }),
		"rehashed":           edit(func(l []string) []string { l[2] = rehash(strings.Replace(l[2], "note", "NOTE", 1)); return l }),
		"removed":            edit(func(l []string) []string { return append(l[:1:1], l[2:]...) }),
		"swapped":            edit(func(l []string) []string { l[0], l[1] = l[1], l[0]; return l }),
		"last removed":       edit(func(l []string) []string { return l[:2] }),
		"junk behind":        edit(func(l []string) []string { return append(l, "junk") }),
		"junk in the middle": edit(func(l []string) []string { l[1] = "junk\x00"; return l }),
		"last cut":           func(t *testing.T, dir string) { cutFile(t, last(t, dir), 10) },
		"file gone":          func(t *testing.T, dir string) { remove(t, last(t, dir)) },
		"head gone":          func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "head")) },
		"head damaged":       func(t *testing.T, dir string) { cutFile(t, filepath.Join(dir, "head"), 1) },
		"only a torn line": func(t *testing.T, dir string) {
			remove(t, last(t, dir))
			if err := os.WriteFile(filepath.Join(dir, "audit-000000000004.jsonl"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, 3, 1<<20)
			damage(t, dir)
			before := content(t, dir)
			for range 2 { // the first try must not hold the lock
				_, err := audit.Open(t.Context(), options(dir))
				var typed *writeback.Error
				if !errors.Is(err, audit.ErrDamaged) || !errors.As(err, &typed) || typed.Hint == "" ||
					typed.Reason != writeback.AgentStorageUnavailable {
					t.Fatalf("error %v", err)
				}
			}
			if content(t, dir) != before {
				t.Error("the refused log was changed")
			}
		})
	}
}

func cutFile(t *testing.T, path string, n int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-n); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(entry.Name() + "\n" + string(text) + "\n")
	}
	return all.String()
}

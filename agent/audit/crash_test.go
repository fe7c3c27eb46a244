package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/password-writeback/writeback/agent/audit"
)

// crashDir tells the test binary that it is the process to be killed.
const crashDir = "AUDIT_CRASH_TEST_DIR"

// TestCrashChild is the process that TestKilledInTheMiddle kills: it appends on several goroutines, with small files, and
// says on its output which line has returned.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestKilledInTheMiddle")
	}
	l, err := audit.Open(context.Background(), audit.Options{Dir: dir, MaxFileBytes: 3000})
	if err != nil {
		t.Fatal(err)
	}
	var out sync.Mutex
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := 0; ; n++ {
				note := fmt.Sprintf("%d-%d", worker, n)
				if err := l.Append(context.Background(), audit.Event{Kind: audit.KindIntent, Note: note}); err != nil {
					t.Error(err)
					return
				}
				out.Lock()
				fmt.Println(note)
				out.Unlock()
			}
		})
	}
	group.Wait()
}

// TestKilledInTheMiddle kills a process in the middle of its work: the chain is intact and holds every line that had
// returned, and the next process goes on with it.
func TestKilledInTheMiddle(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "audit")
	for round := range 4 {
		child := exec.CommandContext(t.Context(), program, "-test.run=^TestCrashChild$")
		child.Env = append(os.Environ(), crashDir+"="+dir)
		said := killedAfter(t, child, 50+29*round)
		if err := open(t, options(dir)).Close(); err != nil {
			t.Fatal(err)
		}
		if report := verify(t, dir); !report.Intact() {
			t.Fatalf("round %d: %v", round, report.Findings)
		}
		all := "\n" + strings.Join(notes(t, dir), "\n") + "\n"
		for _, note := range said {
			if !strings.Contains(all, "\n"+note+"\n") {
				t.Errorf("line %s had returned and is gone", note)
			}
		}
	}
}

func killedAfter(t *testing.T, child *exec.Cmd, lines int) (said []string) {
	t.Helper()
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(output)
	for len(said) < lines && scanner.Scan() {
		said = append(said, scanner.Text())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if len(said) < lines {
		t.Fatalf("the child said only %d lines", len(said))
	}
	return said
}

// FuzzOpen: whatever follows the acknowledged lines, and wherever the file was cut, Open either refuses and changes nothing, or
// goes on with a chain that is intact and holds every acknowledged line.
func FuzzOpen(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "audit")
	l, err := audit.Open(context.Background(), options(dir))
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if err := l.Append(context.Background(), audit.Event{Kind: audit.KindStart, Note: fmt.Sprint("note ", i+1)}); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "audit-000000000001.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	head, err := os.ReadFile(filepath.Join(dir, "head"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(len(good), []byte(`{"v":1,"seq":4`))
	f.Add(len(good), bytes.Repeat([]byte{0}, 100))
	f.Add(len(good), []byte("junk\n"))
	f.Add(len(good)-1, []byte("\x00\n"))
	f.Add(0, good)
	f.Add(0, []byte{})
	f.Fuzz(func(t *testing.T, cut int, tail []byte) {
		if cut < 0 || cut > len(good) {
			return
		}
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "audit-000000000001.jsonl")
		found := append(bytes.Clone(good[:cut]), tail...)
		if err := errors.Join(os.WriteFile(path, found, 0o600), os.WriteFile(filepath.Join(dir, "head"), head, 0o600)); err != nil {
			t.Fatal(err)
		}
		l, err := audit.Open(t.Context(), options(dir))
		if err != nil {
			after, readErr := os.ReadFile(path)
			if !errors.Is(err, audit.ErrDamaged) || readErr != nil || !bytes.Equal(after, found) {
				t.Fatalf("refused with %v, file changed %t", err, !bytes.Equal(after, found))
			}
			return
		}
		add(t, l, "after")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if report := verify(t, dir); !report.Intact() {
			t.Fatalf("opened, but %v", report.Findings)
		}
		if all := notes(t, dir); all[0] != "note 1" || all[1] != "note 2" || all[2] != "note 3" || all[len(all)-1] != "after" {
			t.Fatalf("lines were lost: %q", all)
		}
	})
}

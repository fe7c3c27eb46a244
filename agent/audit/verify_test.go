package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/audit"
)

// lines are those of a log in one file, without newlines.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(logFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func setLines(t *testing.T, dir string, all []string) {
	t.Helper()
	if err := os.WriteFile(logFiles(t, dir)[0], []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rehash gives a changed line a hash that fits.
func rehash(line string) string {
	payload := line[:strings.LastIndex(line, `,"hash":"`)] + "}"
	sum := sha256.Sum256([]byte(payload))
	return payload[:len(payload)-1] + `,"hash":"` + hex.EncodeToString(sum[:]) + `"}`
}

type place struct {
	Fault audit.Fault
	Line  int
}

func places(report audit.Report) []place {
	found := []place{}
	for _, f := range report.Findings {
		found = append(found, place{f.Fault, f.Line})
	}
	return found
}

func TestVerifyNamesWhatWasDone(t *testing.T) {
	change := func(l string) string { return strings.Replace(l, "note", "NOTE", 1) }
	for name, test := range map[string]struct {
		edit func([]string) []string
		want []place
	}{
		"nothing":              {func(l []string) []string { return l }, []place{}},
		"changed":              {func(l []string) []string { l[4] = change(l[4]); return l }, []place{{audit.FaultChanged, 5}}},
		"first changed":        {func(l []string) []string { l[0] = change(l[0]); return l }, []place{{audit.FaultChanged, 1}}},
		"last changed":         {func(l []string) []string { l[9] = change(l[9]); return l }, []place{{audit.FaultChanged, 10}}},
		"changed and rehashed": {func(l []string) []string { l[4] = rehash(change(l[4])); return l }, []place{{audit.FaultChanged, 6}}},
		"last rehashed":        {func(l []string) []string { l[9] = rehash(change(l[9])); return l }, []place{{audit.FaultChanged, 0}}},
		"two changed": {func(l []string) []string { l[2], l[7] = change(l[2]), change(l[7]); return l },
			[]place{{audit.FaultChanged, 3}, {audit.FaultChanged, 8}}},
		"one character in the hash": {func(l []string) []string { l[4] = strings.Replace(l[4], `"hash":"`, `"hash":"0`, 1); return l }, []place{{audit.FaultChanged, 5}}},
		"a blank added":             {func(l []string) []string { l[4] = l[4] + " "; return l }, []place{{audit.FaultChanged, 5}}},
		"emptied":                   {func(l []string) []string { l[4] = ""; return l }, []place{{audit.FaultChanged, 5}}},
		"cut":                       {func(l []string) []string { l[4] = l[4][:50]; return l }, []place{{audit.FaultChanged, 5}}},
		"removed":                   {func(l []string) []string { return append(l[:4:4], l[5:]...) }, []place{{audit.FaultRemoved, 5}}},
		"three removed":             {func(l []string) []string { return append(l[:4:4], l[7:]...) }, []place{{audit.FaultRemoved, 5}}},
		"first removed":             {func(l []string) []string { return l[1:] }, []place{{audit.FaultRemoved, 1}}},
		"last removed":              {func(l []string) []string { return l[:9] }, []place{{audit.FaultTruncated, 0}}},
		"neighbours swapped": {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l },
			[]place{{audit.FaultReordered, 5}, {audit.FaultReordered, 6}}},
		"moved to the end": {func(l []string) []string { return append(append(l[:4:4], l[5:]...), l[4]) },
			[]place{{audit.FaultReordered, 5}, {audit.FaultReordered, 10}}},
		"twice":    {func(l []string) []string { return append(l, l[3]) }, []place{{audit.FaultReordered, 11}}},
		"inserted": {func(l []string) []string { return append(l[:4:4], append([]string{"# a comment"}, l[4:]...)...) }, []place{{audit.FaultChanged, 5}, {audit.FaultReordered, 6}}},
		"newer version": {func(l []string) []string { l[9] = rehash(strings.Replace(l[9], `"v":1`, `"v":2`, 1)); return l },
			[]place{{audit.FaultUnknown, 10}, {audit.FaultChanged, 0}}},
		"too long": {func(l []string) []string { l[4] = strings.Repeat("x", 3<<20); return l }, []place{{audit.FaultChanged, 5}}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, 10, 1<<20)
			setLines(t, dir, test.edit(lines(t, dir)))
			report := verify(t, dir)
			if diff := cmp.Diff(test.want, places(report)); diff != "" {
				t.Errorf("-want +got:\n%s\n%v", diff, report.Findings)
			}
			if report.Intact() != (len(test.want) == 0) {
				t.Error("Intact does not agree")
			}
		})
	}
}

func TestVerifyAcrossFiles(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(t *testing.T, dir string, names []string) string // returns the file of the finding
		want audit.Fault
	}{
		"first file gone": {func(t *testing.T, _ string, n []string) string { remove(t, n[0]); return n[1] }, audit.FaultRemoved},
		"middle gone":     {func(t *testing.T, _ string, n []string) string { remove(t, n[2]); return n[3] }, audit.FaultRemoved},
		"last gone":       {func(t *testing.T, _ string, n []string) string { remove(t, n[4]); return n[3] }, audit.FaultTruncated},
		"middle emptied": {func(t *testing.T, _ string, n []string) string {
			if err := os.Truncate(n[2], 0); err != nil {
				t.Fatal(err)
			}
			return n[2]
		}, audit.FaultRemoved},
		"end of a file cut": {func(t *testing.T, _ string, n []string) string {
			info, err := os.Stat(n[1])
			if err != nil || os.Truncate(n[1], info.Size()-1) != nil {
				t.Fatal(err)
			}
			return n[1]
		}, audit.FaultChanged},
		"renamed": {func(t *testing.T, dir string, n []string) string {
			other := filepath.Join(dir, "audit-000000000099.jsonl")
			if err := os.Rename(n[4], other); err != nil {
				t.Fatal(err)
			}
			return other
		}, audit.FaultReordered},
		"head gone": {func(t *testing.T, dir string, _ []string) string {
			remove(t, filepath.Join(dir, "head"))
			return "head"
		}, audit.FaultTruncated},
		"all gone": {func(t *testing.T, _ string, n []string) string {
			for _, name := range n {
				remove(t, name)
			}
			return ""
		}, audit.FaultTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, 10, 400)
			names := logFiles(t, dir)
			if len(names) != 5 {
				t.Fatalf("%d files, want 5", len(names))
			}
			file := test.edit(t, dir, names)
			report := verify(t, dir)
			if report.Intact() {
				t.Fatal("nothing found")
			}
			found := report.Findings[0]
			if found.Fault != test.want || file != "" && found.File != filepath.Base(file) {
				t.Errorf("found %v, want %s in %s", report.Findings, test.want, file)
			}
			if text := found.String(); !strings.Contains(text, found.File) || !strings.Contains(text, found.Text) {
				t.Errorf("%q does not name the place", text)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyBoundsItsReport(t *testing.T) {
	dir := made(t, 3, 1<<20)
	all := lines(t, dir)
	for i := range 250 {
		all = append(all, fmt.Sprint("junk ", i))
	}
	setLines(t, dir, all)
	if report := verify(t, dir); len(report.Findings) != 100 || report.Omitted != 150 {
		t.Errorf("%d findings, %d omitted", len(report.Findings), report.Omitted)
	}
}

func TestVerifyOfNothing(t *testing.T) {
	if report := verify(t, t.TempDir()); !report.Intact() || report.Lines != 0 {
		t.Errorf("empty directory: %+v", report)
	}
	if _, err := audit.Verify(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Verify(cancelled, made(t, 1, 1<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestVerifyWhileWriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	o := options(dir)
	o.MaxFileBytes = 2000
	l := open(t, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			if err := l.Append(context.Background(), audit.Event{Kind: audit.KindIntent}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, found := range verify(t, dir).Findings {
			if found.Fault != audit.FaultTorn { // a line may be caught half-written
				t.Fatalf("a log that is being written: %v", found)
			}
		}
	}
	intact(t, dir, 200)
}

// FuzzVerify: whatever stands in a log file, Verify answers with a report, and does not call intact what was changed.
func FuzzVerify(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "audit")
	l, err := audit.Open(context.Background(), options(dir))
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		if err := l.Append(context.Background(), audit.Event{Kind: audit.KindStart, Note: "note"}); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "audit-000000000001.jsonl")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, good)
	f.Add(10, []byte(""))
	f.Add(len(good), []byte(`{"v":1,"hash":"`))
	f.Add(len(good)/2, []byte("\n\x00\xff"))
	f.Add(0, []byte(`,"hash":"`+strings.Repeat("0", 64)+`"}`))
	f.Fuzz(func(t *testing.T, offset int, inserted []byte) {
		if offset < 0 || offset > len(good) {
			return
		}
		changed := bytes.Join([][]byte{good[:offset], inserted, good[offset:]}, nil)
		if offset == 0 && bytes.Equal(inserted, good) {
			changed = good
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := audit.Verify(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if report.Intact() != bytes.Equal(changed, good) {
			t.Errorf("intact %t after inserting %q at %d", report.Intact(), inserted, offset)
		}
		for _, err := range audit.Read(context.Background(), dir) {
			_ = err // it must only not panic
		}
	})
}

package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/internal/writeback"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func options(dir string) audit.Options {
	return audit.Options{Dir: dir, Now: func() time.Time { return noon }, MaxFileBytes: 1 << 20}
}

func open(t *testing.T, o audit.Options) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *audit.Log, notes ...string) {
	t.Helper()
	for _, note := range notes {
		if err := l.Append(t.Context(), audit.Event{Kind: audit.KindOutcome, Note: note}); err != nil {
			t.Fatal(err)
		}
	}
}

// made returns a closed log of n lines in a fresh directory.
func made(t *testing.T, n int, perFile int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	o := options(dir)
	o.MaxFileBytes = perFile
	l := open(t, o)
	for i := range n {
		add(t, l, fmt.Sprintf("note %d", i+1))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func verify(t *testing.T, dir string) audit.Report {
	t.Helper()
	report, err := audit.Verify(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func intact(t *testing.T, dir string, lines int) {
	t.Helper()
	report := verify(t, dir)
	if !report.Intact() || report.Lines != lines || report.Last.Sequence != uint64(lines) {
		t.Fatalf("want %d intact lines, got %+v", lines, report)
	}
}

func notes(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for entry, err := range audit.Read(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Note)
	}
	return all
}

func logFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "audit-*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func fullEvent() audit.Event {
	request := &writeback.Request{
		Claims: writeback.Claims{
			Issuer: "portal", KeyID: "kid-1", ID: "id-1", IssuedAt: noon.Add(-time.Second), Operation: writeback.OpReset,
			Actor: writeback.Actor{Kind: writeback.ActorAdmin, ID: "op-7"}, AuthTime: noon.Add(-time.Minute), Methods: []string{"pwd", "otp"},
			Digest: writeback.Digest{1, 2, 3},
		},
		Subject: writeback.Subject{Kind: writeback.ByUPN, Value: "jörg@corp.example", AssertedImmutableID: "abc="},
	}
	account := writeback.Account{
		GUID: writeback.GUID{9, 8, 7}, SID: "S-1-5-21-1-2-3-1104", Domain: "corp.example", Controller: "dc1.corp.example:636",
		DistinguishedName: `CN=Jörg\, K,OU=Staff,DC=corp,DC=example`,
		Password:          writeback.PasswordState{Version: 4, VersionSource: writeback.VersionReplication, ChangedAt: noon.Add(-time.Hour)},
	}
	outcome := writeback.Outcome{Verdict: writeback.NotWritten, Reason: writeback.PasswordTooShort, Detail: writeback.Detail{MinLength: 8}, Replayed: true}
	event := audit.ForRequest(audit.KindOutcome, request).WithAccount(account).WithOutcome(outcome, errors.New("0000052D: too short"))
	event.Time, event.Note = noon, "a note"
	return event
}

func TestAnEventComesBackWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	want := fullEvent()
	if err := l.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for entry, err := range audit.Read(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, entry.Event); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if entry.Position != l.Last() || entry.File != "audit-000000000001.jsonl" || entry.Line != 1 {
			t.Errorf("place %+v", entry)
		}
	}
	intact(t, dir, 1)
}

func TestLinesAreJSONAndHarmlessOnATerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	hostile := "a\nb\x1b[31m\x7f\u009b31m\u202egnp.exe\u2066\U000e0041\x00\xff\"\\"
	event := fullEvent()
	event.Subject.Value, event.Cause, event.DistinguishedName = hostile, hostile, hostile
	if err := l.Append(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(logFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	body := strings.TrimSuffix(string(text), "\n")
	for _, r := range body {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x2066 || r == 0xe0041 {
			t.Errorf("the line holds %U", r)
		}
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\uFFFD"); members["user"] != want {
		t.Errorf("user %q, want %q", members["user"], want)
	}
	intact(t, dir, 1)
}

func TestLongStringsAreCut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	methods := make([]string, 1000)
	if err := l.Append(t.Context(), audit.Event{Kind: audit.KindRefused, Cause: strings.Repeat("ü", 100_000), Methods: methods}); err != nil {
		t.Fatal(err)
	}
	for entry, err := range audit.Read(t.Context(), dir) {
		if err != nil || len(entry.Cause) > 4200 || !strings.HasSuffix(entry.Cause, "ü…") || len(entry.Methods) > 32 {
			t.Errorf("%d bytes, %d methods, %v", len(entry.Cause), len(entry.Methods), err)
		}
	}
}

func TestTheChainGoesOnAfterARestart(t *testing.T) {
	dir := made(t, 3, 1<<20)
	l := open(t, options(dir))
	if got := l.Last().Sequence; got != 3 {
		t.Fatalf("last line %d, want 3", got)
	}
	add(t, l, "note 4")
	intact(t, dir, 4)
	if diff := cmp.Diff([]string{"note 1", "note 2", "note 3", "note 4"}, notes(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestRotationCarriesTheChainOver(t *testing.T) {
	dir := made(t, 20, 500)
	if n := len(logFiles(t, dir)); n < 5 {
		t.Fatalf("%d files, want several", n)
	}
	intact(t, dir, 20)
	o := options(dir)
	o.MaxFileBytes = 500
	l := open(t, o)
	add(t, l, "note 21")
	intact(t, dir, 21)
}

func TestAnEmptyNewFileIsUsed(t *testing.T) {
	dir := made(t, 2, 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "audit-000000000003.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(dir)
	o.MaxFileBytes = 1
	l := open(t, o)
	add(t, l, "note 3", "note 4")
	intact(t, dir, 4)
}

func TestManyAppendAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			if err := l.Append(context.Background(), audit.Event{Kind: audit.KindIntent, Note: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	intact(t, dir, 300)
	all := notes(t, dir)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 300 {
		t.Errorf("%d different lines, want 300", n)
	}
}

func TestAppendIsOnTheDiskWhenItReturns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	for i := range 5 {
		add(t, l, fmt.Sprint(i))
		intact(t, dir, i+1) // read through another descriptor while the log is open
	}
}

func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := open(t, options(dir))
	if err := l.Append(t.Context(), audit.Event{}); err == nil {
		t.Error("an event without a kind was accepted")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Append(cancelled, audit.Event{Kind: audit.KindStart}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := audit.Open(t.Context(), options(dir)); !errors.Is(err, audit.ErrLocked) {
		t.Errorf("second writer: %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := l.Append(t.Context(), audit.Event{Kind: audit.KindStart}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if report := verify(t, dir); !report.Intact() || report.Lines != 0 {
		t.Errorf("refused events left %+v", report)
	}
}

func TestModes(t *testing.T) {
	dir := made(t, 1, 1<<20)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), "written by others") {
		t.Errorf("a directory others may write: %v", err)
	}
}

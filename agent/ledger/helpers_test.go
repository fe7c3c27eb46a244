package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bench is a ledger in a directory of its own, with a clock the test moves.
type bench struct {
	*testing.T
	*ledger.Ledger
	options ledger.Options

	mu    sync.Mutex
	clock time.Time
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

func (b *bench) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = b.clock.Add(d)
}

func newBench(t *testing.T, change ...func(*ledger.Options)) *bench {
	t.Helper()
	b := &bench{T: t, clock: start}
	b.options = ledger.Options{
		Path: filepath.Join(t.TempDir(), "state", "ledger.db"), Now: b.now, LockWait: 10 * time.Millisecond,
	}
	for _, c := range change {
		c(&b.options)
	}
	b.open()
	t.Cleanup(func() { _ = b.Ledger.Close() })
	return b
}

func (b *bench) open() {
	b.Helper()
	opened, err := ledger.Open(b.Context(), b.options)
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.Ledger = opened
}

// reopen is a restart of the process.
func (b *bench) reopen() {
	b.Helper()
	b.must(b.Ledger.Close())
	b.open()
}

// crashed opens a copy of the file as it lies on the disk while the ledger is still open: what a crash would leave behind.
func (b *bench) crashed() *ledger.Ledger {
	b.Helper()
	content, err := os.ReadFile(b.options.Path)
	b.must(err)
	options := b.options
	options.Path = filepath.Join(b.TempDir(), "ledger.db")
	b.must(os.WriteFile(options.Path, content, 0o600))
	copied, err := ledger.Open(b.Context(), options)
	if err != nil {
		b.Fatalf("open the copy: %v", err)
	}
	b.Cleanup(func() { _ = copied.Close() })
	return copied
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) refused(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Fatalf("error %v, want %v", err, want)
	}
}

func (b *bench) get(key writeback.RequestKey) ledger.Record {
	b.Helper()
	r, ok, err := b.Get(b.Context(), key)
	if err != nil || !ok {
		b.Fatalf("get %s: found %t, error %v", key, ok, err)
	}
	return r
}

// claim claims request n and returns its key.
func (b *bench) claim(n int) writeback.RequestKey {
	b.Helper()
	c := b.claims(n)
	_, existed, err := b.Claim(b.Context(), c)
	if err != nil || existed {
		b.Fatalf("claim %s: existed %t, error %v", c.Key(), existed, err)
	}
	return c.Key()
}

func (b *bench) claims(n int) writeback.Claims {
	now := b.now()
	return writeback.Claims{
		Issuer: "portal", ID: fmt.Sprintf("request-%020d", n), Operation: writeback.OpReset,
		IssuedAt: now.Add(-time.Second), ExpiresAt: now.Add(time.Minute), ReplySession: "session-1", Digest: writeback.Digest{byte(n), 1},
	}
}

// writing brings request n to the state writing, on an account of its own.
func (b *bench) writing(n int) writeback.RequestKey {
	b.Helper()
	key := b.claim(n)
	b.must(b.BeginWriting(b.Context(), key, b.intent(n), ledger.Budget{}))
	return key
}

// unsettled brings request n to an unknown outcome that is being looked for.
func (b *bench) unsettled(n int) writeback.RequestKey {
	b.Helper()
	key := b.writing(n)
	b.must(b.Finish(b.Context(), key, unknown(), false, result(key, "unknown")))
	return key
}

func account(n int) writeback.GUID { return writeback.GUID{0: 1, 1: byte(n), 2: byte(n >> 8)} }

func (b *bench) intent(n int) ledger.Intent {
	now := b.now()
	return ledger.Intent{
		Account: account(n), Domain: "corp.example", Controller: "dc1.corp.example:636", Operation: writeback.OpReset,
		MustChange: true, Unlock: true, WritingAt: now,
		Seen: writeback.PasswordState{
			Version: 7, VersionSource: writeback.VersionReplication, ChangedAt: now.Add(-24 * time.Hour),
			Originating: "f3a0c3d0-0000-0000-0000-000000000001", PasswordLastSet: now.Add(-24 * time.Hour),
			LockoutTimeSet: true, BadPasswordCount: 2, LockoutThreshold: 5, ThresholdKnown: true,
			ControllerTime: now.Add(time.Second), ReadAt: now,
		},
	}
}

func written() writeback.Outcome {
	return writeback.Outcome{Verdict: writeback.Written, Reason: writeback.ReasonOK}
}

func unknown() writeback.Outcome {
	return writeback.Outcome{Verdict: writeback.Unknown, Reason: writeback.DirectoryOutcomeUnknown}
}

func refusedOutcome() writeback.Outcome {
	return writeback.Outcome{Verdict: writeback.NotWritten, Reason: writeback.PasswordTooShort, Detail: writeback.Detail{MinLength: 8}}
}

func result(key writeback.RequestKey, id string) *writeback.PendingResult {
	return &writeback.PendingResult{
		Request: key, MessageID: id, Queue: "results-portal", Session: "session-1", Token: []byte("token-" + id),
	}
}

// messages lists the ids of the results that wait.
func messages(t *testing.T, l *ledger.Ledger) []string {
	t.Helper()
	pending, err := l.Pending(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, p := range pending {
		ids = append(ids, p.MessageID)
	}
	return ids
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

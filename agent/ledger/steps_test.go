package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestClaimKeepsTheFirst(t *testing.T) {
	b := newBench(t)
	first := b.claims(1)
	rec, existed, err := b.Claim(b.Context(), first)
	b.must(err)
	want := ledger.Record{
		Key: first.Key(), Digest: first.Digest, Operation: writeback.OpReset, IssuedAt: first.IssuedAt, ExpiresAt: first.ExpiresAt,
		ReplySession: "session-1", State: ledger.StateClaimed, ClaimedAt: start,
	}
	same(t, existed, false)
	same(t, rec, want)

	second := first
	second.Digest, second.ReplySession, second.Operation = writeback.Digest{9}, "other", writeback.OpUnlock
	b.advance(time.Second)
	rec, existed, err = b.Claim(b.Context(), second)
	b.must(err)
	same(t, existed, true)
	same(t, rec, want)
	b.reopen()
	same(t, b.get(first.Key()), want)
}

func TestClaimOfManyAtOnceInsertsOnce(t *testing.T) {
	b := newBench(t)
	claims := b.claims(1)
	var inserted, existing int
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, existed, err := b.Claim(b.Context(), claims)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case existed:
				existing++
			default:
				inserted++
			}
		})
	}
	group.Wait()
	same(t, []int{inserted, existing}, []int{1, 49})
}

func TestKeysDoNotRunIntoEachOther(t *testing.T) {
	b := newBench(t)
	for _, key := range []writeback.RequestKey{{Issuer: "ab", ID: "c"}, {Issuer: "a", ID: "bc"}, {Issuer: "a\x00b", ID: "c"}, {Issuer: "a", ID: "\x00bc"}} {
		claims := b.claims(1)
		claims.Issuer, claims.ID = key.Issuer, key.ID
		_, existed, err := b.Claim(b.Context(), claims)
		b.must(err)
		same(t, existed, false)
	}
	b.reopen()
}

func TestClaimRefusesWhatCannotBe(t *testing.T) {
	for name, spoil := range map[string]func(*writeback.Claims){
		"no issuer":         func(c *writeback.Claims) { c.Issuer = "" },
		"no id":             func(c *writeback.Claims) { c.ID = "" },
		"long issuer":       func(c *writeback.Claims) { c.Issuer = strings.Repeat("x", 513) },
		"long id":           func(c *writeback.Claims) { c.ID = strings.Repeat("x", 129) },
		"issuer not UTF-8":  func(c *writeback.Claims) { c.Issuer = "a\xff" },
		"id not UTF-8":      func(c *writeback.Claims) { c.ID = "a\xff" },
		"long reply":        func(c *writeback.Claims) { c.ReplySession = strings.Repeat("x", 513) },
		"unknown operation": func(c *writeback.Claims) { c.Operation = "delete" },
		"never issued":      func(c *writeback.Claims) { c.IssuedAt = time.Time{} },
		"expired at birth":  func(c *writeback.Claims) { c.ExpiresAt = c.IssuedAt },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			claims := b.claims(1)
			spoil(&claims)
			_, _, err := b.Claim(b.Context(), claims)
			b.refused(err, ledger.ErrInvalid)
			stats, err := b.Stats(b.Context())
			b.must(err)
			same(t, stats.Records, 0)
		})
	}
}

// step is a method that changes a record, to be tried in every state.
type step struct {
	name string
	run  func(*bench, writeback.RequestKey) error
}

func steps() []step {
	return []step{
		{"BeginWriting", func(b *bench, k writeback.RequestKey) error {
			return b.BeginWriting(b.Context(), k, b.intent(99), ledger.Budget{})
		}},
		{"Release", func(b *bench, k writeback.RequestKey) error { return b.Release(b.Context(), k) }},
		{"MarkProbed", func(b *bench, k writeback.RequestKey) error { return b.MarkProbed(b.Context(), k) }},
		{"Finish", func(b *bench, k writeback.RequestKey) error {
			return b.Finish(b.Context(), k, refusedOutcome(), true, result(k, "finish"))
		}},
		{"Revise", func(b *bench, k writeback.RequestKey) error {
			return b.Revise(b.Context(), k, written(), result(k, "revise"))
		}},
		{"Settle", func(b *bench, k writeback.RequestKey) error { return b.Settle(b.Context(), k) }},
		{"MarkAudited", func(b *bench, k writeback.RequestKey) error { return b.MarkAudited(b.Context(), k) }},
	}
}

// TestEveryStepInEveryState is the table of the package comment.
func TestEveryStepInEveryState(t *testing.T) {
	probed := func(b *bench) writeback.RequestKey {
		key := b.writing(1)
		b.must(b.MarkProbed(b.Context(), key))
		return key
	}
	finished := func(o writeback.Outcome, settled bool) func(*bench) writeback.RequestKey {
		return func(b *bench) writeback.RequestKey {
			key := b.writing(1)
			b.must(b.Finish(b.Context(), key, o, settled, nil))
			return key
		}
	}
	revised := func(b *bench) writeback.RequestKey {
		key := b.unsettled(1)
		b.must(b.Revise(b.Context(), key, written(), nil))
		return key
	}
	states := []struct {
		name    string
		make    func(*bench) writeback.RequestKey
		allowed string
	}{
		{"claimed", func(b *bench) writeback.RequestKey { return b.claim(1) }, "BeginWriting Finish"},
		{"writing", func(b *bench) writeback.RequestKey { return b.writing(1) }, "Release MarkProbed Finish"},
		{"writing, probed", probed, "Finish"},
		{"written", finished(written(), true), "MarkAudited"},
		{"not written", finished(refusedOutcome(), true), "MarkAudited"},
		{"unknown, looked for", finished(unknown(), false), "MarkProbed Revise Settle MarkAudited"},
		{"unknown, settled", finished(unknown(), true), "MarkAudited"},
		{"revised", revised, "MarkAudited"},
	}
	for _, state := range states {
		for _, step := range steps() {
			t.Run(state.name+"/"+step.name, func(t *testing.T) {
				b := newBench(t)
				key := state.make(b)
				before, waiting := b.get(key), messages(t, b.Ledger)
				err := step.run(b, key)
				if strings.Contains(" "+state.allowed+" ", " "+step.name+" ") {
					b.must(err)
					copied, _, err := b.crashed().Get(t.Context(), key) // on the disk when the step returned
					b.must(err)
					same(t, copied, b.get(key))
					return
				}
				if !errors.Is(err, ledger.ErrState) && !errors.Is(err, ledger.ErrProbed) {
					t.Fatalf("error %v, want ErrState", err)
				}
				same(t, b.get(key), before)
				same(t, messages(t, b.Ledger), waiting)
			})
		}
	}
}

func TestStepsOfUnknownRequests(t *testing.T) {
	b := newBench(t)
	key := writeback.RequestKey{Issuer: "portal", ID: "never-seen"}
	for _, step := range steps() {
		err := step.run(b, key)
		if step.name == "MarkAudited" { // forgotten records are passed over
			b.must(err)
			continue
		}
		b.refused(err, ledger.ErrUnknownRequest)
		b.refused(step.run(b, writeback.RequestKey{}), ledger.ErrInvalid)
	}
	_, ok, err := b.Get(b.Context(), key)
	b.must(err)
	same(t, ok, false)
}

func TestStateErrorNamesTheStep(t *testing.T) {
	b := newBench(t)
	key := b.claim(1)
	err := b.Settle(b.Context(), key)
	var refusal *ledger.StateError
	if !errors.As(err, &refusal) {
		t.Fatalf("%v is not a StateError", err)
	}
	same(t, []any{refusal.Key, refusal.State, refusal.Step}, []any{key, ledger.StateClaimed, "Settle"})
	for _, part := range []string{key.String(), "Settle", "claimed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
}

func TestBeginWritingRefusesWrongIntents(t *testing.T) {
	for name, spoil := range map[string]func(*ledger.Intent){
		"no account":      func(i *ledger.Intent) { i.Account = writeback.GUID{} },
		"no controller":   func(i *ledger.Intent) { i.Controller = "" },
		"other operation": func(i *ledger.Intent) { i.Operation = writeback.OpUnlock },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			key := b.claim(1)
			intent := b.intent(1)
			spoil(&intent)
			b.refused(b.BeginWriting(b.Context(), key, intent, ledger.Budget{}), ledger.ErrInvalid)
			same(t, b.get(key).State, ledger.StateClaimed)
		})
	}
	b := newBench(t)
	claims := b.claims(1)
	claims.Operation = writeback.OpPing
	_, _, err := b.Claim(b.Context(), claims)
	b.must(err)
	intent := b.intent(1)
	intent.Operation = writeback.OpPing
	b.refused(b.BeginWriting(b.Context(), claims.Key(), intent, ledger.Budget{}), ledger.ErrInvalid)
}

func TestBeginWritingKeepsTheWholeIntent(t *testing.T) {
	b := newBench(t)
	key := b.claim(1)
	b.must(b.BeginWriting(b.Context(), key, b.intent(1), ledger.Budget{}))
	want := b.intent(1)
	b.reopen()
	same(t, b.get(key).Intent, &want)

	other := b.claim(2)
	intent := b.intent(2)
	intent.WritingAt = time.Time{}
	b.advance(time.Minute)
	b.must(b.BeginWriting(b.Context(), other, intent, ledger.Budget{}))
	same(t, b.get(other).Intent.WritingAt, start.Add(time.Minute))
}

func TestOneOpenWritePerAccount(t *testing.T) {
	b := newBench(t)
	first, second := b.writing(1), b.claim(2)
	busy := b.intent(1)
	b.refused(b.BeginWriting(b.Context(), second, busy, ledger.Budget{}), ledger.ErrAccountBusy)
	same(t, b.get(second).State, ledger.StateClaimed)

	b.must(b.Finish(b.Context(), first, unknown(), false, nil))
	b.reopen()
	b.refused(b.BeginWriting(b.Context(), second, busy, ledger.Budget{}), ledger.ErrAccountBusy)

	b.must(b.Settle(b.Context(), first))
	b.must(b.BeginWriting(b.Context(), second, busy, ledger.Budget{}))
}

func TestReleaseFreesTheAccount(t *testing.T) {
	b := newBench(t)
	first, second := b.writing(1), b.claim(2)
	b.must(b.Release(b.Context(), first))
	if b.get(first).Intent != nil {
		t.Error("the intent outlived the release")
	}
	b.must(b.BeginWriting(b.Context(), second, b.intent(1), ledger.Budget{}))
}

func TestOneProbePerRequest(t *testing.T) {
	b := newBench(t)
	key := b.unsettled(1)
	b.must(b.MarkProbed(b.Context(), key))
	b.refused(b.MarkProbed(b.Context(), key), ledger.ErrProbed)
	b.reopen()
	b.refused(b.MarkProbed(b.Context(), key), ledger.ErrProbed)
	same(t, b.get(key).Probed, true)
}

func TestUnlockIsNeverProbed(t *testing.T) {
	b := newBench(t)
	claims := b.claims(1)
	claims.Operation = writeback.OpUnlock
	_, _, err := b.Claim(b.Context(), claims)
	b.must(err)
	intent := b.intent(1)
	intent.Operation = writeback.OpUnlock
	b.must(b.BeginWriting(b.Context(), claims.Key(), intent, ledger.Budget{}))
	b.refused(b.MarkProbed(b.Context(), claims.Key()), ledger.ErrState)
}

func TestConcurrentCallersDoNotHarmEachOther(t *testing.T) {
	b := newBench(t)
	var group sync.WaitGroup
	errs := make([]error, 200)
	for n := range errs {
		group.Go(func() {
			claims := b.claims(n)
			if n%3 == 0 {
				claims.Operation = "nonsense" // refused in the same commits the others share
			}
			_, _, errs[n] = b.Claim(context.Background(), claims)
		})
	}
	group.Wait()
	for n, err := range errs {
		if want := n%3 == 0; errors.Is(err, ledger.ErrInvalid) != want || (err != nil) != want {
			t.Errorf("claim %d: %v", n, err)
		}
	}
	copied := b.crashed()
	for n := range errs {
		_, ok, err := copied.Get(t.Context(), b.claims(n).Key())
		if err != nil || ok != (n%3 != 0) {
			t.Errorf("request %d on the disk: found %t, %v", n, ok, err)
		}
	}
}

func TestContextAndClose(t *testing.T) {
	b := newBench(t)
	key := b.claim(1)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := b.Claim(cancelled, b.claims(2))
	b.refused(err, context.Canceled)
	_, _, err = b.Get(cancelled, key)
	b.refused(err, context.Canceled)
	_, err = b.HighestTime(cancelled)
	b.refused(err, context.Canceled)
	b.must(b.Close())
	b.must(b.Close())
	for _, step := range steps() {
		b.refused(step.run(b, key), ledger.ErrClosed)
	}
	_, _, err = b.Get(b.Context(), key)
	b.refused(err, ledger.ErrClosed)
	_, err = b.Pending(b.Context())
	b.refused(err, ledger.ErrClosed)
}

func TestFullLedgerForgetsOnlyWhatItMay(t *testing.T) {
	b := newBench(t, func(o *ledger.Options) { o.MaxRecords = 3 })
	stuck := b.writing(1)
	b.claim(2)
	b.claim(3)
	_, _, err := b.Claim(b.Context(), b.claims(4))
	b.refused(err, ledger.ErrFull)
	_, existed, err := b.Claim(b.Context(), b.claims(2))
	if err != nil || !existed {
		t.Fatalf("a known request in a full ledger: existed %t, %v", existed, err)
	}
	b.advance(25 * time.Hour)
	b.claim(5)
	stats, err := b.Stats(b.Context())
	b.must(err)
	same(t, stats.Records, 2)
	same(t, b.get(stuck).State, ledger.StateWriting)
	b.reopen()
	same(t, fmt.Sprint(b.get(b.claims(5).Key()).State), "claimed")
}

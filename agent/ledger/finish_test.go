package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestFinishIsOneCommit(t *testing.T) {
	b := newBench(t)
	key := b.writing(1)
	b.advance(time.Second)
	outcome := written()
	outcome.Replayed = true // of an answer, not of the outcome
	b.must(b.Finish(b.Context(), key, outcome, true, result(key, "m1")))

	copied := b.crashed()
	rec, _, err := copied.Get(t.Context(), key)
	b.must(err)
	want := written()
	same(t, rec.State, ledger.StateDone)
	same(t, rec.Outcome, &want)
	same(t, rec.FinishedAt, start.Add(time.Second))
	same(t, rec.Settled, true)
	same(t, messages(t, copied), []string{"m1"})
	_, known, err := copied.LastWrite(t.Context(), account(1))
	b.must(err)
	same(t, known, true)
}

func TestFinishRefusesWhatCannotBe(t *testing.T) {
	b := newBench(t)
	key, other := b.claim(1), b.claim(2)
	ctx := b.Context()
	b.refused(b.Finish(ctx, key, written(), true, nil), ledger.ErrState)    // nothing was begun
	b.refused(b.Finish(ctx, key, unknown(), false, nil), ledger.ErrInvalid) // nothing to look for
	b.must(b.BeginWriting(ctx, key, b.intent(1), ledger.Budget{}))
	b.refused(b.Finish(ctx, key, writeback.Outcome{Verdict: "perhaps", Reason: writeback.ReasonOK}, true, nil), ledger.ErrInvalid)
	b.refused(b.Finish(ctx, key, writeback.Outcome{Verdict: writeback.Written, Reason: "because"}, true, nil), ledger.ErrInvalid)
	b.refused(b.Finish(ctx, key, written(), true, result(other, "m")), ledger.ErrInvalid)
	for _, spoil := range []func(*writeback.PendingResult){
		func(r *writeback.PendingResult) { r.Token = nil },
		func(r *writeback.PendingResult) { r.Token = make([]byte, 64<<10+1) },
		func(r *writeback.PendingResult) { r.Queue = "" },
	} {
		spoilt := result(key, "m")
		spoil(spoilt)
		b.refused(b.Finish(ctx, key, written(), true, spoilt), ledger.ErrInvalid)
	}
	same(t, b.get(key).State, ledger.StateWriting)
	same(t, messages(t, b.Ledger), []string{})
}

func TestReviseOnceToWritten(t *testing.T) {
	b := newBench(t)
	key := b.unsettled(1)
	b.must(b.MarkAudited(b.Context(), key))
	b.refused(b.Revise(b.Context(), key, refusedOutcome(), nil), ledger.ErrInvalid)
	b.refused(b.Revise(b.Context(), key, unknown(), nil), ledger.ErrInvalid)
	b.advance(10 * time.Minute)
	b.must(b.Revise(b.Context(), key, written(), result(key, "revised")))
	b.refused(b.Revise(b.Context(), key, written(), result(key, "again")), ledger.ErrState)

	b.reopen()
	rec := b.get(key)
	same(t, []any{rec.Revised, rec.Settled, rec.Audited, rec.Outcome.Verdict}, []any{true, true, false, writeback.Written})
	same(t, messages(t, b.Ledger), []string{"unknown", "revised"})
	write, ok, err := b.LastWrite(b.Context(), account(1))
	b.must(err)
	same(t, ok, true)
	same(t, write.WrittenAt, start) // when the Modify was sent, not when it was found
}

func TestUnresolved(t *testing.T) {
	b := newBench(t)
	b.claim(1)
	writing, unsettled := b.writing(2), b.unsettled(3)
	settled, revised, done := b.unsettled(4), b.unsettled(5), b.writing(6)
	b.must(b.Settle(b.Context(), settled))
	b.must(b.Revise(b.Context(), revised, written(), nil))
	b.must(b.Finish(b.Context(), done, written(), false, nil)) // settled counts for unknown only
	b.reopen()
	records, err := b.Unresolved(b.Context())
	b.must(err)
	var got []writeback.RequestKey
	for _, r := range records {
		same(t, r, b.get(r.Key))
		got = append(got, r.Key)
	}
	same(t, got, []writeback.RequestKey{writing, unsettled})
}

func TestUnaudited(t *testing.T) {
	b := newBench(t)
	b.writing(1)
	var want []writeback.RequestKey
	for n := 2; n < 5; n++ {
		key := b.writing(n)
		b.must(b.Finish(b.Context(), key, refusedOutcome(), true, nil))
		want = append(want, key)
	}
	b.reopen()
	keys := func() (got []writeback.RequestKey) {
		records, err := b.Unaudited(b.Context())
		b.must(err)
		for _, r := range records {
			got = append(got, r.Key)
		}
		return got
	}
	same(t, keys(), want)
	open := b.claim(9)
	b.refused(b.MarkAudited(b.Context(), want[0], open), ledger.ErrState)
	same(t, keys(), want) // all or none
	b.must(b.MarkAudited(b.Context(), want[0], want[2], writeback.RequestKey{Issuer: "portal", ID: "forgotten"}))
	b.must(b.MarkAudited(b.Context(), want[0]))
	b.reopen()
	same(t, keys(), want[1:2])
}

func TestLastWrite(t *testing.T) {
	b := newBench(t)
	key := b.writing(1)
	b.must(b.Finish(b.Context(), key, written(), true, nil))
	b.reopen()
	got, ok, err := b.LastWrite(b.Context(), account(1))
	b.must(err)
	same(t, ok, true)
	same(t, got, ledger.LastWrite{
		Request: key, IssuedAt: start.Add(-time.Second), WrittenAt: start,
		Version: 8, VersionSource: writeback.VersionReplication, Controller: "dc1.corp.example:636",
	})

	b.advance(time.Minute)
	later := b.claim(2)
	intent := b.intent(1)
	intent.Seen.Version, intent.Seen.VersionSource = 0, writeback.VersionNone
	b.must(b.BeginWriting(b.Context(), later, intent, ledger.Budget{}))
	b.must(b.Finish(b.Context(), later, written(), true, nil))
	got, _, err = b.LastWrite(b.Context(), account(1))
	b.must(err)
	same(t, []any{got.Request, got.Version, got.VersionSource}, []any{later, uint32(0), writeback.VersionNone})
}

func TestWhatIsNoPasswordWriteIsNotRemembered(t *testing.T) {
	b := newBench(t)
	refused := b.writing(1)
	b.must(b.Finish(b.Context(), refused, refusedOutcome(), true, nil))
	unclear := b.writing(2)
	b.must(b.Finish(b.Context(), unclear, unknown(), true, nil))
	claims := b.claims(3)
	claims.Operation = writeback.OpUnlock
	_, _, err := b.Claim(b.Context(), claims)
	b.must(err)
	intent := b.intent(3)
	intent.Operation = writeback.OpUnlock
	b.must(b.BeginWriting(b.Context(), claims.Key(), intent, ledger.Budget{}))
	b.must(b.Finish(b.Context(), claims.Key(), written(), true, nil))
	for n := 1; n <= 3; n++ {
		_, ok, err := b.LastWrite(b.Context(), account(n))
		b.must(err)
		same(t, fmt.Sprint(n, ok), fmt.Sprint(n, false))
	}
}

func TestHighestTime(t *testing.T) {
	b := newBench(t)
	highest := func() time.Time {
		h, err := b.HighestTime(b.Context())
		b.must(err)
		return h
	}
	same(t, highest(), time.Time{})
	b.must(b.AdvanceTime(b.Context(), start))
	b.must(b.AdvanceTime(b.Context(), start.Add(-time.Hour)))
	b.must(b.AdvanceTime(b.Context(), time.Time{}))
	same(t, highest(), start)
	b.must(b.AdvanceTime(b.Context(), start.Add(300*time.Millisecond)))
	same(t, highest(), start.Add(300*time.Millisecond))
	b.must(b.AdvanceTime(b.Context(), start.Add(5*time.Second)))
	b.reopen()
	same(t, highest(), start.Add(5*time.Second))
}

func TestPrune(t *testing.T) {
	b := newBench(t)
	claimed, done := b.claim(1), b.writing(2)
	b.must(b.Finish(b.Context(), done, written(), true, result(done, "m2")))
	unaudited, open := b.writing(3), b.writing(4)
	b.must(b.Finish(b.Context(), unaudited, written(), true, nil))
	b.must(b.MarkAudited(b.Context(), done))

	prune := func(want int) {
		t.Helper()
		n, err := b.Prune(b.Context())
		b.must(err)
		same(t, n, want)
	}
	b.advance(24*time.Hour + 59*time.Second)
	prune(0)
	same(t, b.get(claimed).State, ledger.StateClaimed)
	b.advance(2 * time.Second)
	prune(2)
	for _, key := range []writeback.RequestKey{claimed, done} {
		_, ok, err := b.Get(b.Context(), key)
		b.must(err)
		same(t, ok, false)
	}
	same(t, []ledger.State{b.get(unaudited).State, b.get(open).State}, []ledger.State{ledger.StateDone, ledger.StateWriting})
	b.reopen()
	b.advance(time.Hour)
	prune(0)
	_, ok, err := b.LastWrite(b.Context(), account(2))
	b.must(err)
	same(t, ok, false)
	stats, err := b.Stats(b.Context())
	b.must(err)
	same(t, []int{stats.Records, stats.Pending, stats.Unresolved, stats.Unaudited}, []int{2, 0, 1, 1})
}

package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// signalled reports whether Changed holds a token, and takes it.
func signalled(l *ledger.Ledger) bool {
	select {
	case <-l.Changed():
		return true
	default:
		return false
	}
}

func TestOutboxKeepsTheOrderUntilDelivered(t *testing.T) {
	b := newBench(t)
	same(t, signalled(b.Ledger), false)
	key := b.writing(1)
	b.must(b.Finish(b.Context(), key, unknown(), false, result(key, "first")))
	b.must(b.Revise(b.Context(), key, written(), result(key, "second")))
	stranger := writeback.RequestKey{Issuer: "portal", ID: "no-record"}
	b.must(b.Enqueue(b.Context(), *result(stranger, "third")))
	same(t, []bool{signalled(b.Ledger), signalled(b.Ledger)}, []bool{true, false})

	b.reopen()
	same(t, signalled(b.Ledger), true)
	pending, err := b.Pending(b.Context())
	b.must(err)
	want := *result(key, "first")
	want.Sequence, want.Expires = pending[0].Sequence, start.Add(time.Hour)
	same(t, pending[0], want)
	same(t, messages(t, b.Ledger), []string{"first", "second", "third"})

	b.must(b.Delivered(b.Context(), pending[1].Sequence))
	b.must(b.Delivered(b.Context(), pending[1].Sequence))
	b.must(b.Delivered(b.Context(), 12345))
	same(t, messages(t, b.Ledger), []string{"first", "third"})
	b.must(b.Delivered(b.Context(), pending[2].Sequence))
	b.must(b.Delivered(b.Context(), pending[0].Sequence))
	b.reopen()
	same(t, signalled(b.Ledger), false)
	b.must(b.Enqueue(b.Context(), *result(stranger, "fourth")))
	last, err := b.Pending(b.Context())
	b.must(err)
	if last[0].Sequence <= pending[2].Sequence {
		t.Errorf("sequence %d was given again after %d", last[0].Sequence, pending[2].Sequence)
	}
}

func TestResultsExpire(t *testing.T) {
	b := newBench(t)
	key := writeback.RequestKey{Issuer: "portal", ID: "a"}
	soon := result(key, "soon")
	soon.Expires = start.Add(time.Minute)
	late := result(key, "late")
	late.Expires = start.Add(48 * time.Hour)
	b.must(b.Enqueue(b.Context(), *soon))
	b.must(b.Enqueue(b.Context(), *late))
	b.advance(time.Minute)
	same(t, messages(t, b.Ledger), []string{"late"})
	b.advance(59 * time.Minute) // OutboxLife, whatever the result says
	same(t, messages(t, b.Ledger), []string{})
	_, err := b.Prune(b.Context())
	b.must(err)
	stats, err := b.Stats(b.Context())
	b.must(err)
	same(t, stats.Pending, 0)
	b.reopen()
}

func TestOutboxIsBounded(t *testing.T) {
	b := newBench(t, func(o *ledger.Options) { o.MaxPending = 5 })
	repeated := writeback.RequestKey{Issuer: "portal", ID: "repeated"}
	neighbour := writeback.RequestKey{Issuer: "portal", ID: "repeatedly"} // shares the prefix
	for i := range 3 {
		b.must(b.Enqueue(b.Context(), *result(repeated, fmt.Sprint(i))))
	}
	b.refused(b.Enqueue(b.Context(), *result(repeated, "one too many")), ledger.ErrOutboxFull)
	b.must(b.Enqueue(b.Context(), *result(neighbour, "n")))
	b.must(b.Enqueue(b.Context(), *result(writeback.RequestKey{Issuer: "portal", ID: "x"}, "x")))
	b.refused(b.Enqueue(b.Context(), *result(writeback.RequestKey{Issuer: "portal", ID: "y"}, "y")), ledger.ErrOutboxFull)

	key := b.writing(1) // an outcome is never kept from the portal by others' answers
	b.must(b.Finish(b.Context(), key, written(), true, result(key, "outcome")))
	same(t, len(messages(t, b.Ledger)), 6)
	b.refused(b.Enqueue(b.Context(), *result(writeback.RequestKey{ID: "z"}, "z")), ledger.ErrInvalid)
}

package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// winners runs f many times at once and counts how often it returned nil; every other answer must be want.
func winners(t *testing.T, n int, want error, f func(i int) error) int {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	won := 0
	for i := range n {
		group.Go(func() {
			err := f(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		})
	}
	group.Wait()
	return won
}

// TestOneOfManyWins: steps that share a commit judge each other's changes.
func TestOneOfManyWins(t *testing.T) {
	b := newBench(t)
	var keys []writeback.RequestKey
	for n := range 20 {
		keys = append(keys, b.claim(n))
	}
	ctx := b.Context()
	same(t, winners(t, 20, ledger.ErrAccountBusy, func(i int) error { return b.BeginWriting(ctx, keys[i], b.intent(7), ledger.Budget{}) }), 1)
	open, err := b.Unresolved(ctx)
	b.must(err)
	same(t, len(open), 1)
	key := open[0].Key
	same(t, winners(t, 20, ledger.ErrProbed, func(int) error { return b.MarkProbed(ctx, key) }), 1)
	same(t, winners(t, 20, ledger.ErrState, func(int) error { return b.Finish(ctx, key, unknown(), false, result(key, "u")) }), 1)
	same(t, winners(t, 20, ledger.ErrState, func(i int) error {
		if i%2 == 0 {
			return b.Settle(ctx, key)
		}
		return b.Revise(ctx, key, written(), nil)
	}), 1)
	same(t, winners(t, 20, ledger.ErrOutboxFull, func(i int) error { return b.Enqueue(ctx, *result(key, fmt.Sprint(i))) }), 2)
	b.reopen()
}

func TestPruneOfMany(t *testing.T) {
	b := newBench(t)
	const many = 1200 // more than one commit removes
	same(t, winners(t, many, nil, func(i int) error {
		_, _, err := b.Claim(b.Context(), b.claims(i))
		return err
	}), many)
	b.advance(48 * time.Hour)
	n, err := b.Prune(b.Context())
	b.must(err)
	same(t, n, many)
	stats, err := b.Stats(b.Context())
	b.must(err)
	same(t, stats.Records, 0)
	b.reopen()
}

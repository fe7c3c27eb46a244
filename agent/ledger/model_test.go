package ledger_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// model is the ledger as a map: the rules of the package comment, written a second time.
type model struct {
	records map[writeback.RequestKey]*ledger.Record
	waiting []string
}

const modelRequests = 12

// TestModel applies random operations to the ledger and to the model, with restarts in between, and compares what both
// say. Requests share four accounts, so that they get in each other's way.
func TestModel(t *testing.T) {
	for seed := range uint64(4) {
		b := newBench(t)
		random := rand.New(rand.NewPCG(seed, 99))
		m := &model{records: map[writeback.RequestKey]*ledger.Record{}}
		for i := range 200 {
			n := random.IntN(modelRequests)
			m.operate(b, random, n)
			if i%50 == 49 {
				b.reopen()
				m.compare(b)
			}
		}
	}
}

func (m *model) operate(b *bench, random *rand.Rand, n int) {
	b.Helper()
	ctx := b.Context()
	claims := b.claims(n)
	key := claims.Key()
	r := m.records[key]
	intent := b.intent(n)
	intent.Account = account(1000 + n%4)
	switch random.IntN(8) {
	case 0:
		_, existed, err := b.Claim(ctx, claims)
		b.must(err)
		if existed != (r != nil) {
			b.Fatalf("claim of %s: existed %t", key, existed)
		}
		if r == nil {
			m.records[key] = &ledger.Record{
				Key: key, Digest: claims.Digest, Operation: claims.Operation, IssuedAt: claims.IssuedAt, ExpiresAt: claims.ExpiresAt,
				ReplySession: claims.ReplySession, State: ledger.StateClaimed, ClaimedAt: b.now(),
			}
		}
	case 1:
		err := b.BeginWriting(ctx, key, intent, ledger.Budget{})
		switch {
		case r != nil && r.State == ledger.StateClaimed && m.busy(intent.Account):
			b.refused(err, ledger.ErrAccountBusy)
		case m.allows(b, err, r, r != nil && r.State == ledger.StateClaimed):
			r.State, r.Intent = ledger.StateWriting, &intent
		}
	case 2:
		if m.allows(b, b.Release(ctx, key), r, r != nil && r.State == ledger.StateWriting && !r.Probed) {
			r.State, r.Intent = ledger.StateClaimed, nil
		}
	case 3:
		if m.allows(b, b.MarkProbed(ctx, key), r, r != nil && r.Unresolved() && !r.Probed) {
			r.Probed = true
		}
	case 4, 5:
		outcome := []writeback.Outcome{written(), refusedOutcome(), unknown()}[random.IntN(3)]
		settled := random.IntN(2) == 0
		begun := r != nil && r.Intent != nil
		fits := begun || outcome.Verdict == writeback.NotWritten || outcome.Verdict == writeback.Unknown && settled
		err := b.Finish(ctx, key, outcome, settled, result(key, "f"))
		if m.allows(b, err, r, r != nil && r.State != ledger.StateDone && fits) {
			r.State, r.Outcome, r.FinishedAt = ledger.StateDone, &outcome, b.now()
			r.Settled = settled || outcome.Verdict != writeback.Unknown
			m.waiting = append(m.waiting, "f")
		}
	case 6:
		outcome := written()
		if m.allows(b, b.Revise(ctx, key, outcome, result(key, "r")), r, r != nil && r.State == ledger.StateDone && !r.Settled) {
			r.Outcome, r.Revised, r.Settled, r.Audited, r.FinishedAt = &outcome, true, true, false, b.now()
			m.waiting = append(m.waiting, "r")
		}
	case 7:
		if random.IntN(2) == 0 {
			if m.allows(b, b.Settle(ctx, key), r, r != nil && r.State == ledger.StateDone && !r.Settled) {
				r.Settled = true
			}
		} else if err := b.MarkAudited(ctx, key); r != nil && m.allows(b, err, r, r.State == ledger.StateDone) {
			r.Audited = true
		}
	}
	b.advance(time.Second)
	if r := m.records[key]; r != nil {
		same(b.T, b.get(key), *r)
	}
}

// allows compares the ledger's word with the model's.
func (m *model) allows(b *bench, err error, r *ledger.Record, want bool) bool {
	b.Helper()
	known := []error{ledger.ErrState, ledger.ErrProbed, ledger.ErrUnknownRequest, ledger.ErrInvalid, ledger.ErrAccountBusy}
	if err != nil && !slices.ContainsFunc(known, func(kind error) bool { return errors.Is(err, kind) }) {
		b.Fatalf("unforeseen: %v", err)
	}
	if (err == nil) != want {
		b.Fatalf("the ledger says %v, the model %t for %+v", err, want, r)
	}
	return want
}

func (m *model) busy(account writeback.GUID) bool {
	for _, r := range m.records {
		if r.Unresolved() && r.Intent.Account == account {
			return true
		}
	}
	return false
}

func (m *model) compare(b *bench) {
	b.Helper()
	unresolved, err := b.Unresolved(b.Context())
	b.must(err)
	unaudited, err := b.Unaudited(b.Context())
	b.must(err)
	want := [2]int{}
	for _, r := range m.records {
		if r.Unresolved() {
			want[0]++
		}
		if r.State == ledger.StateDone && !r.Audited {
			want[1]++
		}
		same(b.T, b.get(r.Key), *r)
	}
	same(b.T, [2]int{len(unresolved), len(unaudited)}, want)
	if len(m.waiting) > 0 {
		same(b.T, messages(b.T, b.Ledger), m.waiting)
	}
}

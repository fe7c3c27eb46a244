package ledger_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// hourly allows two tries an hour.
func hourly() ledger.Budget { return ledger.Budget{Tries: 2, Per: time.Hour} }

// begin claims request n and begins its write on account 1.
func (b *bench) begin(n int, operation writeback.Operation, budget ledger.Budget) (writeback.RequestKey, error) {
	b.Helper()
	claims := b.claims(n)
	claims.Operation = operation
	_, _, err := b.Claim(b.Context(), claims)
	b.must(err)
	intent := b.intent(1)
	intent.Operation = operation
	return claims.Key(), b.BeginWriting(b.Context(), claims.Key(), intent, budget)
}

// try takes request n from its claim to an outcome.
func (b *bench) try(n int, operation writeback.Operation, outcome writeback.Outcome) {
	b.Helper()
	key, err := b.begin(n, operation, hourly())
	b.must(err)
	b.must(b.Finish(b.Context(), key, outcome, true, nil))
}

func wrongOld() writeback.Outcome {
	return writeback.Answer(writeback.PasswordOldIncorrect, writeback.Detail{})
}

func TestWhatSpendsTheBudget(t *testing.T) {
	for name, c := range map[string]struct {
		operation writeback.Operation
		outcome   writeback.Outcome
		spent     bool
	}{
		"a wrong old password":          {writeback.OpChange, wrongOld(), true},
		"a change nobody knows of":      {writeback.OpChange, unknown(), true},
		"a change that worked":          {writeback.OpChange, written(), false},
		"a new password that is short":  {writeback.OpChange, refusedOutcome(), false},
		"an unlock":                     {writeback.OpUnlock, written(), true},
		"an unlock found applied":       {writeback.OpUnlock, writeback.Answer(writeback.AlreadyApplied, writeback.Detail{}), true},
		"an unlock nobody knows of":     {writeback.OpUnlock, unknown(), true},
		"an unlock without the right":   {writeback.OpUnlock, writeback.Answer(writeback.DirectoryAccessDenied, writeback.Detail{}), false},
		"a reset":                       {writeback.OpReset, written(), false},
		"a reset, refused for its past": {writeback.OpReset, writeback.Answer(writeback.PasswordInHistory, writeback.Detail{}), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.try(1, c.operation, c.outcome)
			b.try(2, c.operation, c.outcome)
			b.reopen()
			err := b.BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly())
			same(t, errors.Is(err, ledger.ErrBudget), c.spent)
			_, err = b.begin(3, writeback.OpUnlock, hourly())
			same(t, errors.Is(err, ledger.ErrBudget), c.spent)
		})
	}
}

func TestChangesAndUnlocksShareOneBudget(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpChange, wrongOld())
	b.advance(10 * time.Minute)
	b.try(2, writeback.OpUnlock, written())
	b.advance(time.Minute)
	key, err := b.begin(3, writeback.OpChange, hourly())
	b.refused(err, ledger.ErrBudget)
	same(t, b.get(key).State, ledger.StateClaimed)
	var spent *ledger.BudgetError
	if !errors.As(err, &spent) {
		t.Fatalf("%T", err)
	}
	same(t, spent.RetryAfter, start.Add(time.Hour)) // when the first try no longer counts
	b.must(b.BudgetSpent(b.Context(), account(2), writeback.OpChange, hourly()))
	b.must(b.BudgetSpent(b.Context(), account(1), writeback.OpReset, hourly()))

	b.advance(49*time.Minute - time.Second)
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()), ledger.ErrBudget)
	b.advance(time.Second)
	b.must(b.BeginWriting(b.Context(), key, changeIntent(b), hourly()))
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()), ledger.ErrBudget) // charged before anything is sent
	b.must(b.Release(b.Context(), key))
	b.must(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()))
}

func changeIntent(b *bench) ledger.Intent {
	intent := b.intent(1)
	intent.Operation = writeback.OpChange
	return intent
}

func TestATryIsChargedAcrossACrashAndGivenBackWhenTheWriteIsFound(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpUnlock, written())
	key, err := b.begin(2, writeback.OpChange, hourly())
	b.must(err)
	b.refused(b.crashed().BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly()), ledger.ErrBudget)
	b.must(b.Finish(b.Context(), key, unknown(), false, nil))
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly()), ledger.ErrBudget)
	b.must(b.Revise(b.Context(), key, written(), nil))
	b.must(b.BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly()))
}

func TestATryIsGivenBackToItsOwnRequestOnly(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpUnlock, written())
	claims := b.claims(1) // the same id, from another portal
	claims.Issuer, claims.Operation = "desk", writeback.OpChange
	_, _, err := b.Claim(b.Context(), claims)
	b.must(err)
	b.must(b.BeginWriting(b.Context(), claims.Key(), changeIntent(b), hourly()))
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()), ledger.ErrBudget)
	b.must(b.Finish(b.Context(), claims.Key(), written(), true, nil))
	b.must(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()))
	b.try(2, writeback.OpUnlock, written())
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpUnlock, hourly()), ledger.ErrBudget) // the first one's try is still there
}

func TestABudgetMayBeConfiguredAnew(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpUnlock, written())
	key, err := b.begin(2, writeback.OpUnlock, ledger.Budget{Tries: 5, Per: 10 * time.Minute})
	b.must(err)
	b.must(b.Finish(b.Context(), key, written(), true, nil))
	b.reopen()
	var spent *ledger.BudgetError
	if err := b.BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly()); !errors.As(err, &spent) {
		t.Fatal(err)
	}
	same(t, spent.RetryAfter, start.Add(10*time.Minute))
	b.must(b.BudgetSpent(b.Context(), account(1), writeback.OpChange, ledger.Budget{Tries: 3, Per: time.Hour}))
}

func TestTriesThatNoLongerCountAreForgotten(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpUnlock, written())
	same(t, b.Tries(t), 1)
	b.advance(time.Hour - time.Second)
	b.prune()
	same(t, b.Tries(t), 1)
	b.advance(time.Second)
	b.prune()
	same(t, b.Tries(t), 0)
}

func TestATryThatCountsIsNotForgottenWithAnOlderOne(t *testing.T) {
	b := newBench(t)
	b.try(1, writeback.OpChange, wrongOld())
	b.advance(50 * time.Minute)
	b.try(2, writeback.OpChange, wrongOld())
	b.advance(11 * time.Minute)
	b.prune()
	b.try(3, writeback.OpChange, wrongOld())
	b.refused(b.BudgetSpent(b.Context(), account(1), writeback.OpChange, hourly()), ledger.ErrBudget)
}

func (b *bench) prune() {
	b.Helper()
	_, err := b.Prune(b.Context())
	b.must(err)
}

// TestBudgetModel compares the ledger with a list of the times at which tries were charged.
func TestBudgetModel(t *testing.T) {
	for seed := range uint64(4) {
		b := newBench(t)
		random := rand.New(rand.NewPCG(seed, 7))
		budget := ledger.Budget{Tries: 3, Per: time.Hour}
		var charged []time.Time
		for n := range 120 {
			b.advance(time.Duration(random.IntN(40)) * time.Minute)
			live := charged[:0:0]
			for _, at := range charged {
				if b.now().Before(at.Add(time.Hour)) {
					live = append(live, at)
				}
			}
			charged = live
			operation := []writeback.Operation{writeback.OpChange, writeback.OpUnlock}[random.IntN(2)]
			key, err := b.begin(n, operation, budget)
			if same(t, errors.Is(err, ledger.ErrBudget), len(charged) >= 3); err != nil {
				continue
			}
			outcome := []writeback.Outcome{wrongOld(), written(), unknown(), refusedOutcome()}[random.IntN(4)]
			b.must(b.Finish(b.Context(), key, outcome, true, nil))
			wrong := outcome.Reason == writeback.PasswordOldIncorrect && operation == writeback.OpChange
			if unlocked := outcome.Verdict == writeback.Written && operation == writeback.OpUnlock; wrong || unlocked || outcome.Verdict == writeback.Unknown {
				charged = append(charged, b.now())
			}
			switch random.IntN(10) {
			case 0:
				b.reopen()
			case 1:
				b.prune()
			}
		}
	}
}

// FuzzDecodeTries reads what a damaged file may hold: an account has at least one try, or the file is called damaged.
func FuzzDecodeTries(f *testing.F) {
	key := account(1)
	f.Add(key[:], []byte(`{"tries":[{"issuer":"portal","id":"a","until":"2026-03-01T12:00:00Z"}]}`), true)
	f.Add(key[:], []byte(`{"tries":[{"until":"2026-03-01T12:00:00Z"},{"until":"2026-03-01T11:00:00Z"}]}`), true)
	f.Add(key[:], []byte(`{"tries":[]}`), true)
	f.Add([]byte("stranger"), []byte(`{"tries":[{}]}`), true)
	f.Add(key[:], []byte(`{}`), false)
	f.Fuzz(func(t *testing.T, key, payload []byte, frame bool) {
		if frame {
			payload = ledger.FrameTries(key, payload)
		}
		tries, err := ledger.DecodeTries(key, payload)
		if err == nil && (tries == 0 || len(key) != len(writeback.GUID{})) {
			t.Fatalf("%d tries under a key of %d bytes", tries, len(key))
		}
		if err != nil && !errors.Is(err, ledger.ErrCorrupt) {
			t.Fatalf("error %v is not ErrCorrupt", err)
		}
	})
}

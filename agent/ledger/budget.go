package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Budget is how often an account's password may be guessed: at most Tries changes with a wrong old password, and unlocks, within any
// span of Per. Both count together, because an unlock clears the count by which the directory itself stops guessing. The zero
// Budget sets no limit.
type Budget struct {
	Tries int
	Per   time.Duration
}

// limits reports whether requests for the operation spend of the budget.
func (b Budget) limits(operation writeback.Operation) bool {
	return b.Tries > 0 && (operation == writeback.OpChange || operation == writeback.OpUnlock)
}

// ErrBudget refuses to begin a write for an account whose budget is spent. Nothing was changed.
var ErrBudget = errors.New("too many failed changes and unlocks of the account")

// BudgetError says when there is room again. It is an [ErrBudget].
type BudgetError struct {
	Account    writeback.GUID
	RetryAfter time.Time
}

// Error names the account and the time.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("%v: %s, until %s", ErrBudget, e.Account, e.RetryAfter.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrBudget) true.
func (e *BudgetError) Is(target error) bool { return target == ErrBudget }

// try is one charge to an account's budget.
type try struct {
	Issuer string    `json:"issuer"`
	ID     string    `json:"id"`
	Until  time.Time `json:"until"` // when it no longer counts
}

type storedTries struct {
	Tries []try `json:"tries"` // in the order of Until
}

// BudgetSpent returns a [BudgetError] if a request of this operation for the account would be refused now. Only BeginWriting charges.
func (l *Ledger) BudgetSpent(ctx context.Context, account writeback.GUID, operation writeback.Operation, budget Budget) error {
	if !budget.limits(operation) {
		return nil
	}
	return l.view(ctx, func(tx *bbolt.Tx) error {
		tries, err := liveTries(tx, account, l.now())
		if err != nil {
			return err
		}
		return budget.room(account, tries)
	})
}

// room refuses when so many tries count that one more would be too many.
func (b Budget) room(account writeback.GUID, tries []try) error {
	if len(tries) < b.Tries {
		return nil
	}
	return &BudgetError{Account: account, RetryAfter: tries[len(tries)-b.Tries].Until}
}

// charge takes a try from the account's budget in the commit that begins the write: what was tried is never forgotten, whatever
// happens next. The try is given back when it turns out that nothing was learned by it.
func (c *change) charge(r *Record, budget Budget) error {
	if !budget.limits(r.Operation) {
		return nil
	}
	account := r.Intent.Account
	tries, err := liveTries(c.tx, account, c.now)
	if err != nil {
		return err
	}
	if err := budget.room(account, tries); err != nil {
		return err
	}
	tries = append(tries, try{Issuer: r.Key.Issuer, ID: r.Key.ID, Until: c.now.Add(budget.Per).Round(0)})
	return c.keepTries(account, tries)
}

// refund gives a request's try back. An account that was never charged stays untouched.
func (c *change) refund(r *Record) error {
	if r.Intent == nil {
		return nil
	}
	account := r.Intent.Account
	tries, err := liveTries(c.tx, account, c.now)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(tries), func(t try) bool { return t.Issuer == r.Key.Issuer && t.ID == r.Key.ID })
	if len(left) == len(tries) {
		return nil
	}
	return c.keepTries(account, left)
}

func (c *change) keepTries(account writeback.GUID, tries []try) error {
	if len(tries) == 0 {
		return c.remove(bucketTries, account[:])
	}
	slices.SortStableFunc(tries, func(a, b try) int { return a.Until.Compare(b.Until) }) // the configured span may have changed
	return c.store(bucketTries, account[:], storedTries{Tries: tries})
}

// spent reports whether the request's outcome leaves its try charged: an unlock that may have happened, a wrong old password, and a
// change of which nobody knows. After every other answer nothing was guessed.
func (r *Record) spent() bool {
	switch r.Operation {
	case writeback.OpUnlock:
		return r.Outcome.Verdict != writeback.NotWritten
	case writeback.OpChange:
		return r.Outcome.Verdict == writeback.Unknown || r.Outcome.Reason == writeback.PasswordOldIncorrect
	}
	return false
}

// settleTry gives the try back unless the outcome leaves it charged.
func (c *change) settleTry(r *Record) error {
	if r.spent() {
		return nil
	}
	return c.refund(r)
}

// liveTries returns the tries that still count at now.
func liveTries(tx *bbolt.Tx, account writeback.GUID, now time.Time) ([]try, error) {
	framed := tx.Bucket([]byte(bucketTries)).Get(account[:])
	if framed == nil {
		return nil, nil
	}
	tries, err := decodeTries(account[:], framed)
	return slices.DeleteFunc(tries, func(t try) bool { return !now.Before(t.Until) }), err
}

func decodeTries(key, framed []byte) ([]try, error) {
	var stored storedTries
	if err := decode(bucketTries, key, framed, &stored); err != nil {
		return nil, err
	}
	sorted := slices.IsSortedFunc(stored.Tries, func(a, b try) int { return a.Until.Compare(b.Until) })
	if len(key) != len(writeback.GUID{}) || len(stored.Tries) == 0 || !sorted {
		return nil, fmt.Errorf("%w: tries under %x", ErrCorrupt, key)
	}
	return stored.Tries, nil
}

func verifyTries(tx *bbolt.Tx) error {
	return tx.Bucket([]byte(bucketTries)).ForEach(func(key, framed []byte) error {
		_, err := decodeTries(key, framed)
		return err
	})
}

// forgetTries removes the tries of accounts of which none counts any more, and reports whether there may be more of them.
func (c *change) forgetTries() (more bool, err error) {
	due, err := dueValues(c.tx, bucketTries, func(key, framed []byte) (bool, error) {
		tries, err := decodeTries(key, framed)
		return err == nil && !c.now.Before(tries[len(tries)-1].Until), err
	})
	if err != nil {
		return false, err
	}
	for _, key := range due {
		if err := c.remove(bucketTries, key); err != nil {
			return false, err
		}
	}
	return len(due) == pruneGroup, nil
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// maxGroup bounds how many callers share one commit.
const maxGroup = 128

// step is one caller's change, waiting for the commit that carries it.
type step struct {
	apply func(*change) error
	done  chan error
}

// change is the view a step has of the transaction it runs in. Steps look and judge first and write afterwards, so that a
// refused step leaves nothing behind in the transaction it shares with others.
type change struct {
	tx      *bbolt.Tx
	now     time.Time
	wrote   bool // the step under way has written
	dirty   bool // any step has written: there is something to commit
	records int  // how many there are, with those of this transaction
	pending int  // the same for results in the outbox
	posted  bool // the outbox grew
}

func (c *change) put(bucket string, key, value []byte) error {
	c.wrote, c.dirty = true, true
	return c.tx.Bucket([]byte(bucket)).Put(key, value)
}

func (c *change) remove(bucket string, key []byte) error {
	c.wrote, c.dirty = true, true
	return c.tx.Bucket([]byte(bucket)).Delete(key)
}

// store encodes v for its place and puts it there.
func (c *change) store(bucket string, key []byte, v any) error {
	framed, err := encode(bucket, key, v)
	if err != nil {
		return err
	}
	return c.put(bucket, key, framed)
}

// errNothingWritten rolls a transaction back without an fsync: every step was refused or only looked.
var errNothingWritten = errors.New("nothing written")

// change runs apply in the next commit and returns when that commit is on the disk.
func (l *Ledger) change(ctx context.Context, apply func(*change) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	mine := &step{apply: apply, done: make(chan error, 1)}
	select {
	case l.steps <- mine:
		return <-mine.done
	case <-ctx.Done():
		return fmt.Errorf("ledger: %w", ctx.Err())
	case <-l.closing:
		return ErrClosed
	}
}

// commitLoop carries steps to the disk until the ledger is closed. While one commit waits for the disk the next callers
// queue up at the channel and then share the following one: the group grows with the load, and a lone caller waits for
// nobody. (bbolt's own Batch would make a lone caller wait for a timer, and runs commits on goroutines of its own, where a
// panic about a damaged page could not be contained.)
func (l *Ledger) commitLoop() {
	defer close(l.stopped)
	for {
		select {
		case first := <-l.steps:
			l.commit(l.gather(first))
		case <-l.closing:
			return
		}
	}
}

func (l *Ledger) gather(first *step) []*step {
	group := []*step{first}
	for len(group) < maxGroup {
		select {
		case next := <-l.steps:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// commit runs a group in one transaction and tells each caller how it went. When the transaction fails, all of them get
// its error, the refused ones too: what made them be refused may have been another step of the same failed group.
func (l *Ledger) commit(group []*step) {
	current := &change{now: l.now().UTC(), records: l.records, pending: l.pending}
	results := make([]error, len(group))
	err := l.update(func(tx *bbolt.Tx) error {
		current.tx = tx
		return applyAll(current, group, results)
	})
	switch {
	case errors.Is(err, errNothingWritten):
	case err != nil:
		l.failed = true
		for i := range results {
			results[i] = err
		}
	default:
		l.failed = false
		l.records, l.pending = current.records, current.pending
		if current.posted {
			l.signal()
		}
	}
	for i, s := range group {
		s.done <- results[i]
	}
}

// applyAll returns an error when the transaction must not be committed.
func applyAll(current *change, group []*step, results []error) error {
	for i, s := range group {
		current.wrote = false
		results[i] = s.apply(current)
		if results[i] != nil && current.wrote {
			return fmt.Errorf("ledger: %w", results[i])
		}
	}
	if !current.dirty {
		return errNothingWritten
	}
	return nil
}

// update runs f in a read-write transaction.
func (l *Ledger) update(f func(*bbolt.Tx) error) error {
	if l.broken != nil {
		return l.broken
	}
	err := contained(func() error { return l.db.Update(f) })
	var panicked *panicError
	if errors.As(err, &panicked) {
		// What bbolt holds in memory is in doubt now: nothing is written any more until the ledger is opened anew.
		l.broken = err
		l.logger.WithError(err).Error("ledger: damaged; nothing is recorded any more until it is opened anew")
	}
	return named(err)
}

// view runs f in a read-only transaction.
func (l *Ledger) view(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return named(contained(func() error { return l.db.View(f) }))
}

// named gives bbolt's error for a closed database our name.
func named(err error) error {
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// panicError is a panic of bbolt, which is its way to report damaged pages. It is an [ErrCorrupt].
type panicError struct{ reason any }

func (e *panicError) Error() string        { return fmt.Sprintf("%v: %v", ErrCorrupt, e.reason) }
func (e *panicError) Is(target error) bool { return target == ErrCorrupt }

// contained runs f and turns a panic into an error. The file is mapped into memory: reading a page that is no longer there
// is a fault, which SetPanicOnFault makes a panic of this goroutine instead of the end of the process.
func contained(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = &panicError{reason: reason}
		}
	}()
	return f()
}

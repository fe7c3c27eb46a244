package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// clockStep is how far the confirmed time must be ahead of the stored one to be worth a commit. After a crash the stored
// time may be behind by this much.
const clockStep = time.Second

// clock is the highest own time that a controller confirmed.
type clock struct {
	mu      sync.Mutex
	highest time.Time
	stored  time.Time
}

// advance takes a confirmed time in, and reports whether it should be stored.
func (c *clock) advance(confirmed time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if confirmed.After(c.highest) {
		c.highest = confirmed
	}
	return c.stored.IsZero() || confirmed.Sub(c.stored) >= clockStep
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.highest
}

// keep notes that a time is on the disk.
func (c *clock) keep(stored time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stored.After(c.stored) {
		c.stored = stored
	}
}

// AdvanceTime remembers an own time that a controller's clock confirmed, when it is later than the highest known.
func (l *Ledger) AdvanceTime(ctx context.Context, confirmed time.Time) error {
	confirmed = confirmed.UTC().Round(0)
	if confirmed.IsZero() || !l.clock.advance(confirmed) {
		return nil
	}
	err := l.change(ctx, func(c *change) error {
		confirmed = l.clock.now()
		return c.store(bucketMeta, []byte(metaHighestTime), confirmed)
	})
	if err == nil {
		l.clock.keep(confirmed)
	}
	return err
}

// HighestTime returns the highest own time that a controller confirmed; zero when none was. A clock behind it is wrong, or
// the machine was set back to an earlier snapshot.
func (l *Ledger) HighestTime(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, fmt.Errorf("ledger: %w", err)
	}
	return l.clock.now(), nil
}

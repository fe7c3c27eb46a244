package agent

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// clockStep is how far the confirmed time moves before it is written again: the ledger need not hear of every request.
const clockStep = 30 * time.Second

// confirmedClock remembers the highest own time that a controller confirmed, across restarts. A clock behind it went
// backwards, and no expiry can be trusted: a restored snapshot would accept old requests again.
type confirmedClock struct {
	store interface {
		HighestTime(ctx context.Context) (time.Time, error)
		AdvanceTime(ctx context.Context, confirmed time.Time) error
	}
	mu      sync.Mutex
	highest time.Time
	loaded  bool
}

func newConfirmedClock(store Ledger) *confirmedClock { return &confirmedClock{store: store} }

// check returns an error if now is behind the highest confirmed time by more than the tolerance.
func (c *confirmedClock) check(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		highest, err := c.store.HighestTime(ctx)
		if err != nil {
			return fmt.Errorf("read the highest confirmed time: %w", err)
		}
		c.highest, c.loaded = highest, true
	}
	if behind := c.highest.Sub(now); behind > clockTolerance {
		return fmt.Errorf("the clock of this host is %s behind a time that a domain controller has confirmed", behind.Round(time.Second))
	}
	return nil
}

// confirm notes that a controller agreed with our clock at now.
func (c *confirmedClock) confirm(ctx context.Context, now time.Time, failed func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.highest) < clockStep {
		return
	}
	if err := c.store.AdvanceTime(ctx, now); err != nil {
		failed(err)
		return
	}
	c.highest = now
}

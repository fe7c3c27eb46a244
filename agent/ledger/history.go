package ledger

import (
	"context"
	"time"

	"go.etcd.io/bbolt"
)

// NewestAudited returns when the newest outcome was recorded that the audit was said to hold; zero when there is none. An audit that ends
// before it is older than the ledger.
func (l *Ledger) NewestAudited(ctx context.Context) (newest time.Time, err error) {
	err = l.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketRecords)).ForEach(func(key, framed []byte) error {
			record, err := decodeRecord(key, framed)
			if err == nil && record.Audited && record.FinishedAt.After(newest) {
				newest = record.FinishedAt
			}
			return err
		})
	})
	return newest, err
}

// ResetTime takes back the highest time that a controller confirmed, to a time of an administrator's choice. It is for a host whose clock
// was far ahead together with its controller's, and weakens what notices a clock that was set back: nothing but an explicit command may call it.
func (l *Ledger) ResetTime(ctx context.Context, to time.Time) error {
	to = to.UTC().Round(0)
	err := l.change(ctx, func(c *change) error { return c.store(bucketMeta, []byte(metaHighestTime), to) })
	if err == nil {
		l.clock.reset(to)
	}
	return err
}

func (c *clock) reset(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.highest, c.stored = to, to
}

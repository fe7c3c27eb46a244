package ledger

import (
	"context"
	"time"

	"go.etcd.io/bbolt"
)

// pruneGroup bounds what one commit removes, so that requests do not wait long behind it.
const pruneGroup = 500

// Prune forgets what has run out: records KeepAfterExpiry after their request expired, last writes after the same time,
// results that are no longer worth sending, and tries that no longer count. It returns how many records it removed. A record that is unresolved, or
// not yet audited, is kept however old it is. After a commit that failed it succeeds only when the disk takes writes again, also
// with nothing to forget.
func (l *Ledger) Prune(ctx context.Context) (int, error) {
	if err := l.prove(ctx); err != nil {
		return 0, err
	}
	total := 0
	for {
		removed, more := 0, false
		err := l.change(ctx, func(c *change) error {
			before := c.records
			err := l.forgetRecords(c, pruneGroup)
			removed = before - c.records
			if err != nil {
				return err
			}
			rest, err := l.forgetRest(c)
			if err != nil {
				return err
			}
			tries, err := c.forgetTries()
			more = removed == pruneGroup || rest || tries
			return err
		})
		if err != nil {
			return total, err
		}
		total += removed
		if !more {
			return total, nil
		}
	}
}

// proofSize is more than the next few commits need, so that pages which happen to be free do not pass for room on the disk.
const proofSize = 64 << 10

// prove writes something after a commit that failed, and removes it again.
func (l *Ledger) prove(ctx context.Context) error {
	proof := []byte(metaProof)
	err := l.change(ctx, func(c *change) error {
		if !l.failed {
			return nil
		}
		return c.put(bucketMeta, proof, make([]byte, proofSize))
	})
	if err != nil {
		return err
	}
	return l.change(ctx, func(c *change) error {
		if c.tx.Bucket([]byte(bucketMeta)).Get(proof) == nil {
			return nil
		}
		return c.remove(bucketMeta, proof)
	})
}

// forgetRecords removes up to most records that have run out, oldest first.
func (l *Ledger) forgetRecords(c *change, most int) error {
	cutoff := c.now.Add(-l.options.KeepAfterExpiry).UnixNano()
	for _, indexKey := range dueRecords(c.tx, cutoff, most) {
		if err := c.remove(bucketExpiry, indexKey); err != nil {
			return err
		}
		if err := c.remove(bucketRecords, indexKey[8:]); err != nil {
			return err
		}
		c.records--
	}
	return nil
}

func dueRecords(tx *bbolt.Tx, cutoff int64, most int) [][]byte {
	var due [][]byte
	open, unaudited := tx.Bucket([]byte(bucketOpen)), tx.Bucket([]byte(bucketUnaudited))
	cursor := tx.Bucket([]byte(bucketExpiry)).Cursor()
	for indexKey, _ := cursor.First(); indexKey != nil && len(due) < most; indexKey, _ = cursor.Next() {
		expires, key, ok := expiryOf(indexKey)
		if !ok || expires > cutoff {
			break
		}
		if open.Get(key) == nil && unaudited.Get(key) == nil {
			due = append(due, append([]byte(nil), indexKey...))
		}
	}
	return due
}

// forgetRest removes last writes and results that have run out, and reports whether there may be more of them.
func (l *Ledger) forgetRest(c *change) (more bool, err error) {
	writes, err := dueValues(c.tx, bucketWrites, func(key, framed []byte) (bool, error) {
		write, err := decodeWrite(key, framed)
		return c.now.Sub(write.WrittenAt) > l.options.KeepAfterExpiry+time.Hour, err
	})
	if err != nil {
		return false, err
	}
	results, err := dueValues(c.tx, bucketOutbox, func(key, framed []byte) (bool, error) {
		result, err := decodeResult(key, framed)
		return expired(result, c.now), err
	})
	if err != nil {
		return false, err
	}
	for _, key := range writes {
		if err := c.remove(bucketWrites, key); err != nil {
			return false, err
		}
	}
	for _, key := range results {
		if err := c.unpost(key); err != nil {
			return false, err
		}
	}
	return len(writes) == pruneGroup || len(results) == pruneGroup, nil
}

// dueValues returns up to pruneGroup keys of a bucket whose values are due.
func dueValues(tx *bbolt.Tx, bucket string, due func(key, framed []byte) (bool, error)) ([][]byte, error) {
	var keys [][]byte
	cursor := tx.Bucket([]byte(bucket)).Cursor()
	for key, framed := cursor.First(); key != nil && len(keys) < pruneGroup; key, framed = cursor.Next() {
		yes, err := due(key, framed)
		if err != nil {
			return nil, err
		}
		if yes {
			keys = append(keys, append([]byte(nil), key...))
		}
	}
	return keys, nil
}

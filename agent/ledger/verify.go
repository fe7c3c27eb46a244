package ledger

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// inspect looks through the whole file before anything relies on it, and takes from it what is kept in memory.
func (l *Ledger) inspect() error {
	err := contained(func() error { return l.db.View(l.verify) })
	if err != nil {
		return classifyOpen(l.options.Path, err)
	}
	if l.pending > 0 {
		l.signal()
	}
	return nil
}

// verify checks the pages, then every value, then that the indexes say what the records say.
func (l *Ledger) verify(tx *bbolt.Tx) error {
	var damage error
	for err := range tx.Check() { // drained, because the checker waits for its reader
		if damage == nil {
			damage = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	if damage != nil {
		return damage
	}
	for _, check := range []func(*bbolt.Tx) error{l.verifyMeta, l.verifyRecords, l.verifyOutbox, verifyWrites} {
		if err := check(tx); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) verifyMeta(tx *bbolt.Tx) error {
	key := []byte(metaHighestTime)
	framed := tx.Bucket([]byte(bucketMeta)).Get(key)
	if framed == nil {
		return nil
	}
	var highest time.Time
	if err := decode(bucketMeta, key, framed, &highest); err != nil {
		return err
	}
	l.clock.highest, l.clock.stored = highest, highest
	return nil
}

// verifyRecords decodes each record and finds it in the indexes it belongs to. Equal numbers then show that the indexes
// hold nothing else.
func (l *Ledger) verifyRecords(tx *bbolt.Tx) error {
	want := map[string]int{}
	err := tx.Bucket([]byte(bucketRecords)).ForEach(func(key, framed []byte) error {
		r, err := decodeRecord(key, framed)
		if err != nil {
			return err
		}
		l.records++
		var account []byte
		if r.Intent != nil {
			account = r.Intent.Account[:]
		}
		for _, index := range []struct {
			bucket     string
			key, value []byte
			belongs    bool
		}{
			{bucketExpiry, expiryKey(r.ExpiresAt, key), []byte{}, true},
			{bucketOpen, key, account, r.Unresolved()},
			{bucketUnaudited, key, []byte{}, r.unaudited()},
		} {
			if !index.belongs {
				continue
			}
			want[index.bucket]++
			value := tx.Bucket([]byte(index.bucket)).Get(index.key)
			if value == nil || !bytes.Equal(value, index.value) {
				return fmt.Errorf("%w: %s does not agree with the record under %x", ErrCorrupt, index.bucket, key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return countAgree(tx, want, bucketExpiry, bucketOpen, bucketUnaudited)
}

func (l *Ledger) verifyOutbox(tx *bbolt.Tx) error {
	err := tx.Bucket([]byte(bucketOutbox)).ForEach(func(sequence, framed []byte) error {
		result, err := decodeResult(sequence, framed)
		if err != nil {
			return err
		}
		key, err := recordKey(result.Request)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		l.pending++
		if tx.Bucket([]byte(bucketWaiting)).Get(append(key, sequence...)) == nil {
			return fmt.Errorf("%w: %s lacks result %d", ErrCorrupt, bucketWaiting, result.Sequence)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return countAgree(tx, map[string]int{bucketWaiting: l.pending}, bucketWaiting)
}

func verifyWrites(tx *bbolt.Tx) error {
	return tx.Bucket([]byte(bucketWrites)).ForEach(func(key, framed []byte) error {
		_, err := decodeWrite(key, framed)
		return err
	})
}

func countAgree(tx *bbolt.Tx, want map[string]int, names ...string) error {
	for _, name := range names {
		if got := tx.Bucket([]byte(name)).Stats().KeyN; got != want[name] {
			return fmt.Errorf("%w: %s has %d entries instead of %d", ErrCorrupt, name, got, want[name])
		}
	}
	return nil
}

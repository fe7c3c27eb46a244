package ledger

import (
	"bytes"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// verify looks through the whole file before anything relies on it: every value, then that the indexes say what the
// records say, then bbolt's own account of its pages. The order matters: a page outside the file is a fault, which only
// this goroutine survives, and bbolt's check runs on another.
func verify(path string, tx *bbolt.Tx) error {
	if err := checkSize(path, tx); err != nil {
		return err
	}
	if !fresh(tx) {
		for _, check := range []func(*bbolt.Tx) error{checkFormat, verifyTime, verifyRecords, verifyOutbox, verifyWrites, verifyTries} {
			if err := check(tx); err != nil {
				return err
			}
		}
	}
	var damage error
	for err := range tx.Check() { // drained, because the checker waits for its reader
		if damage == nil {
			damage = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return damage
}

// load takes from the file what is kept in memory.
func (l *Ledger) load() error {
	err := contained(func() error {
		return l.db.View(func(tx *bbolt.Tx) (err error) {
			l.records = tx.Bucket([]byte(bucketRecords)).Stats().KeyN
			l.pending = tx.Bucket([]byte(bucketOutbox)).Stats().KeyN
			l.clock.highest, err = loadTime(tx)
			l.clock.stored = l.clock.highest
			return err
		})
	})
	if err != nil {
		return classifyOpen(l.options.Path, err)
	}
	if l.pending > 0 {
		l.signal()
	}
	return nil
}

func loadTime(tx *bbolt.Tx) (highest time.Time, err error) {
	key := []byte(metaHighestTime)
	if framed := tx.Bucket([]byte(bucketMeta)).Get(key); framed != nil {
		err = decode(bucketMeta, key, framed, &highest)
	}
	return highest, err
}

func verifyTime(tx *bbolt.Tx) error {
	_, err := loadTime(tx)
	return err
}

// verifyRecords decodes each record and finds it in the indexes it belongs to. Equal numbers then show that the indexes
// hold nothing else.
func verifyRecords(tx *bbolt.Tx) error {
	want := map[string]int{}
	err := tx.Bucket([]byte(bucketRecords)).ForEach(func(key, framed []byte) error {
		r, err := decodeRecord(key, framed)
		if err != nil {
			return err
		}
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

func verifyOutbox(tx *bbolt.Tx) error {
	waiting := 0
	err := tx.Bucket([]byte(bucketOutbox)).ForEach(func(sequence, framed []byte) error {
		result, err := decodeResult(sequence, framed)
		if err != nil {
			return err
		}
		key, err := recordKey(result.Request)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		waiting++
		if tx.Bucket([]byte(bucketWaiting)).Get(append(key, sequence...)) == nil {
			return fmt.Errorf("%w: %s lacks result %d", ErrCorrupt, bucketWaiting, result.Sequence)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return countAgree(tx, map[string]int{bucketWaiting: waiting}, bucketWaiting)
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

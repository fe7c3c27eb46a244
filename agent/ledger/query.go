package ledger

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Get returns the record of a request; false when there is none.
func (l *Ledger) Get(ctx context.Context, key writeback.RequestKey) (Record, bool, error) {
	stored, err := recordKey(key)
	if err != nil {
		return Record{}, false, err
	}
	var r Record
	var ok bool
	err = l.view(ctx, func(tx *bbolt.Tx) (err error) {
		r, ok, err = loadRecord(tx, stored)
		return err
	})
	return r, ok, err
}

// Unresolved returns the records whose end somebody has to find out, see [Record.Unresolved].
func (l *Ledger) Unresolved(ctx context.Context) ([]Record, error) {
	return l.indexed(ctx, bucketOpen)
}

// Unaudited returns the done records whose outcome was not yet marked as audited, to be compared with the audit at start.
func (l *Ledger) Unaudited(ctx context.Context) ([]Record, error) {
	return l.indexed(ctx, bucketUnaudited)
}

func (l *Ledger) indexed(ctx context.Context, bucket string) ([]Record, error) {
	var records []Record
	err := l.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(key, _ []byte) error {
			r, ok, err := loadRecord(tx, key)
			if err == nil && !ok {
				err = fmt.Errorf("%w: %s names a record that does not exist", ErrCorrupt, bucket)
			}
			records = append(records, r)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// LastWrite returns this agent's own last password write to an account, as long as it is remembered (KeepAfterExpiry).
func (l *Ledger) LastWrite(ctx context.Context, account writeback.GUID) (LastWrite, bool, error) {
	var write LastWrite
	var ok bool
	err := l.view(ctx, func(tx *bbolt.Tx) (err error) {
		write, ok, err = loadWrite(tx, account)
		return err
	})
	return write, ok, err
}

func loadWrite(tx *bbolt.Tx, account writeback.GUID) (LastWrite, bool, error) {
	framed := tx.Bucket([]byte(bucketWrites)).Get(account[:])
	if framed == nil {
		return LastWrite{}, false, nil
	}
	write, err := decodeWrite(account[:], framed)
	return write, err == nil, err
}

func decodeWrite(key, framed []byte) (LastWrite, error) {
	var stored storedWrite
	if err := decode(bucketWrites, key, framed, &stored); err != nil {
		return LastWrite{}, err
	}
	return LastWrite{
		Request:  writeback.RequestKey{Issuer: stored.Issuer, ID: stored.ID},
		IssuedAt: stored.IssuedAt, WrittenAt: stored.WrittenAt,
		Version: stored.Version, VersionSource: stored.VersionSource, Controller: stored.Controller,
	}, nil
}

func storeWrite(w LastWrite) storedWrite {
	return storedWrite{
		Issuer: w.Request.Issuer, ID: w.Request.ID, IssuedAt: w.IssuedAt.UTC(), WrittenAt: w.WrittenAt.UTC(),
		Version: w.Version, VersionSource: w.VersionSource, Controller: w.Controller,
	}
}

// Stats counts what the ledger holds.
func (l *Ledger) Stats(ctx context.Context) (Stats, error) {
	stats := Stats{Created: l.created, MaxRecords: l.options.MaxRecords}
	err := l.view(ctx, func(tx *bbolt.Tx) error {
		count := func(bucket string) int { return tx.Bucket([]byte(bucket)).Stats().KeyN }
		stats.Records, stats.Unresolved = count(bucketRecords), count(bucketOpen)
		stats.Unaudited, stats.Pending = count(bucketUnaudited), count(bucketOutbox)
		stats.FileBytes = tx.Size()
		return nil
	})
	return stats, err
}

// expiryOf splits a key of the expiry index.
func expiryOf(indexKey []byte) (nanoseconds int64, key []byte, ok bool) {
	if len(indexKey) <= 8 {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(indexKey)), indexKey[8:], true
}

package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// check holds the record against what the ledger's steps can lead to.
func (r Record) check() error {
	if err := r.checkRequest(); err != nil {
		return err
	}
	if r.Intent != nil && (r.Intent.Account.IsZero() || r.Intent.Controller == "" || r.Intent.WritingAt.IsZero()) {
		return errors.New("an intent without account, controller or time")
	}
	if r.Probed && r.Intent == nil {
		return errors.New("a probe without an intent")
	}
	switch r.State {
	case StateClaimed:
		return r.checkNoOutcome(r.Intent == nil)
	case StateWriting:
		return r.checkNoOutcome(r.Intent != nil)
	case StateDone:
		return r.checkOutcome()
	}
	return fmt.Errorf("state %q is not known", r.State)
}

func (r Record) checkRequest() error {
	switch {
	case r.Key.Issuer == "" || r.Key.ID == "":
		return errors.New("a request without issuer or id")
	case !r.Operation.Known():
		return fmt.Errorf("operation %q is not known", r.Operation)
	case r.IssuedAt.IsZero() || !r.ExpiresAt.After(r.IssuedAt):
		return errors.New("a request that does not expire after it was issued")
	case r.ClaimedAt.IsZero():
		return errors.New("a request that was never claimed")
	}
	return nil
}

func (r Record) checkNoOutcome(intentFits bool) error {
	if !intentFits || r.Outcome != nil || !r.FinishedAt.IsZero() || r.Settled || r.Revised || r.Audited {
		return fmt.Errorf("state %s does not agree with the rest", r.State)
	}
	return nil
}

func (r Record) checkOutcome() error {
	if r.Outcome == nil || r.FinishedAt.IsZero() {
		return errors.New("done without an outcome")
	}
	switch r.Outcome.Verdict {
	case writeback.Written, writeback.NotWritten, writeback.OK, writeback.Unknown:
	default:
		return fmt.Errorf("verdict %q is not known", r.Outcome.Verdict)
	}
	switch {
	case !r.Outcome.Reason.Known():
		return fmt.Errorf("reason %q is not known", r.Outcome.Reason)
	case !r.Settled && (r.Outcome.Verdict != writeback.Unknown || r.Intent == nil):
		return errors.New("only an unknown outcome of a begun write can be looked for")
	case r.Revised && r.Outcome.Verdict != writeback.Written:
		return errors.New("revised, but not written")
	}
	return nil
}

// loadRecord reads the record under a stored key; ok is false when there is none.
func loadRecord(tx *bbolt.Tx, key []byte) (r Record, ok bool, err error) {
	framed := tx.Bucket([]byte(bucketRecords)).Get(key)
	if framed == nil {
		return Record{}, false, nil
	}
	r, err = decodeRecord(key, framed)
	return r, err == nil, err
}

func decodeRecord(key, framed []byte) (Record, error) {
	var stored storedRecord
	if err := decode(bucketRecords, key, framed, &stored); err != nil {
		return Record{}, err
	}
	r, err := stored.record()
	if err == nil {
		var own []byte
		if own, err = recordKey(r.Key); err == nil && string(own) != string(key) {
			err = errors.New("it belongs to another key")
		}
	}
	if err != nil {
		return Record{}, fmt.Errorf("%w: record under %x: %w", ErrCorrupt, key, err)
	}
	return r, nil
}

// save writes a record and brings the indexes into line with it.
func (c *change) save(key []byte, r Record) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := c.store(bucketRecords, key, storeRecord(r)); err != nil {
		return err
	}
	var account []byte
	if r.Intent != nil {
		account = r.Intent.Account[:]
	}
	if err := c.index(bucketOpen, key, account, r.Unresolved()); err != nil {
		return err
	}
	return c.index(bucketUnaudited, key, []byte{}, r.unaudited())
}

func (r Record) unaudited() bool { return r.State == StateDone && !r.Audited }

func (c *change) index(bucket string, key, value []byte, present bool) error {
	if present {
		return c.put(bucket, key, value)
	}
	return c.remove(bucket, key)
}

// expiryKey sorts records by the expiry of their request.
func expiryKey(expires time.Time, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(expires.UnixNano())), key...)
}

package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Bounds of what waits in the outbox.
const (
	maxToken             = 64 << 10 // bytes of a result token
	maxWaitingPerRequest = 3        // results of one request: its own, a revision, and one answer from memory
)

func checkResult(key writeback.RequestKey, result *writeback.PendingResult) error {
	switch {
	case result == nil:
		return nil
	case result.Request != key:
		return fmt.Errorf("%w: a result for %s sent with %s", ErrInvalid, result.Request, key)
	case len(result.Token) == 0 || len(result.Token) > maxToken:
		return fmt.Errorf("%w: a result token of %d bytes", ErrInvalid, len(result.Token))
	case result.Queue == "":
		return fmt.Errorf("%w: a result without a queue", ErrInvalid)
	}
	return nil
}

// Enqueue puts an answer into the outbox that changes no record: one from memory, or to a request that has no record. The
// result's Sequence is ignored; an Expires that is zero or later than OutboxLife from now becomes that.
//
// [ErrOutboxFull] when too many wait altogether, or already for the same request: a message repeated without end must not
// fill the disk. Nothing is lost then that matters, because an answer to the request waits already or the portal asks again.
func (l *Ledger) Enqueue(ctx context.Context, result writeback.PendingResult) error {
	if err := checkResult(result.Request, &result); err != nil {
		return err
	}
	key, err := recordKey(result.Request)
	if err != nil {
		return err
	}
	return l.change(ctx, func(c *change) error {
		if n := countWaiting(c.tx, key); n >= maxWaitingPerRequest {
			return fmt.Errorf("%w: %d results of %s wait", ErrOutboxFull, n, result.Request)
		}
		if c.pending >= l.options.MaxPending {
			return fmt.Errorf("%w: %d results wait", ErrOutboxFull, c.pending)
		}
		return l.post(c, result)
	})
}

// post adds a result to the outbox.
func (l *Ledger) post(c *change, result writeback.PendingResult) error {
	key, err := recordKey(result.Request)
	if err != nil {
		return err
	}
	latest := c.now.Add(l.options.OutboxLife)
	if result.Expires.IsZero() || result.Expires.After(latest) {
		result.Expires = latest
	}
	c.wrote, c.dirty = true, true
	number, err := c.tx.Bucket([]byte(bucketOutbox)).NextSequence()
	if err != nil {
		return err
	}
	sequence := sequenceKey(number)
	if err := c.store(bucketOutbox, sequence, storeResult(result)); err != nil {
		return err
	}
	c.posted = true
	c.pending++
	return c.put(bucketWaiting, append(key, sequence...), []byte{})
}

// Pending returns the results that wait to be sent and are worth sending, oldest first.
func (l *Ledger) Pending(ctx context.Context) ([]writeback.PendingResult, error) {
	now := l.now()
	var pending []writeback.PendingResult
	err := l.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucketOutbox)).ForEach(func(key, framed []byte) error {
			result, err := decodeResult(key, framed)
			if err == nil && !expired(result, now) {
				pending = append(pending, result)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return pending, nil
}

// Delivered takes a result out of the outbox: the queue has accepted it. A sequence that is not there is no error.
func (l *Ledger) Delivered(ctx context.Context, sequence uint64) error {
	return l.change(ctx, func(c *change) error { return c.unpost(sequenceKey(sequence)) })
}

func (c *change) unpost(sequence []byte) error {
	framed := c.tx.Bucket([]byte(bucketOutbox)).Get(sequence)
	if framed == nil {
		return nil
	}
	result, err := decodeResult(sequence, framed)
	if err != nil {
		return err
	}
	key, err := recordKey(result.Request)
	if err != nil {
		return err
	}
	if err := c.remove(bucketOutbox, sequence); err != nil {
		return err
	}
	c.pending--
	return c.remove(bucketWaiting, append(key, sequence...))
}

// Changed returns a channel that holds a token when results were added since it was last read from, and after Open when
// some were waiting. It is meant for one reader, and is never closed.
func (l *Ledger) Changed() <-chan struct{} { return l.changed }

func (l *Ledger) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func countWaiting(tx *bbolt.Tx, key []byte) int {
	cursor := tx.Bucket([]byte(bucketWaiting)).Cursor()
	n := 0
	for found, _ := cursor.Seek(key); len(found) == len(key)+8 && string(found[:len(key)]) == string(key); found, _ = cursor.Next() {
		n++
	}
	return n
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

func storeResult(p writeback.PendingResult) storedResult {
	return storedResult{
		Issuer: p.Request.Issuer, ID: p.Request.ID, MessageID: p.MessageID,
		Queue: p.Queue, Session: p.Session, Token: p.Token, Expires: p.Expires.UTC().Round(0),
	}
}

func decodeResult(key, framed []byte) (writeback.PendingResult, error) {
	var stored storedResult
	if err := decode(bucketOutbox, key, framed, &stored); err != nil {
		return writeback.PendingResult{}, err
	}
	if len(key) != 8 {
		return writeback.PendingResult{}, fmt.Errorf("%w: outbox sequence of %d bytes", ErrCorrupt, len(key))
	}
	result := writeback.PendingResult{
		Sequence:  binary.BigEndian.Uint64(key),
		Request:   writeback.RequestKey{Issuer: stored.Issuer, ID: stored.ID},
		MessageID: stored.MessageID, Queue: stored.Queue, Session: stored.Session, Token: stored.Token, Expires: stored.Expires,
	}
	if err := checkResult(result.Request, &result); err != nil {
		return writeback.PendingResult{}, fmt.Errorf("%w: result %d: %w", ErrCorrupt, result.Sequence, err)
	}
	return result, nil
}

// expired reports whether a result is no longer worth sending.
func expired(result writeback.PendingResult, now time.Time) bool { return !now.Before(result.Expires) }

package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// maxReply bounds the reply session that is stored with a record; the envelope admits less.
const maxReply = 512

// Claim takes a request on: it inserts a claimed record unless there is one for the request's key. Of concurrent claims
// with one key exactly one inserts. An existing record is returned as it is, with existed true; its Digest may differ
// from that of claims, which is for the caller to judge.
//
// [ErrFull] when MaxRecords records exist of which none may be forgotten yet.
func (l *Ledger) Claim(ctx context.Context, claims writeback.Claims) (rec Record, existed bool, err error) {
	key, err := recordKey(claims.Key())
	if err != nil {
		return Record{}, false, err
	}
	if len(claims.ReplySession) > maxReply {
		return Record{}, false, fmt.Errorf("%w: reply session of %d bytes", ErrInvalid, len(claims.ReplySession))
	}
	err = l.change(ctx, func(c *change) error {
		rec, existed, err = loadRecord(c.tx, key)
		if err != nil || existed {
			return err
		}
		rec, err = l.insert(c, key, claims)
		return err
	})
	if err != nil {
		return Record{}, false, err
	}
	return rec, existed, nil
}

func (l *Ledger) insert(c *change, key []byte, claims writeback.Claims) (Record, error) {
	r := Record{
		Key: claims.Key(), Digest: claims.Digest, Operation: claims.Operation,
		IssuedAt: claims.IssuedAt.UTC(), ExpiresAt: claims.ExpiresAt.UTC(), ReplySession: claims.ReplySession,
		State: StateClaimed, ClaimedAt: c.now.Round(0),
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if c.records >= l.options.MaxRecords {
		if err := l.forgetRecords(c, pruneGroup); err != nil {
			return Record{}, err
		}
		if c.records >= l.options.MaxRecords {
			return Record{}, fmt.Errorf("%w: %d records", ErrFull, c.records)
		}
	}
	if err := c.save(key, r); err != nil {
		return Record{}, err
	}
	c.records++
	return r, c.put(bucketExpiry, expiryKey(r.ExpiresAt, key), []byte{})
}

// alter loads the record of a request, lets edit change it or refuse, and saves it.
func (l *Ledger) alter(ctx context.Context, key writeback.RequestKey, edit func(*change, *Record) error) error {
	stored, err := recordKey(key)
	if err != nil {
		return err
	}
	return l.change(ctx, func(c *change) error {
		r, ok, err := loadRecord(c.tx, stored)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: %s", ErrUnknownRequest, key)
		}
		if err := edit(c, &r); err != nil {
			return err
		}
		return c.save(stored, r)
	})
}

func refuse(r *Record, step, why string) error {
	return &StateError{Key: r.Key, State: r.State, Step: step, Why: why}
}

// BeginWriting records that a write is about to be sent. Only a claimed record admits it, and only while no other request
// for the same account is unresolved ([ErrAccountBusy]). A change or unlock takes a try from the account's budget, and is refused
// where none is left ([ErrBudget]). The write may be sent when it returned nil, and must not be otherwise.
func (l *Ledger) BeginWriting(ctx context.Context, key writeback.RequestKey, intent Intent, budget Budget) error {
	return l.alter(ctx, key, func(c *change, r *Record) error {
		switch {
		case r.State != StateClaimed:
			return refuse(r, "BeginWriting", "")
		case !r.Operation.Writes() || intent.Operation != r.Operation:
			return fmt.Errorf("%w: intent to %q for a request to %q", ErrInvalid, intent.Operation, r.Operation)
		}
		if intent.WritingAt.IsZero() {
			intent.WritingAt = c.now
		}
		if err := c.accountFree(intent.Account); err != nil {
			return err
		}
		r.State, r.Intent = StateWriting, &intent
		if err := r.checked(); err != nil {
			return err
		}
		return c.charge(r, budget)
	})
}

// checked is check for use before the first write of a step.
func (r *Record) checked() error {
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func (c *change) accountFree(account writeback.GUID) error {
	cursor := c.tx.Bucket([]byte(bucketOpen)).Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		if bytes.Equal(value, account[:]) {
			return fmt.Errorf("%w: %s", ErrAccountBusy, account)
		}
	}
	return nil
}

// Release takes a begun write back: it is certain that nothing was sent. The record is claimed again. Refused after a
// probe, which shows that the caller was not certain.
func (l *Ledger) Release(ctx context.Context, key writeback.RequestKey) error {
	return l.alter(ctx, key, func(c *change, r *Record) error {
		if r.State != StateWriting || r.Probed {
			return refuse(r, "Release", probedText(r))
		}
		if err := c.refund(r); err != nil {
			return err
		}
		r.State, r.Intent = StateClaimed, nil
		return nil
	})
}

func probedText(r *Record) string {
	if r.Probed {
		return "it was probed"
	}
	return ""
}

// MarkProbed records that a bind with the request's new password is about to be tried. Only an unresolved record admits
// it, and only once: the second call returns [ErrProbed].
func (l *Ledger) MarkProbed(ctx context.Context, key writeback.RequestKey) error {
	return l.alter(ctx, key, func(_ *change, r *Record) error {
		switch {
		case r.Probed:
			return fmt.Errorf("%w: %s", ErrProbed, r.Key)
		case !r.Unresolved() || !r.Operation.SetsPassword():
			return refuse(r, "MarkProbed", "only an unresolved password write is probed")
		}
		r.Probed = true
		return nil
	})
}

package ledger

import (
	"context"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Finish records how a request ended, and puts its signed result into the outbox, in one commit. A nil result sends
// nothing. settled counts only for an unknown outcome: false says that somebody goes on looking, so that the record stays
// unresolved and may be revised. A written password is remembered as the account's [LastWrite].
//
// A record that is done already is refused with [ErrState]: the first outcome stands. An outcome that says a password was
// written, or unknown and looked for, needs a begun write.
func (l *Ledger) Finish(ctx context.Context, key writeback.RequestKey, outcome writeback.Outcome, settled bool, result *writeback.PendingResult) error {
	if err := checkResult(key, result); err != nil {
		return err
	}
	return l.alter(ctx, key, func(c *change, r *Record) error {
		if r.State == StateDone {
			return refuse(r, "Finish", "")
		}
		if r.Intent == nil && outcome.Verdict == writeback.Written && r.Operation.SetsPassword() {
			return refuse(r, "Finish", "no write was begun, so none can have happened")
		}
		r.State = StateDone
		r.Settled = settled || outcome.Verdict != writeback.Unknown
		return l.conclude(c, r, outcome, result)
	})
}

// Revise replaces an unknown outcome that is still being looked for by what was found, written, and sends that result.
// It happens at most once; every other record refuses it with [ErrState].
func (l *Ledger) Revise(ctx context.Context, key writeback.RequestKey, outcome writeback.Outcome, result *writeback.PendingResult) error {
	if err := checkResult(key, result); err != nil {
		return err
	}
	if outcome.Verdict != writeback.Written {
		return fmt.Errorf("%w: an outcome is revised to written, never to %q", ErrInvalid, outcome.Verdict)
	}
	return l.alter(ctx, key, func(c *change, r *Record) error {
		if r.State != StateDone || !r.Unresolved() {
			return refuse(r, "Revise", "only an unknown outcome that is still being looked for")
		}
		r.Settled, r.Revised, r.Audited = true, true, false
		return l.conclude(c, r, outcome, result)
	})
}

// conclude sets the outcome, remembers a password write, settles the budget and posts the result.
func (l *Ledger) conclude(c *change, r *Record, outcome writeback.Outcome, result *writeback.PendingResult) error {
	outcome.Replayed = false
	r.Outcome, r.FinishedAt = &outcome, c.now.Round(0)
	if err := r.checked(); err != nil {
		return err
	}
	if err := c.rememberWrite(r); err != nil {
		return err
	}
	if err := c.settleTry(r); err != nil {
		return err
	}
	if result == nil {
		return nil
	}
	return l.post(c, *result)
}

// Settle records that an unknown outcome is no longer looked for: it stays unknown. Every other record refuses it.
func (l *Ledger) Settle(ctx context.Context, key writeback.RequestKey) error {
	return l.alter(ctx, key, func(_ *change, r *Record) error {
		if r.State != StateDone || r.Settled {
			return refuse(r, "Settle", "only an unknown outcome that is still being looked for")
		}
		r.Settled = true
		return nil
	})
}

// MarkAudited records that the audit holds the outcomes of these requests. Requests without a record are passed over: they
// were forgotten after the audit line was written. A request that is not done is refused, and then none is marked.
func (l *Ledger) MarkAudited(ctx context.Context, keys ...writeback.RequestKey) error {
	stored := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if stored[i], err = recordKey(key); err != nil {
			return err
		}
	}
	return l.change(ctx, func(c *change) error {
		records, err := c.audited(stored)
		if err != nil {
			return err
		}
		for i, r := range records {
			if r == nil {
				continue
			}
			if err := c.save(stored[i], *r); err != nil {
				return err
			}
		}
		return nil
	})
}

// audited returns the records as they will be; nil where there is nothing to do.
func (c *change) audited(keys [][]byte) ([]*Record, error) {
	records := make([]*Record, len(keys))
	for i, key := range keys {
		r, ok, err := loadRecord(c.tx, key)
		switch {
		case err != nil:
			return nil, err
		case !ok || r.Audited:
			continue
		case r.State != StateDone:
			return nil, refuse(&r, "MarkAudited", "")
		}
		r.Audited = true
		records[i] = &r
	}
	return records, nil
}

// rememberWrite keeps a written password as the account's last write, unless a later one is known already.
func (c *change) rememberWrite(r *Record) error {
	if r.Outcome.Verdict != writeback.Written || !r.Operation.SetsPassword() || r.Intent == nil {
		return nil
	}
	account := r.Intent.Account
	known, ok, err := loadWrite(c.tx, account)
	if err != nil {
		return err
	}
	if ok && known.WrittenAt.After(r.Intent.WritingAt) {
		return nil
	}
	write := LastWrite{
		Request: r.Key, IssuedAt: r.IssuedAt, WrittenAt: r.Intent.WritingAt,
		VersionSource: r.Intent.Seen.VersionSource, Controller: r.Intent.Controller,
	}
	if write.VersionSource != writeback.VersionNone {
		write.Version = r.Intent.Seen.Version + 1
	}
	return c.store(bucketWrites, account[:], storeWrite(write))
}

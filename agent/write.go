package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// record is step 7: the intent goes to disk twice, audit first, before anything is sent. What cannot be recorded is not
// done. From here on the context of the delivery no longer counts: stopping is not cancelling.
func (p *Pipeline) record(ctx context.Context, j *job) *ending {
	if ctx.Err() != nil {
		return silent(writeback.AgentStopping, context.Cause(ctx))
	}
	if err := p.stillTrusted(j); err != nil {
		return refuse(err)
	}
	ctx = context.WithoutCancel(ctx)
	if err := p.Audit.Append(ctx, j.eventOf(audit.KindIntent)); err != nil {
		p.auditFailed(err)
		return silent(writeback.AgentStorageUnavailable, err)
	}
	err := p.Ledger.BeginWriting(ctx, j.claims.Key(), j.intent(p), p.UserBudget)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrAccountBusy):
		return refuse(writeback.NewError(writeback.RequestInProgress, err))
	case errors.Is(err, ledger.ErrBudget):
		return refuse(overBudget(err))
	}
	return p.ledgerFailed(ctx, err)
}

// verifiedLife is how long a verification is relied on: keys are revoked while requests wait for one another.
const verifiedLife = time.Second

// stillTrusted verifies a request once more that was taken a while ago.
func (p *Pipeline) stillTrusted(j *job) error {
	if p.Now().Sub(j.received) < verifiedLife {
		return nil
	}
	_, err := p.Envelope.Verify(j.delivery.Body)
	return err
}

func (j *job) intent(p *Pipeline) ledger.Intent {
	change := j.request.Change()
	return ledger.Intent{
		Account: j.account.GUID, Domain: j.account.Domain, Controller: j.account.Controller,
		Operation: change.Operation, MustChange: change.MustChange, Unlock: change.Unlock,
		Seen: j.account.Password, WritingAt: p.Now(),
	}
}

// write is step 8: one Modify, and an honest answer about it.
func (p *Pipeline) write(ctx context.Context, j *job) *ending {
	if end := p.lastLook(ctx, j); end != nil {
		return end
	}
	err := p.modify(ctx, j)
	reason := writeback.ReasonOf(err)
	switch {
	case err == nil:
		return nil
	case reason == writeback.DirectoryOutcomeUnknown || !hasReason(err):
		p.log(j).WithError(err).Warn("the answer to a write was lost: finding out")
		return p.findOut(ctx, j)
	case writeback.Lookup(reason).Class == writeback.ClassPassword:
		return p.refusedPassword(ctx, j, err)
	}
	return refuse(p.Guard.Conceal(j.claims.Issuer, err)) // it may have been deleted since it was found
}

// hasReason tells what the directory said from what nobody foresaw: after that a Modify may have left.
func hasReason(err error) bool {
	var typed *writeback.Error
	return errors.As(err, &typed)
}

// lastLook makes sure that the write still may happen. If not, the record says again that nothing was sent.
func (p *Pipeline) lastLook(ctx context.Context, j *job) *ending {
	var end *ending
	switch {
	case ctx.Err() != nil:
		end = silent(writeback.AgentStopping, context.Cause(ctx))
	case p.expired(j.claims):
		end = refuse(writeback.NewError(writeback.RequestExpired, fmt.Errorf("expired %s while it was worked on", j.claims.ExpiresAt)))
	case j.delivery.LockedUntil().Sub(p.Now()) < p.Limits.WriteTimeout:
		end = silent(writeback.AgentLockLost, errors.New("the queue's lock would end during the write"))
	default:
		return nil
	}
	return p.takeBack(context.WithoutCancel(ctx), j, end)
}

// takeBack records that the announced write was not sent.
func (p *Pipeline) takeBack(ctx context.Context, j *job, end *ending) *ending {
	if err := p.Ledger.Release(ctx, j.claims.Key()); err != nil {
		return p.storageFailed(err)
	}
	p.auditOutcome(ctx, j.eventOf(audit.KindReleased))
	return end
}

// modify sends the Modify. Neither the end of the delivery's context nor a stop interrupts it; only the write deadline does.
func (p *Pipeline) modify(ctx context.Context, j *job) error {
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Limits.WriteTimeout)
	defer cancel()
	j.sent = true
	return p.Directory.Write(writing, j.account, j.request.Change())
}

// refusedPassword checks a refusal against the evidence: if the password moved meanwhile, the refusal may be the answer
// to a repetition of a write that had taken effect ("already used"). Only a bind with the new password proves that.
func (p *Pipeline) refusedPassword(ctx context.Context, j *job, refusal error) *ending {
	ctx = context.WithoutCancel(ctx)
	w := p.newWatch(j)
	state, err := p.stateOf(ctx, w)
	if err != nil || compare(w.intent.Seen, state) != movedByOne {
		return refuse(refusal)
	}
	if p.probe(ctx, w, state) == ProbeOurs {
		return finish(writeback.Answer(writeback.ReasonOK, writeback.Detail{}))
	}
	return refuse(refusal)
}

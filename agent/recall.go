package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// answerLife is how long after its expiry an unknown request is still answered.
const answerLife = time.Hour

// recall is step 4: the ledger is asked before any time is judged, so that a repeated token is answered with what
// happened to it and not with what its age suggests.
func (p *Pipeline) recall(ctx context.Context, j *job) *ending {
	record, known, err := p.Ledger.Get(ctx, j.claims.Key())
	if err != nil {
		return p.ledgerFailed(ctx, err)
	}
	if known {
		return p.remembered(ctx, j, record)
	}
	return p.welcome(ctx, j)
}

// remembered serves a request that the ledger knows. nil means that it was only claimed: it may go on.
func (p *Pipeline) remembered(ctx context.Context, j *job, record ledger.Record) *ending {
	if record.Digest != j.claims.Digest {
		return p.reusedOnce(j)
	}
	j.recorded = true
	switch record.State {
	case ledger.StateDone:
		p.offerPassword(j)
		return replayed(record)
	case ledger.StateWriting:
		return p.awaitWatch(ctx, j, record)
	}
	return p.resume(ctx, j)
}

// reused refuses a second request under a used id, without touching the first one's outcome.
func reused() *ending {
	end := refuse(writeback.NewError(writeback.EnvelopeIDReused, errors.New("the id belongs to a request with other content")))
	end.answer = answerOnce
	return end
}

// reusedOnce is reused within the issuer's rate: whoever signs can make any number of requests under one id.
func (p *Pipeline) reusedOnce(j *job) *ending {
	if err := p.Guard.Admit(j.claims.Issuer, p.Now()); err != nil {
		return silent(writeback.ReasonOf(err), err)
	}
	return reused()
}

// replayed answers from memory.
func replayed(record ledger.Record) *ending {
	outcome := *record.Outcome
	outcome.Replayed = true
	return &ending{outcome: outcome, answer: answerOnce}
}

// resume lets a claimed request go on: this agent sent nothing. Without its sealed part it can only be refused. Once expired it is
// like one without a record: it may have been given back, and served by another agent since.
func (p *Pipeline) resume(ctx context.Context, j *job) *ending {
	if end := p.distrustClock(ctx); end != nil {
		return end
	}
	if p.expired(j.claims) {
		return p.tooLate(ctx, j)
	}
	if j.request == nil {
		return refuse(writeback.NewError(writeback.EnvelopeUndecryptable, errors.New("claimed, but it opens no more")))
	}
	return p.judge(ctx, j)
}

// welcome serves a request that the ledger does not know.
func (p *Pipeline) welcome(ctx context.Context, j *job) *ending {
	if end := p.distrustClock(ctx); end != nil {
		return end
	}
	if end := p.limit(j); end != nil {
		return end
	}
	if p.expired(j.claims) {
		return p.tooLate(ctx, j)
	}
	if err := p.claim(ctx, j); err != nil {
		return p.ledgerFailed(ctx, err)
	}
	return p.judge(ctx, j)
}

// distrustClock ends the walk of whatever could still be written while our clock is behind a confirmed time: no expiry means
// anything then.
func (p *Pipeline) distrustClock(ctx context.Context) *ending {
	err := p.clock.check(ctx, p.Now())
	if err == nil {
		return nil
	}
	p.Health.Fail(health.Clock, health.Down, err)
	return silent(writeback.AgentStorageUnavailable, err)
}

// longestMemory bounds what a request may claim as its expiry in the ledger: one that claims more is refused for that, however
// often it comes, and must not be remembered for ever.
const longestMemory = 24 * time.Hour

func (p *Pipeline) claim(ctx context.Context, j *job) error {
	claims := j.claims
	if latest := p.Now().Add(longestMemory); claims.ExpiresAt.After(latest) {
		claims.ExpiresAt = latest
	}
	_, existed, err := p.Ledger.Claim(ctx, claims)
	if err != nil {
		return err
	}
	if existed {
		return fmt.Errorf("%w: claimed by somebody else at the same time", ledger.ErrState)
	}
	j.recorded = true
	return nil
}

// judge looks at the times and at what the issuer may ask for.
func (p *Pipeline) judge(ctx context.Context, j *job) *ending {
	if err := p.Envelope.JudgeTimes(j.claims, p.Now()); err != nil {
		return refuse(err)
	}
	if err := p.Guard.CheckIssuer(j.claims, p.Now()); err != nil {
		return refuse(err)
	}
	switch j.claims.Operation {
	case writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck:
		if err := p.judgeLock(j); err != nil {
			return refuse(err)
		}
		if end := p.judgeContent(j.request); end != nil {
			return end
		}
		return p.consultLists(ctx, j.request)
	case writeback.OpPing:
		return finish(writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK})
	}
	return refuse(writeback.NewError(writeback.RequestUnsupported, fmt.Errorf("operation %q", j.claims.Operation)))
}

// judgeLock refuses to write, and to say that a write could succeed, for a queue whose locks are shorter than requests live: after a crash another agent would get the
// message while it may still write.
func (p *Pipeline) judgeLock(j *job) error {
	dead := j.claims.ExpiresAt.Add(p.Limits.Skew)
	locked := j.delivery.LockedUntil()
	if !locked.Before(dead) {
		return nil
	}
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Detail: writeback.Detail{Hint: "lock_duration"},
		Hint:  "Set the lock duration of the requests queue to 5 minutes.",
		Cause: fmt.Errorf("the queue's lock ends %s before the request does", dead.Sub(locked).Round(time.Second)),
	}
}

// judgeContent refuses what no directory need be asked about.
func (p *Pipeline) judgeContent(request *writeback.Request) *ending {
	if err := p.Guard.CheckSubject(request); err != nil {
		return refuse(err)
	}
	if err := p.Guard.CheckPassword(request); err != nil {
		return refuse(err)
	}
	return nil
}

// consultLists asks the administrator's lists of passwords, for requests that may still write only: the lists of another agent may have been others, so
// they say nothing about what it did.
func (p *Pipeline) consultLists(ctx context.Context, request *writeback.Request) *ending {
	if p.Passwords == nil || !request.Operation.SetsPassword() {
		return nil
	}
	if err := p.Passwords.Check(ctx, request.Password); err != nil {
		return refuse(err)
	}
	return nil
}

// expired reports whether a request may no longer write, whatever else is true.
func (p *Pipeline) expired(claims writeback.Claims) bool {
	return !p.Now().Before(claims.ExpiresAt.Add(p.Limits.Skew))
}

// tooLate answers an expired request that this agent did not write: another agent may have, so the password's own time decides
// between "not written" and "unknown". What cannot be opened here, or asks for what only a newer agent knows, stays unknown. Who asks for what
// writes nothing is told so, whatever else may be wrong with the request.
func (p *Pipeline) tooLate(ctx context.Context, j *job) *ending {
	if end := p.tooOld(j); end != nil {
		return end
	}
	err := expiry(j.claims)
	end := refuse(err)
	switch operation := j.claims.Operation; {
	case operation == writeback.OpPing || operation == writeback.OpCheck:
	case j.request == nil:
		end.outcome.Verdict = writeback.Unknown
	default:
		end = p.lookBack(ctx, j, err)
	}
	end.answer = answerStored // a token that a broker repeats without end costs no more than its removal
	if end.outcome.Verdict == writeback.Unknown && writeback.Lookup(end.outcome.Reason).Class == writeback.ClassDirectory {
		end.answer = answerOnce // the directory may be back the next time
	}
	return end
}

// tooOld meets what nobody is answered any more with silence. It counts towards no rate: whoever has kept one old token could spend it
// with that.
func (p *Pipeline) tooOld(j *job) *ending {
	if p.Now().After(j.claims.ExpiresAt.Add(answerLife)) {
		return silent(writeback.RequestExpired, expiry(j.claims))
	}
	return nil
}

func expiry(claims writeback.Claims) error {
	return writeback.NewError(writeback.RequestExpired, fmt.Errorf("expired %s", claims.ExpiresAt))
}

// lookBack asks the guard first: an expired request must not show more than a fresh one.
func (p *Pipeline) lookBack(ctx context.Context, j *job, expired error) *ending {
	if err := p.Guard.CheckIssuer(j.claims, j.claims.ExpiresAt); err != nil {
		return refuse(err)
	}
	if end := p.judgeContent(j.request); end != nil {
		return end
	}
	account, err := p.lookUp(ctx, j, j.request.Subject)
	if err != nil {
		return unknownUnlessRefused(err)
	}
	err = p.Guard.CheckAccount(j.request, account, p.Now())
	switch {
	case writeback.ReasonOf(err) == writeback.PolicyOutOfScope: // and nothing about the account beside it
		return refuse(err)
	case mayHaveBeenServed(j.claims, account.Password): // what stands against it now, like "locked" or "protected", may have come after the write
		return &ending{outcome: writeback.Outcome{Verdict: writeback.Unknown, Reason: writeback.RequestExpired}, err: expired}
	case err != nil:
		return refuse(err)
	}
	return refuse(expired)
}

// unknownUnlessRefused: a directory that cannot be asked leaves it open whether another agent has written.
func unknownUnlessRefused(err error) *ending {
	end := refuse(err)
	if writeback.Lookup(end.outcome.Reason).Class == writeback.ClassDirectory {
		end.outcome.Verdict = writeback.Unknown
	}
	return end
}

func mayHaveBeenServed(claims writeback.Claims, state writeback.PasswordState) bool {
	if claims.Operation == writeback.OpUnlock {
		return !state.LockoutTimeSet
	}
	changed := state.ChangedAtLocal()
	return changed.IsZero() || !changed.Before(claims.IssuedAt.Add(-clockTolerance))
}

package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/writeback"
)

// resolve is step 5.
func (p *Pipeline) resolve(ctx context.Context, j *job) *ending {
	account, err := p.lookUp(ctx, j, j.request.Subject)
	if err != nil {
		if ctx.Err() != nil {
			return silent(writeback.AgentStopping, err)
		}
		return refuse(err)
	}
	j.account = account
	return nil
}

// lookUp finds the account within the time allowed for finding a controller that answers.
func (p *Pipeline) lookUp(ctx context.Context, j *job, subject writeback.Subject) (writeback.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Limits.ControllerSearch)
	defer cancel()
	account, err := p.Directory.Resolve(ctx, subject)
	if err != nil {
		return writeback.Account{}, p.Guard.Conceal(j.claims.Issuer, err)
	}
	return account, nil
}

// admit is step 6: whether this account may be written to, now, for this request. A check ends here.
func (p *Pipeline) admit(ctx context.Context, j *job) *ending {
	if j.claims.Operation == writeback.OpCheck {
		return p.dryRun(ctx, j)
	}
	for _, judge := range []func(context.Context, *job) *ending{
		p.judgeAccount, p.waitForAccount, p.judgeState, p.judgeBudget,
	} {
		if end := judge(ctx, j); end != nil {
			return end
		}
	}
	return nil
}

func (p *Pipeline) judgeAccount(_ context.Context, j *job) *ending {
	if err := p.Guard.CheckAccount(j.request, j.account, p.Now()); err != nil {
		return refuse(err)
	}
	return nil
}

// judgeState looks at the clocks, and at what is in place already.
func (p *Pipeline) judgeState(ctx context.Context, j *job) *ending {
	if err := p.confirmTime(ctx, j.account.Password); err != nil {
		return refuse(err)
	}
	if j.claims.Operation == writeback.OpUnlock {
		return alreadyUnlocked(j)
	}
	return p.protectNewer(ctx, j)
}

func alreadyUnlocked(j *job) *ending {
	if j.account.Password.LockoutTimeSet || j.account.LockedOut {
		return nil
	}
	return finish(writeback.Answer(writeback.AlreadyApplied, writeback.Detail{}))
}

// waitForAccount makes requests for one account follow one another, also behind one whose outcome is still open. Nobody
// waits longer than the own request lives, and not many wait at all: they hold slots that other people's requests need.
func (p *Pipeline) waitForAccount(ctx context.Context, j *job) *ending {
	waiting, cancel := context.WithTimeout(ctx, j.claims.ExpiresAt.Sub(p.Now()))
	defer cancel()
	release, waited, err := p.accounts.acquire(waiting, j.account.GUID)
	if err != nil {
		if ctx.Err() != nil {
			return silent(writeback.AgentStopping, err)
		}
		return refuse(writeback.NewError(writeback.RequestInProgress, errors.New("an earlier request for this account has no known outcome yet")))
	}
	j.releases = append(j.releases, release)
	if waited { // what was read before is old
		return p.lookAgain(ctx, j)
	}
	return nil
}

// lookAgain reads and judges the account once more, by its GUID: while the request waited it may have been disabled, moved or made
// an administrator, and its password set.
func (p *Pipeline) lookAgain(ctx context.Context, j *job) *ending {
	subject := writeback.Subject{
		Kind: writeback.ByGUID, Value: j.account.GUID.String(), AssertedImmutableID: j.request.Subject.AssertedImmutableID,
	}
	account, err := p.lookUp(ctx, j, subject)
	if err != nil {
		if ctx.Err() != nil {
			return silent(writeback.AgentStopping, err)
		}
		return refuse(err)
	}
	if account.GUID != j.account.GUID {
		return refuse(writeback.NewError(writeback.AgentInternal, errors.New("the directory answered with another account")))
	}
	j.account = account
	return p.judgeAccount(ctx, j)
}

// confirmTime refuses to write while our clock and the controller's disagree: no expiry could be trusted.
func (p *Pipeline) confirmTime(ctx context.Context, state writeback.PasswordState) error {
	if state.ControllerTime.IsZero() {
		return writeback.NewError(writeback.DirectoryUnavailable, errors.New("the controller does not tell its time"))
	}
	if offset := state.ClockOffset().Abs(); offset > p.Limits.ControllerSkew {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Detail: writeback.Detail{Hint: "clock"},
			Hint:  "Synchronise the clocks of this host and of the domain controller (NTP).",
			Cause: fmt.Errorf("the clocks of this host and of the controller differ by %s", offset),
		}
	}
	p.clock.confirm(ctx, state.ReadAt, func(err error) { p.Health.Fail(health.Ledger, health.Down, err) })
	return nil
}

// protectNewer never overwrites a password that somebody else set after the request was issued.
func (p *Pipeline) protectNewer(ctx context.Context, j *job) *ending {
	last, hasLast, err := p.Ledger.LastWrite(ctx, j.account.GUID)
	if err != nil {
		return p.ledgerFailed(ctx, err)
	}
	if hasLast && stale(j.account.Password, last) {
		if end := p.readAgain(ctx, j); end != nil {
			return end
		}
	}
	state := j.account.Password
	if err := readable(state); err != nil {
		return refuse(err)
	}
	if superseded(j.claims, state, last, hasLast) {
		return refuse(writeback.NewError(writeback.RequestSuperseded, fmt.Errorf("password set %s, request issued %s", state.ChangedAtLocal(), j.claims.IssuedAt)))
	}
	return nil
}

// readable refuses an account whose password's time is hidden from the agent.
func readable(state writeback.PasswordState) error {
	if !state.ChangedAt.IsZero() {
		return nil
	}
	return &writeback.Error{
		Reason: writeback.DirectoryAccessDenied,
		Hint:   "Let the delegated account read pwdLastSet, whenChanged and replPropertyMetaData of the users in scope.",
		Cause:  errors.New("the time of the password cannot be read, so a newer one could not be protected"),
	}
}

// readAgain replaces a state that was read before our own last write of the account took effect.
func (p *Pipeline) readAgain(ctx context.Context, j *job) *ending {
	reading, cancel := context.WithTimeout(ctx, p.Limits.WriteTimeout)
	defer cancel()
	state, err := p.Directory.PasswordState(reading, j.account)
	if err != nil {
		if ctx.Err() != nil {
			return silent(writeback.AgentStopping, err)
		}
		return refuse(p.Guard.Conceal(j.claims.Issuer, err))
	}
	j.account.Password = state
	return nil
}

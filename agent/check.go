package agent

import (
	"context"
	"errors"

	"github.com/password-writeback/writeback/internal/writeback"
)

// dryRun answers a check: everything that the operation it asks about would meet, but the write. It takes no lock, leaves no
// "writing" in the ledger, charges no budget and tries no password. It says ok with what can be known beforehand, or not_written with
// the reason that stands in the way.
func (p *Pipeline) dryRun(ctx context.Context, j *job) *ending {
	operation := p.Guard.Checks(j.claims.Issuer)
	asked := *j.request
	asked.Operation, asked.Unlock = operation, operation == writeback.OpReset
	if err := p.Guard.CheckAccount(&asked, j.account, p.Now()); err != nil {
		return refuse(err)
	}
	if p.watches.lookAt(j.account.GUID) {
		return refuse(writeback.NewError(writeback.RequestInProgress, errors.New("the outcome of an earlier write is being looked for")))
	}
	if err := p.confirmTime(ctx, j.account.Password); err != nil {
		return refuse(err)
	}
	if err := readable(j.account.Password); err != nil && operation.SetsPassword() {
		return refuse(err)
	}
	if end := p.budgetFor(ctx, j, operation); end != nil {
		return end
	}
	return p.preflight(ctx, j, operation)
}

// preflight asks the directory. Whatever it says, nothing was written.
func (p *Pipeline) preflight(ctx context.Context, j *job, operation writeback.Operation) *ending {
	asking, cancel := context.WithTimeout(ctx, p.Limits.WriteTimeout)
	defer cancel()
	detail, err := p.Directory.Preflight(asking, j.account, operation)
	if err != nil {
		if ctx.Err() != nil {
			return silent(writeback.AgentStopping, err)
		}
		end := refuse(p.Guard.Conceal(j.claims.Issuer, err))
		end.outcome.Verdict = writeback.NotWritten
		return end
	}
	detail.Warnings = append(detail.Warnings, j.account.Warnings...)
	return finish(writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK, Detail: detail})
}

// lookAt reports whether the outcome of a write to the account is being looked for.
func (l *watchList) lookAt(account writeback.GUID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.running {
		if w.intent.Account == account {
			return true
		}
	}
	return false
}

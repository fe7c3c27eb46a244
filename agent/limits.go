package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// HintUserBudget is Detail.Hint of policy.rate_limited where the user's own budget is spent: see [Config.UserBudget].
const HintUserBudget = "user_budget"

// judgeBudget refuses a change or unlock of a user for whom too many were tried. BeginWriting asks again and charges; asked here
// first, the audit hears of no intent that comes to nothing.
func (p *Pipeline) judgeBudget(ctx context.Context, j *job) *ending {
	return p.budgetFor(ctx, j, j.claims.Operation)
}

func (p *Pipeline) budgetFor(ctx context.Context, j *job, operation writeback.Operation) *ending {
	err := p.Ledger.BudgetSpent(ctx, j.account.GUID, operation, p.UserBudget)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrBudget):
		return refuse(overBudget(err))
	}
	return p.ledgerFailed(ctx, err)
}

// overBudget is the refusal of a request beyond the user's budget.
func overBudget(err error) error {
	refusal := &writeback.Error{
		Reason: writeback.PolicyRateLimited, Detail: writeback.Detail{Hint: HintUserBudget}, Cause: err,
		Hint: "Somebody guesses this user's password, or the user needs help; policy.user_budget bounds failed changes and unlocks.",
	}
	var spent *ledger.BudgetError
	if errors.As(err, &spent) {
		refusal.Detail.RetryAfter = &spent.RetryAfter
	}
	return refusal
}

// limit counts a request that the ledger does not know towards its issuer's rate. One beyond it is answered at once: nothing is
// looked up, and no record is made of it, for a flood must not fill the ledger. Until it expires the refusal is kept in memory,
// because whoever was told "not written" must be able to rely on it. What can not be kept, or is out of its time, gets silence.
func (p *Pipeline) limit(j *job) *ending {
	if end := p.tooOld(j); end != nil {
		return end
	}
	now := p.Now()
	if known, refused := p.limited.find(j.claims.Key(), now); refused {
		return p.repeatRefusal(j, known)
	}
	err := p.Guard.Admit(j.claims.Issuer, now)
	if err == nil {
		return nil
	}
	end := refuse(err)
	if p.expired(j.claims) || p.Envelope.JudgeTimes(j.claims, now) != nil {
		return silent(end.outcome.Reason, err)
	}
	first, kept := p.limited.add(j.claims, end.outcome, j.claims.ExpiresAt.Add(p.Limits.Skew), now)
	if !kept {
		return silent(end.outcome.Reason, err)
	}
	end.answer, end.unaudited = answerOnce, !first
	return end
}

func (p *Pipeline) repeatRefusal(j *job, known refusal) *ending {
	if known.digest != j.claims.Digest {
		end := reused()
		end.unaudited = true
		return end
	}
	outcome := known.outcome
	outcome.Replayed = true
	return &ending{outcome: outcome, answer: answerOnce}
}

// maxRefusals is how many refusals are kept for one issuer: with a life of 150 s, about seven a second.
const maxRefusals = 1000

// refusals remembers requests that were refused without a record.
type refusals struct {
	mu       sync.Mutex
	byIssuer map[string]map[string]refusal // by request id
}

type refusal struct {
	digest  writeback.Digest
	outcome writeback.Outcome
	until   time.Time
}

func newRefusals() *refusals { return &refusals{byIssuer: map[string]map[string]refusal{}} }

func (r *refusals) find(key writeback.RequestKey, now time.Time) (refusal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.byIssuer[key.Issuer][key.ID]
	return known, ok && now.Before(known.until)
}

// add keeps a refusal unless there are too many. first tells that none of the issuer's was kept: a flood begins.
func (r *refusals) add(claims writeback.Claims, outcome writeback.Outcome, until, now time.Time) (first, kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byIssuer[claims.Issuer]
	if known == nil {
		known = map[string]refusal{}
		r.byIssuer[claims.Issuer] = known // issuers are those of the configuration
	}
	for id, old := range known {
		if !now.Before(old.until) {
			delete(known, id)
		}
	}
	if len(known) >= maxRefusals {
		return false, false
	}
	first = len(known) == 0
	known[claims.ID] = refusal{digest: claims.Digest, outcome: outcome, until: until}
	return first, true
}

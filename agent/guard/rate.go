package guard

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/password-writeback/writeback/internal/writeback"
)

// HintIssuerRate is Detail.Hint of policy.rate_limited where the issuer sent more than its rate.
const HintIssuerRate = "issuer_rate"

// Rate bounds how many requests an issuer sends: Requests at once, refilled evenly over Per, so that in no span of Per more than
// twice that number passes. The zero Rate sets no bound.
type Rate struct {
	Requests int
	Per      time.Duration
}

func (r Rate) valid() bool { return r == Rate{} || r.Requests > 0 && r.Per > 0 }

// limiter returns nil where nothing is bounded.
func (r Rate) limiter() *rate.Limiter {
	if r.Requests == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(r.Requests)/r.Per.Seconds()), r.Requests)
}

// Admit counts a request of the issuer, whatever it asks for, and refuses it beyond the issuer's [Rate]: policy.rate_limited with
// [HintIssuerRate] and the time from which there is room. A refused request is not counted. The count is kept in memory only: an
// agent that starts begins with a full allowance.
func (g *Guard) Admit(issuer string, now time.Time) error {
	limiter := g.limiters[issuer]
	if limiter == nil {
		return nil
	}
	if limiter.AllowN(now, 1) { // and not a reservation given back: of several at once most would stay charged
		return nil
	}
	err := hinted(HintIssuerRate, refusal(writeback.PolicyRateLimited, "issuer %q exceeds %d requests per %s",
		issuer, g.issuers[issuer].Rate.Requests, g.issuers[issuer].Rate.Per))
	retry := now.Add(untilRoom(limiter, now))
	err.Detail.RetryAfter = &retry
	return err
}

// untilRoom is how long it takes until one more request passes.
func untilRoom(limiter *rate.Limiter, now time.Time) time.Duration {
	missing := max(0, 1-limiter.TokensAt(now))
	return time.Duration(missing / float64(limiter.Limit()) * float64(time.Second))
}

// Checks names the operation that a check by this issuer asks about: a reset; for an issuer that may not reset a change, and for
// one that may do neither an unlock.
func (g *Guard) Checks(issuer string) writeback.Operation {
	for _, operation := range []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock} {
		if g.allows(issuer, operation) {
			return operation
		}
	}
	return writeback.OpReset
}

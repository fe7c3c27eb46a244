package ldapwriter

import (
	"errors"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Times of failover and return.
const (
	// retryAfter is how long a controller that failed is left alone while another one answers.
	retryAfter = 5 * time.Second
	// settleTime is how long a controller that is back must go on answering before it is preferred again. It doubles with every
	// return that did not last, up to settleLimit.
	settleTime  = 5 * time.Second
	settleLimit = 5 * time.Minute
	// steadyTime is how long a return must last to be forgotten.
	steadyTime = 10 * time.Minute
	// unfitPeriod is how long a controller that cannot serve us is not looked at again.
	unfitPeriod = 10 * time.Minute
)

// standing is how far a controller can be relied on. Times are given, so that tests need not wait.
type standing struct {
	down       bool // gave no answer
	settling   bool // answers again, but not for long enough
	retryAt    time.Time
	settledAt  time.Time
	returnedAt time.Time // zero: never away
	relapses   int       // returns in a row that did not last

	unfitUntil time.Time // it is read-only, or of another domain
}

// fail notes that the controller gave no answer.
func (s *standing) fail(now time.Time) {
	switch {
	case s.down:
	case !s.returnedAt.IsZero() && now.Sub(s.returnedAt) < steadyTime:
		s.relapses++
	default:
		s.relapses = 0
	}
	s.down, s.settling, s.retryAt = true, false, now.Add(retryAfter)
}

// answer notes that it did.
func (s *standing) answer(now time.Time) {
	switch {
	case s.down:
		s.down, s.settling, s.returnedAt = false, true, now
		s.settledAt = now.Add(s.hold())
	case s.settling && !now.Before(s.settledAt):
		s.settling = false
	}
}

// hold is how long a return is on trial.
func (s *standing) hold() time.Duration {
	hold := settleTime
	for range s.relapses {
		if hold *= 2; hold >= settleLimit {
			return settleLimit
		}
	}
	return hold
}

// rank orders controllers: 0 in good standing, 1 on trial, 2 away.
func (s *standing) rank() int {
	switch {
	case s.down:
		return 2
	case s.settling:
		return 1
	}
	return 0
}

// due reports whether it is time to ask a controller that is not in good standing how it is.
func (s *standing) due(now time.Time) bool {
	return s.down && !now.Before(s.retryAt) || s.settling && !now.Before(s.settledAt)
}

// unfit reports whether it is known that the controller cannot serve us.
func (s *standing) unfit(now time.Time) bool { return now.Before(s.unfitUntil) }

// errUnfit marks the failures of a controller that answers, but is not one to write to. Where it was found by DNS it is passed over;
// where it is listed, the list is wrong and somebody has to be told.
var errUnfit = errors.New("this controller cannot be used")

// unfit is what somebody who listed such a controller is told.
func unfit(cause error, hint string) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Cause: errors.Join(errUnfit, cause), Hint: hint}
}

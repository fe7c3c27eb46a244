package agent

import (
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// clockTolerance is how close two times of different clocks must be to count as "not older": currentTime has whole
// seconds, and a read takes its time.
const clockTolerance = 5 * time.Second

// movement is what became of the password between two looks at the same controller.
type movement string

const (
	movedNot     movement = "not"     // unchanged so far
	movedByOne   movement = "by_one"  // exactly one password write
	movedByOther movement = "other"   // the last password write was made on another controller, and reached this one by replication
	movedFurther movement = "further" // more than one
	movedUnclear movement = "unclear" // the two looks cannot be compared
)

// compare tells what happened between the state noted before a write and the state seen now.
func compare(noted, now writeback.PasswordState) movement {
	if noted.VersionSource != now.VersionSource {
		return movedUnclear
	}
	if now.VersionSource == writeback.VersionNone {
		return compareTimes(noted, now)
	}
	switch {
	case now.Version == noted.Version:
		return movedNot
	case now.Version == noted.Version+1 && writtenElsewhere(now):
		return movedByOther
	case now.Version == noted.Version+1:
		return movedByOne
	case now.Version > noted.Version:
		return movedFurther
	}
	return movedUnclear // lower: another replica, or a restored one
}

// writtenElsewhere reports whether the last password write is certainly not one that the controller took itself, as it takes ours.
func writtenElsewhere(state writeback.PasswordState) bool {
	return state.Originating != "" && state.Own != "" && state.Originating != state.Own
}

// compareTimes serves controllers that show no version: a time cannot tell one write from several.
func compareTimes(noted, now writeback.PasswordState) movement {
	if !noted.ChangedAt.IsZero() && noted.ChangedAt.Equal(now.ChangedAt) {
		return movedNot
	}
	return movedUnclear
}

// fitsInTime reports whether a password write seen now happened while ours was under way: after the intent was recorded
// and not later than the write could take. It is used only where the new password cannot be tried.
func fitsInTime(intent ledger.Intent, now writeback.PasswordState, writeTimeout time.Duration) bool {
	changed := now.ChangedAtLocal()
	if changed.IsZero() {
		return false
	}
	earliest, latest := intent.WritingAt.Add(-clockTolerance), intent.WritingAt.Add(writeTimeout+clockTolerance)
	return !changed.Before(earliest) && !changed.After(latest)
}

// superseded reports whether somebody else, or a newer request, set the password after the request was issued. Our own write for
// an older request of the same user is not somebody else's; that for a newer one counts also where the controller has not heard
// of it yet.
func superseded(claims writeback.Claims, state writeback.PasswordState, last ledger.LastWrite, hasLast bool) bool {
	since := claims.IssuedAt.Add(-clockTolerance)
	if hasLast && last.IssuedAt.After(claims.IssuedAt) && !last.WrittenAt.Before(since) {
		return true
	}
	if state.ChangedAtLocal().Before(since) {
		return false
	}
	ownOlder := hasLast && isOurs(last, state) && !last.IssuedAt.After(claims.IssuedAt)
	return !ownOlder
}

// isOurs reports whether the password in place is the one that our last recorded write of the account left. One that came from another controller
// is not, although its version may be the same: even where we had failed over to that one, refusing is the safe mistake.
func isOurs(last ledger.LastWrite, state writeback.PasswordState) bool {
	if last.VersionSource != state.VersionSource || writtenElsewhere(state) {
		return false
	}
	if state.VersionSource == writeback.VersionNone {
		return state.ChangedAtLocal().Sub(last.WrittenAt).Abs() <= clockTolerance
	}
	return last.Version == state.Version
}

// stale reports whether state was read before our own last write of the account.
func stale(state writeback.PasswordState, last ledger.LastWrite) bool {
	return last.VersionSource == state.VersionSource && last.Version > state.Version
}

// mayProbe reports whether one bind with a possibly wrong password can do no harm: never within two of the lockout
// threshold, and never where the threshold is not known.
func mayProbe(state writeback.PasswordState) bool {
	if !state.ThresholdKnown {
		return false
	}
	return state.LockoutThreshold == 0 || state.LockoutThreshold-state.BadPasswordCount > 2
}

package adtest

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/password-writeback/writeback/internal/writeback"
)

// account is the state of a user. Passwords are kept as they were given: nothing here is worth stealing.
type account struct {
	login        string
	displayName  string
	password     string
	previous     []string // the newest first
	version      uint32   // of unicodePwd
	changed      time.Time
	pwdLastSet   time.Time // zero: must change
	lockoutTime  time.Time // zero: not locked
	badPasswords int
	flags        uint32
	expires      time.Time
	cannotChange bool
	protected    bool           // adminCount 1, inheritance off
	writes       int            // of unicodePwd since the start
	originator   writeback.GUID // invocation id of the controller that wrote unicodePwd last
	badTime      time.Time
}

// lockedOut reports whether a lockout lasts at now.
func (a *account) lockedOut(p Policy, now time.Time) bool {
	return !a.lockoutTime.IsZero() && (p.LockoutDuration == 0 || now.Before(a.lockoutTime.Add(p.LockoutDuration)))
}

// graceHistory is how many earlier passwords do not count as bad ones (Windows' "N-2 check").
const graceHistory = 2

// logOn judges a password as Windows does and returns the sub-code of the refusal; empty: welcome.
func (a *account) logOn(password string, p Policy, now time.Time) (data string) {
	switch {
	case a.lockedOut(p, now):
		return "775"
	case password != a.password:
		a.countBad(password, p, now)
		return "52e"
	case a.flags&flagDisabled != 0:
		return "533"
	case !a.expires.IsZero() && now.After(a.expires):
		return "701"
	case a.pwdLastSet.IsZero():
		return "773"
	}
	a.badPasswords = 0
	return ""
}

func (a *account) countBad(password string, p Policy, now time.Time) {
	if slices.Contains(a.previous[:min(graceHistory, len(a.previous))], password) {
		return
	}
	if p.LockoutWindow > 0 && now.After(a.badTime.Add(p.LockoutWindow)) {
		a.badPasswords = 0
	}
	a.badTime = now
	a.badPasswords++
	if p.LockoutThreshold > 0 && a.badPasswords >= p.LockoutThreshold {
		a.lockoutTime = now
	}
}

// allows judges a new password by the policy's fixed rules, those a reset obeys too.
func (p Policy) allows(a *account, password string) bool {
	if len(utf16.Encode([]rune(password))) < p.MinLength {
		return false
	}
	return !p.Complexity || complexEnough(a, password)
}

// remembers reports whether password is the current one or in the history.
func (p Policy) remembers(a *account, password string) bool {
	if p.History == 0 {
		return false
	}
	return password == a.password || slices.Contains(a.previous[:min(p.History-1, len(a.previous))], password)
}

// tooYoung reports whether the current password has not reached the minimum age.
func (p Policy) tooYoung(a *account, now time.Time) bool {
	return p.MinAge > 0 && !a.pwdLastSet.IsZero() && now.Before(a.pwdLastSet.Add(p.MinAge))
}

// symbols are the special characters that Microsoft lists; currency signs and the space are none.
const symbols = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"

// complexEnough is Microsoft's rule ("Password must meet complexity requirements"): three of five classes of characters, and no name in it.
func complexEnough(a *account, password string) bool {
	classes := make(map[string]bool)
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			classes["upper"] = true
		case unicode.IsLower(r):
			classes["lower"] = true
		case '0' <= r && r <= '9':
			classes["digit"] = true
		case strings.ContainsRune(symbols, r):
			classes["symbol"] = true
		case unicode.IsLetter(r):
			classes["letter"] = true
		}
	}
	return len(classes) >= 3 && !containsName(a, password)
}

func containsName(a *account, password string) bool {
	names := append([]string{a.login}, strings.FieldsFunc(a.displayName, func(r rune) bool {
		return strings.ContainsRune(",.-_ #\t", r)
	})...)
	return slices.ContainsFunc(names, func(name string) bool {
		return len([]rune(name)) > 2 && strings.Contains(strings.ToLower(password), strings.ToLower(name))
	})
}

// maxHistory is how many earlier passwords are kept: Windows allows no longer history.
const maxHistory = 24

// setPassword stores a password that was accepted.
func (a *account) setPassword(password string, now time.Time, originator writeback.GUID) {
	a.previous = append([]string{a.password}, a.previous[:min(maxHistory, len(a.previous))]...)
	a.password = password
	a.version++
	a.writes++
	a.changed, a.pwdLastSet, a.originator = now, now, originator
}

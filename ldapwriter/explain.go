package ldapwriter

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// What a bare refusal may mean when nothing that could be checked is wrong; members of detail.possible.
const (
	possibleHistory = "in_history" // the history is kept secret
	possibleFilter  = "filter"     // a password filter installed on the controller
	possibleRecent  = "too_recent" // the minimum age has not passed; sources differ on whether a reset must obey it
)

// explain works out why a policy refused that did not say so, from what can be read: only a length or a complexity that the
// policy which applies to the user asks for, and that the password does not have, is said with certainty.
func (c *controller) explain(ctx context.Context, refusal *writeback.Error, account writeback.Account, change writeback.Change) error {
	if refusal.Reason != writeback.PasswordRefused {
		return refusal
	}
	refusal.Detail.Possible = []string{possibleHistory, possibleFilter}
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, []string{"msDS-ResultantPSO", "pwdLastSet", "sAMAccountName", "displayName"})
	if err != nil || !seen.policy.known || seen.entry.GetEqualFoldAttributeValue("msDS-ResultantPSO") != "" {
		return refusal // a fine-grained policy that may not be readable is never replaced by the domain's
	}
	units, classes := measure(change)
	switch {
	case seen.policy.minLengthKnown && units < seen.policy.minLength:
		refusal.Reason, refusal.Detail = writeback.PasswordTooShort, writeback.Detail{MinLength: seen.policy.minLength}
	case seen.policy.complexity && classes < requiredClasses:
		refusal.Reason, refusal.Detail = writeback.PasswordTooSimple, writeback.Detail{}
	case seen.policy.complexity && containsName(change, seen.entry):
		refusal.Reason, refusal.Detail = writeback.PasswordContainsName, writeback.Detail{}
	default:
		if until := seen.youngUntil(); !until.IsZero() {
			refusal.Detail.Possible = append(refusal.Detail.Possible, possibleRecent)
			refusal.Detail.RetryAfter = &until
		}
	}
	return refusal
}

// youngUntil returns when the current password reaches the domain's minimum age, on the controller's clock, in whole seconds; zero when it has.
func (s sighting) youngUntil() time.Time {
	n := numbers{entry: s.entry}
	lastSet := fileTime(n.value("pwdLastSet"))
	until := lastSet.Add(s.policy.minAge).Truncate(time.Second).Add(time.Second)
	if lastSet.IsZero() || s.policy.minAge <= 0 || !s.clock.theirs.Before(until) {
		return time.Time{}
	}
	return until
}

// requiredClasses of character classes a complex password has (Microsoft: "Password must meet complexity requirements").
const requiredClasses = 3

// measure returns the new password's length in UTF-16 units and the number of its character classes.
func measure(change writeback.Change) (units, classes int) {
	plain := change.Password.Reveal()
	defer clear(plain)
	var upper, lower, digit, other, letter bool
	for _, r := range string(plain) {
		units += utf16.RuneLen(r)
		switch {
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsLower(r):
			lower = true
		case unicode.IsDigit(r):
			digit = true
		case unicode.IsLetter(r):
			letter = true // neither upper nor lower case, as in Asian scripts
		default:
			other = true
		}
	}
	for _, present := range []bool{upper, lower, digit, other, letter} {
		if present {
			classes++
		}
	}
	return units, classes
}

// nameSeparators split the display name into the parts that a complex password must not contain.
const nameSeparators = ",.-_ #\t"

// minNamePart is the length from which a name counts.
const minNamePart = 3

// containsName reports whether the password holds the account name or a part of the display name, in either case.
func containsName(change writeback.Change, e *ldap.Entry) bool {
	plain := change.Password.Reveal()
	defer clear(plain)
	password := strings.ToLower(string(plain))
	names := strings.FieldsFunc(e.GetEqualFoldAttributeValue("displayName"), func(r rune) bool {
		return strings.ContainsRune(nameSeparators, r)
	})
	for _, name := range append(names, e.GetEqualFoldAttributeValue("sAMAccountName")) {
		if len([]rune(name)) >= minNamePart && strings.Contains(password, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

package ldapwriter

import (
	"context"
	"slices"
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
	possibleSimple  = "too_simple" // too few kinds of characters, if some in it count for none
	possibleRecent  = "too_recent" // the minimum age has not passed; sources differ on whether a reset must obey it
)

// attempt is a change as it was sent.
type attempt struct {
	writeback.Change
	hints bool // a reset that has to obey the history
}

// obeysHistory reports whether the controller compared the password with the earlier ones.
func (a attempt) obeysHistory() bool { return a.Operation == writeback.OpChange || a.hints }

// explain works out why a policy refused. Where the controller said so (Samba does) only the detail is filled in; where it did not (Windows
// never does), what the policy that applies and the account's state rule out is said with certainty, and everything else stays open.
func (c *controller) explain(ctx context.Context, refusal *writeback.Error, account writeback.Account, tried attempt) error {
	if !wantsPolicy(refusal) {
		return refusal
	}
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, append(policyQuestion(), "pwdLastSet", "sAMAccountName", "displayName"))
	if err != nil {
		seen = sighting{entry: &ldap.Entry{}} // nothing is known
	}
	if refusal.Reason == writeback.PasswordRefused {
		refusal.Reason, refusal.Detail = seen.conclude(tried)
	}
	refusal.Detail = seen.complete(refusal.Reason, refusal.Detail)
	return refusal
}

// wantsPolicy reports whether the policy that applies can say more about a refusal than the controller did.
func wantsPolicy(refusal *writeback.Error) bool {
	switch refusal.Reason {
	case writeback.PasswordRefused, writeback.PasswordTooRecent, writeback.PasswordInHistory:
		return true
	case writeback.PasswordTooShort:
		return refusal.Detail.MinLength == 0
	}
	return false
}

// conclude finds the reason of a bare refusal.
func (s sighting) conclude(tried attempt) (writeback.Reason, writeback.Detail) {
	units, least, most := measure(tried.Change)
	switch {
	case !s.policy.known:
		return writeback.PasswordRefused, writeback.Detail{Possible: []string{possibleHistory, possibleFilter}}
	case units < s.policy.minLength:
		return writeback.PasswordTooShort, writeback.Detail{}
	case s.policy.complexity && most < requiredClasses:
		return writeback.PasswordTooSimple, writeback.Detail{}
	case s.policy.complexity && containsName(tried.Change, s.entry):
		return writeback.PasswordContainsName, writeback.Detail{}
	case tried.Operation == writeback.OpChange && !s.youngUntil().IsZero():
		return writeback.PasswordTooRecent, writeback.Detail{}
	case tried.Operation == writeback.OpChange && s.policy.history > 0 && tried.Password.Equal(tried.OldPassword):
		return writeback.PasswordInHistory, writeback.Detail{} // the old one was right, or the answer would have been another
	}
	detail := s.openQuestions(tried)
	if s.policy.complexity && least < requiredClasses {
		detail.Possible = append(detail.Possible, possibleSimple)
	}
	return writeback.PasswordRefused, detail
}

// openQuestions lists what a password that obeys every rule that can be checked may have been refused for.
func (s sighting) openQuestions(tried attempt) writeback.Detail {
	var detail writeback.Detail
	if s.policy.history > 0 && tried.obeysHistory() {
		detail.Possible, detail.HistoryLength = append(detail.Possible, possibleHistory), s.policy.history
	}
	detail.Possible = append(detail.Possible, possibleFilter)
	if until := s.youngUntil(); !until.IsZero() && tried.hints {
		detail.Possible, detail.RetryAfter = append(detail.Possible, possibleRecent), &until
	}
	return detail
}

// complete adds what the policy says to a reason, where the controller did not say it itself.
func (s sighting) complete(reason writeback.Reason, detail writeback.Detail) writeback.Detail {
	if !s.policy.known {
		return detail
	}
	switch reason {
	case writeback.PasswordTooShort:
		orDefault(&detail.MinLength, s.policy.minLength)
	case writeback.PasswordInHistory:
		detail.HistoryLength = s.policy.history
	case writeback.PasswordTooRecent:
		if until := s.youngUntil(); !until.IsZero() {
			detail.RetryAfter = &until
		}
	}
	return detail
}

// youngUntil returns when the current password reaches the minimum age of the policy that applies, on the controller's clock, in whole seconds; zero
// when it has, or where that is not known. Who must change the password may, whatever its age (MS-SAMR 3.1.1.7.1).
func (s sighting) youngUntil() time.Time {
	n := numbers{entry: s.entry}
	lastSet := fileTime(n.value("pwdLastSet"))
	until := lastSet.Add(s.policy.minAge).Truncate(time.Second).Add(time.Second)
	if !s.policy.known || lastSet.IsZero() || s.policy.minAge <= 0 || !s.clock.theirs.Before(until) {
		return time.Time{}
	}
	return until
}

// requiredClasses of character classes a complex password has (MS-SAMR 3.1.1.7.2; Microsoft: "Password must meet complexity requirements").
const requiredClasses = 3

// measure returns the new password's length in UTF-16 units and the least and the most character classes that a controller may see in it:
// characters that Microsoft's list does not place may count for one or for none.
func measure(change writeback.Change) (units, least, most int) {
	change.Password.Use(func(plain []byte) {
		var present [unplaced]bool
		odd := 0
		for _, r := range string(plain) {
			units += utf16.RuneLen(r)
			if class := classOf(r); class < unplaced {
				present[class] = true
			} else {
				odd++
			}
		}
		for _, one := range present {
			if one {
				least++
			}
		}
		most = min(least+odd, unplaced)
	})
	return units, least, most
}

// unplaced is the number of character classes, and that of a character in none: currency signs are not symbols here, the space is not in
// the list, and digits are the ten of ASCII.
const unplaced = 5

// symbols are the "special characters" of Microsoft's "Password must meet complexity requirements".
const symbols = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"

// classOf numbers the character classes: upper case, lower case, digits, symbols, and letters without case as in Asian scripts.
func classOf(r rune) int {
	return slices.IndexFunc([]func(rune) bool{
		unicode.IsUpper, unicode.IsLower,
		func(r rune) bool { return '0' <= r && r <= '9' },
		func(r rune) bool { return strings.ContainsRune(symbols, r) },
		unicode.IsLetter,
		func(rune) bool { return true },
	}, func(is func(rune) bool) bool { return is(r) })
}

// nameSeparators split the display name into the parts that a complex password must not contain.
const nameSeparators = ",.-_ #\t"

// minNamePart is the length from which a name counts.
const minNamePart = 3

// containsName reports whether the password holds the account name as a whole or a part of the display name, in either case.
func containsName(change writeback.Change, e *ldap.Entry) (contains bool) {
	names := strings.FieldsFunc(e.GetEqualFoldAttributeValue("displayName"), func(r rune) bool {
		return strings.ContainsRune(nameSeparators, r)
	})
	change.Password.Use(func(plain []byte) {
		password := strings.ToLower(string(plain))
		contains = slices.ContainsFunc(append(names, e.GetEqualFoldAttributeValue("sAMAccountName")), func(name string) bool {
			return len([]rune(name)) >= minNamePart && strings.Contains(password, strings.ToLower(name))
		})
	})
	return contains
}

package guard_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// FuzzCheckPassword compares the judgement with the standard library's encoder, and makes sure that no refusal repeats
// what was typed.
func FuzzCheckPassword(f *testing.F) {
	for _, seed := range []string{"", "Correct-Horse-1", "\xed\xa0\x80", "a\x00b", "\r", "\n", strings.Repeat("😀", 129), strings.Repeat("x", 257)} {
		f.Add([]byte(seed))
	}
	g, err := guard.New(rules())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, password []byte) {
		want := writeback.ReasonOK
		switch {
		case len(password) == 0, !utf8.Valid(password), bytes.ContainsAny(password, "\x00\r\n"):
			want = writeback.PasswordInvalidCharacters
		case len(utf16.Encode([]rune(string(password)))) > 256:
			want = writeback.PasswordTooLong
		}
		r := request()
		r.Password = secret.New(bytes.Clone(password))
		err := g.CheckPassword(r)
		if got := writeback.ReasonOf(err); got != want {
			t.Errorf("%q: reason %s, want %s", password, got, want)
		}
		if err != nil && len(password) > 20 && strings.Contains(err.Error(), string(password)) {
			t.Error("the error holds the password")
		}
		kept := r.Password.Reveal()
		if !bytes.Equal(kept, password) {
			t.Error("the password was changed")
		}
	})
}

// TestSIDsAreReadStrictly goes through the one place where text becomes a SID: the list of protected groups.
func TestSIDsAreReadStrictly(t *testing.T) {
	for text, valid := range map[string]bool{
		"S-1-5-32-544":                        true,
		"s-1-5-32-544":                        true,
		"S-1-5-21-1-2-3-0512":                 true,
		"S-1-5-21-4294967295-1-1-1":           true,
		"S-1-281474976710655-1":               true,
		"S-1-5" + strings.Repeat("-1", 15):    true,
		"S-1-5" + strings.Repeat("-1", 16):    false,
		"S-1-281474976710656-1":               false,
		"S-1-5-21-4294967296-1-1-1":           false,
		"S-1-5":                               false,
		"S-2-5-32-544":                        false,
		"S-1-0x5-32-544":                      false,
		"S-1-5-32-+544":                       false,
		"S-1-5-32-544 ":                       false,
		" S-1-5-32-544":                       false,
		"S-1-5-32-":                           false,
		"S-1-5--544":                          false,
		"S-1-5-32-٥٤٤":                        false,
		"T-1-5-32-544":                        false,
		"Domain Admins":                       false,
		"":                                    false,
		"CN=Domain Admins,CN=Users,DC=corp":   false,
		"03020100-0000-0000-0000-0000000000f": false,
	} {
		r := rules()
		domain := r.Domains["corp.example"]
		domain.ProtectedGroups = []string{text}
		r.Domains["corp.example"] = domain
		if _, err := guard.New(r); (err == nil) != valid {
			t.Errorf("%q as a protected group: %v, want valid %t", text, err, valid)
		}
		a := account()
		a.TokenGroups = append(a.TokenGroups, text)
		err := newGuard(t).CheckAccount(request(), a, noon)
		if !valid && writeback.ReasonOf(err) != writeback.PolicyProtectedUser {
			t.Errorf("%q as a token group was admitted: %v", text, err)
		}
	}
}

// TestProtectedGroupsInAnySpelling: the configuration's spelling of a SID need not be the directory's.
func TestProtectedGroupsInAnySpelling(t *testing.T) {
	r := rules()
	domain := r.Domains["corp.example"]
	domain.ProtectedGroups = []string{"s-1-5-21-01111-2222-3333-2002"}
	domain.ProtectedAccounts = []string{"AABBCCDD-0000-0000-0000-00000000000F"}
	r.Domains["corp.example"] = domain
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	a := account()
	a.TokenGroups = append(a.TokenGroups, domainSID+"-2002")
	check(t, g.CheckAccount(request(), a, noon), writeback.PolicyProtectedUser, "", "-2002")
	a = account()
	if a.GUID, err = writeback.ParseGUID("aabbccdd-0000-0000-0000-00000000000f"); err != nil {
		t.Fatal(err)
	}
	check(t, g.CheckAccount(request(), a, noon), writeback.PolicyProtectedUser, "", "protected account")
}

// TestIssuersDoNotShareRules: what one issuer may, another may not.
func TestIssuersDoNotShareRules(t *testing.T) {
	g := newGuard(t)
	c := claims()
	c.Issuer = "desk"
	check(t, g.CheckIssuer(c, noon), writeback.PolicyOperationNotAllowed, guard.HintActor, "self")
	c = deskClaims()
	c.Issuer = "portal"
	check(t, g.CheckIssuer(c, noon), writeback.PolicyOperationNotAllowed, guard.HintActor, "admin")
	r := request()
	r.Issuer = "desk"
	check(t, g.CheckSubject(r), writeback.PolicyOperationNotAllowed, guard.HintIdentifier, "desk")
	r.Subject.Kind = writeback.ByGUID
	check(t, g.CheckSubject(r), writeback.ReasonOK, "", "")
}

// TestScopeBeforeEverything: an account that is protected, disabled and unreadable at once shows nothing of it beyond the
// scope, and its protection before its state within.
func TestScopeBeforeEverything(t *testing.T) {
	g := newGuard(t)
	a := account()
	a.AdminCount, a.LockedOut, a.AccountExpires = 1, true, noon
	a.UserAccountControl |= writeback.UACDisabled | writeback.UACSmartcardRequired
	inside := a
	a.Containers = []string{services, root}
	check(t, g.CheckAccount(request(), a, noon), writeback.PolicyOutOfScope, "", "issuer")
	check(t, g.CheckAccount(request(), inside, noon), writeback.PolicyProtectedUser, guard.HintAdminCountOrphaned, "")
	for _, step := range []struct {
		mend   func(*writeback.Account)
		reason writeback.Reason
	}{
		{func(a *writeback.Account) { a.AdminCount = 0 }, writeback.UserDisabled},
		{func(a *writeback.Account) { a.UserAccountControl &^= writeback.UACDisabled }, writeback.UserExpired},
		{func(a *writeback.Account) { a.AccountExpires = noon.Add(1) }, writeback.UserSmartcardRequired},
		{func(a *writeback.Account) { a.UserAccountControl &^= writeback.UACSmartcardRequired }, writeback.UserLocked},
		{func(a *writeback.Account) { a.LockedOut = false }, writeback.ReasonOK},
	} {
		step.mend(&inside)
		r := request()
		r.Unlock = false
		check(t, g.CheckAccount(r, inside, noon), step.reason, "", "")
	}
}

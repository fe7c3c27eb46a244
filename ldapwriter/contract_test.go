package ldapwriter_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// The contract: what a test says here holds on the fake and on a real Samba controller. Where Windows differs from
// Samba, the fake does as Windows and the test says what differs and who says so.

// names are seeded on both, with everything a distinguished name must escape.
func names() []string {
	return []string{
		"comma1", "plus1", "backslash1", "quote1", "hash1", "space1", "semi1", "slash1", "paren1", "apos1", "nonascii1",
		"cjk1", "emoji1", "arabic1", "umlaut1", "combining1", "üser1",
	}
}

func TestContractEveryIdentifierFindsTheSameAccount(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		want := person(t, d, "alice")
		anchor := anchorOf("alice")
		for _, subject := range []writeback.Subject{
			{Kind: writeback.ByGUID, Value: want.GUID.String()},
			{Kind: writeback.ByGUID, Value: strings.ToUpper(want.GUID.String())},
			{Kind: writeback.BySID, Value: want.SID},
			{Kind: writeback.ByUPN, Value: "alice@corp.example.com"},
			{Kind: writeback.ByUPN, Value: "ALICE@CORP.example.com"},
			{Kind: writeback.BySAM, Value: `corp\Alice`},
			{Kind: writeback.BySAM, Value: `corp.example.com\alice`},
			{Kind: writeback.ByImmutableID, Value: anchor},
			{Kind: writeback.ByUPN, Value: "alice@corp.example.com", AssertedImmutableID: anchor},
		} {
			got, err := d.Resolve(deadline(t), subject)
			if err != nil {
				t.Errorf("%+v: %v", subject, err)
				continue
			}
			got.Password, want.Password = writeback.PasswordState{}, writeback.PasswordState{}
			if subject.Kind == writeback.ByImmutableID { // neither has an index that nobody made
				if diff := cmp.Diff([]string{writeback.WarningNotIndexed}, got.Warnings); diff != "" {
					t.Errorf("warnings (-want +got):\n%s", diff)
				}
				got.Warnings = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v (-by sam +got):\n%s", subject, diff)
			}
		}
	})
}

// anchorOf is the immutable id that both populations give a login.
func anchorOf(login string) string {
	return base64.StdEncoding.EncodeToString([]byte((login + strings.Repeat("\x00", 16))[:16]))
}

func TestContractAccountIsComplete(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		got := person(t, c.directory(t), "bob")
		domainSID, _, _ := strings.Cut(got.PrimaryGroupSID, "-513")
		want := writeback.Account{
			GUID: got.GUID, SID: got.SID, Domain: corp, Controller: c.address,
			DistinguishedName: "CN=bob,OU=Staff,DC=corp,DC=example,DC=com",
			Containers:        []string{"ou=staff,dc=corp,dc=example,dc=com", "dc=corp,dc=example,dc=com", "dc=example,dc=com", "dc=com"},
			SAMAccountName:    "bob", UserPrincipalName: "bob@corp.example.com",
			ObjectClasses: []string{"top", "person", "organizationalPerson", "user"}, ExpiryKnown: true, UserAccountControl: writeback.UACNormalAccount,
			PrimaryGroupSID: domainSID + "-513", TokenGroups: got.TokenGroups, Password: got.Password,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		if got.GUID.IsZero() || !strings.HasPrefix(got.SID, domainSID+"-") || !slices.Contains(got.TokenGroups, domainSID+"-513") {
			t.Errorf("GUID %s, SID %s, groups %v", got.GUID, got.SID, got.TokenGroups)
		}
		state, err := c.directory(t).PasswordState(deadline(t), got)
		if err != nil {
			t.Fatal(err)
		}
		checkEvidence(t, state)
	})
}

// checkEvidence looks at a password state that was never written to by a test.
func checkEvidence(t *testing.T, p writeback.PasswordState) {
	t.Helper()
	switch {
	case p.VersionSource != writeback.VersionReplication || p.Version == 0 || p.Originating == "":
		t.Errorf("version %d from %q by %q, want replication metadata", p.Version, p.VersionSource, p.Originating)
	case p.Own == "" || p.Own != p.Originating:
		t.Errorf("written by %q, the controller is %q", p.Originating, p.Own)
	case p.ChangedAt.IsZero() || p.PasswordLastSet.IsZero() || p.MustChange:
		t.Errorf("changed %v, last set %v, must change %v", p.ChangedAt, p.PasswordLastSet, p.MustChange)
	case p.ChangedAt.Sub(p.PasswordLastSet).Abs() > 2*time.Second:
		t.Errorf("metadata says %v, pwdLastSet %v", p.ChangedAt, p.PasswordLastSet)
	case !p.ThresholdKnown || p.LockoutThreshold != 3 || p.BadPasswordCount != 0:
		t.Errorf("lockout threshold %d (known %v), %d bad passwords", p.LockoutThreshold, p.ThresholdKnown, p.BadPasswordCount)
	case p.ClockOffset().Abs() > 3*time.Second:
		t.Errorf("clock offset %v on one machine", p.ClockOffset())
	}
}

func TestContractStatesAreSeen(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for login, holds := range map[string]func(writeback.Account) bool{
			"disabled1":   writeback.Account.Disabled,
			"smartcard1":  writeback.Account.SmartcardRequired,
			"expired1":    func(a writeback.Account) bool { return a.AccountExpires.Year() == 2019 },
			"mustchange1": func(a writeback.Account) bool { return a.Password.MustChange && a.Password.PasswordLastSet.IsZero() },
			"locked1":     func(a writeback.Account) bool { return a.LockedOut && a.LockoutTimeSet && a.Password.LockoutTimeSet },
			"admin1":      func(a writeback.Account) bool { return slices.ContainsFunc(a.TokenGroups, isDomainAdmins) },
			"admin2":      func(a writeback.Account) bool { return a.AdminCount == 1 },
			"alice":       func(a writeback.Account) bool { return a.AccountExpires.IsZero() && !a.LockedOut && a.AdminCount == 0 },
		} {
			if account := person(t, d, login); !holds(account) {
				t.Errorf("%s: %+v", login, account)
			}
		}
	})
}

func isDomainAdmins(sid string) bool {
	return strings.HasPrefix(sid, "S-1-5-21-") && strings.HasSuffix(sid, "-512")
}

func TestContractNamesWithEverySpecialCharacter(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for _, login := range names() {
			account := person(t, d, login)
			if diff := cmp.Diff("ou=staff,dc=corp,dc=example,dc=com", account.Containers[0]); diff != "" {
				t.Errorf("%s: container of %q (-want +got):\n%s", login, account.DistinguishedName, diff)
			}
			if _, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: login + userSuffix}); err != nil {
				t.Errorf("%s by UPN: %v", login, err)
			}
			if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
				t.Errorf("reset %s: %v", login, err)
			}
			if err := c.logOn(t, login, newPassword); err != nil {
				t.Errorf("%s cannot log on with the new password: %v", login, err)
			}
		}
	})
}

func TestContractWhatCannotBeAUserIsNotFound(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		alice := person(t, d, "alice")
		for name, subject := range map[string]writeback.Subject{
			"unknown":              {Kind: writeback.ByUPN, Value: "nobody" + userSuffix},
			"wildcard":             {Kind: writeback.ByUPN, Value: "alic*@corp.example.com"},
			"filter injection":     {Kind: writeback.ByUPN, Value: "alice@corp.example.com)(objectClass=*"},
			"no UPN":               {Kind: writeback.ByUPN, Value: "alice"},
			"sam wildcard":         {Kind: writeback.BySAM, Value: `CORP\al*`},
			"other domain":         {Kind: writeback.BySAM, Value: `OTHER\alice`},
			"no domain":            {Kind: writeback.BySAM, Value: "alice"},
			"control character":    {Kind: writeback.ByUPN, Value: "alice\x00@corp.example.com"},
			"unknown GUID":         {Kind: writeback.ByGUID, Value: "11111111-2222-3333-4444-555555555555"},
			"no GUID":              {Kind: writeback.ByGUID, Value: "11111111"},
			"unknown SID":          {Kind: writeback.BySID, Value: alice.SID[:strings.LastIndexByte(alice.SID, '-')] + "-999999"},
			"SID of other domain":  {Kind: writeback.BySID, Value: "S-1-5-21-1-2-3-1103"},
			"well-known SID":       {Kind: writeback.BySID, Value: "S-1-5-32-544"},
			"SID with a sign":      {Kind: writeback.BySID, Value: "S-1-5-21-1-2-3-+1103"},
			"unknown immutable id": {Kind: writeback.ByImmutableID, Value: base64.StdEncoding.EncodeToString([]byte("nobody-is-this!!"))},
			"short immutable id":   {Kind: writeback.ByImmutableID, Value: "YWxpY2U="},
			"objectGUID although another anchor is set": {
				Kind: writeback.ByImmutableID, Value: base64.StdEncoding.EncodeToString(alice.GUID[:])},
			"mail of nobody":  {Kind: writeback.ByMail, Value: "nobody" + userSuffix},
			"no mail address": {Kind: writeback.ByMail, Value: "alice"},
			"mail wildcard":   {Kind: writeback.ByMail, Value: "*@*"},
			"a group":         {Kind: writeback.BySID, Value: alice.SID[:strings.LastIndexByte(alice.SID, '-')] + "-512"},
		} {
			_, err := d.Resolve(deadline(t), subject)
			if writeback.ReasonOf(err) != writeback.UserNotFound {
				t.Errorf("%s: %v, want user.not_found", name, err)
			}
		}
		_, err := d.Resolve(deadline(t), writeback.Subject{Kind: "phone", Value: "1"})
		wantReason(t, err, writeback.RequestUnsupported)
		_, err = d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix, AssertedImmutableID: anchorOf("bob")})
		wantReason(t, err, writeback.UserAmbiguous)
	})
}

func TestContractResetInOneModify(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		before := person(t, d, "locked2")
		if !before.LockedOut {
			t.Fatal("the fixture is not locked")
		}
		change := reset(newPassword)
		change.Unlock = true
		if err := d.Write(deadline(t), before, change); err != nil {
			t.Fatal(err)
		}
		after, err := d.PasswordState(deadline(t), before)
		if err != nil {
			t.Fatal(err)
		}
		if after.Version != before.Password.Version+1 || after.LockoutTimeSet || after.MustChange {
			t.Errorf("version %d -> %d, lockout %v, must change %v", before.Password.Version, after.Version, after.LockoutTimeSet, after.MustChange)
		}
		if !after.ChangedAt.After(before.Password.ChangedAt) {
			t.Errorf("changed %v -> %v", before.Password.ChangedAt, after.ChangedAt)
		}
		if err := c.logOn(t, "locked2", newPassword); err != nil {
			t.Errorf("log on with the new password: %v", err)
		}
		if err := c.logOn(t, "locked2", c.userPassword); err == nil {
			t.Error("the old password is still good")
		}
	})
}

func TestContractMustChange(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		// Samba 4.24 cannot enforce the history and set must-change in one Modify; TestMustChangeWhereHintsAreConfused has the details.
		d := c.directory(t, func(config *ldapwriter.DomainConfig) { config.PolicyHints = ldapwriter.HintsWarn })
		account := person(t, d, "carol")
		change := reset(newPassword)
		change.MustChange = true
		if err := d.Write(deadline(t), account, change); err != nil {
			t.Fatal(err)
		}
		after, err := d.PasswordState(deadline(t), account)
		if err != nil {
			t.Fatal(err)
		}
		if !after.MustChange || after.Version != account.Password.Version+1 {
			t.Errorf("must change %v, version %d -> %d", after.MustChange, account.Password.Version, after.Version)
		}
		if err := c.logOn(t, "carol", newPassword); err == nil || !strings.Contains(err.Error(), "data 773") {
			t.Errorf("log on: %v, want sub-code 773", err)
		}
		if got, err := d.Probe(deadline(t), account, secret.NewString(newPassword)); got != ldapwriter.ProbeOurs {
			t.Errorf("probe %s (%v), want ours: 773 proves the password", got, err)
		}
	})
}

func TestContractUnlockTouchesNoPassword(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		account := person(t, d, "locked3")
		if err := d.Write(deadline(t), account, writeback.Change{Operation: writeback.OpUnlock, Unlock: true}); err != nil {
			t.Fatal(err)
		}
		after, err := d.PasswordState(deadline(t), account)
		if err != nil {
			t.Fatal(err)
		}
		if after.LockoutTimeSet || after.Version != account.Password.Version {
			t.Errorf("lockout %v, version %d -> %d", after.LockoutTimeSet, account.Password.Version, after.Version)
		}
		if err := c.logOn(t, "locked3", c.userPassword); err != nil {
			t.Errorf("log on after the unlock: %v", err)
		}
	})
}

func TestContractPasswordsOfEveryScript(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for _, password := range []string{
			"Grüße-Łódź 2026", "Пароль-Новый 7", "山田Aa7 太郎と花子", "Smile 😀😀 Aa7!", ` "quoted" Aa7\ `, "e\u0301 combining Aa7",
		} {
			account := person(t, d, "dave")
			if err := d.Write(deadline(t), account, reset(password)); err != nil {
				t.Errorf("reset to %q: %v", password, err)
			}
			if err := c.logOn(t, "dave", password); err != nil {
				t.Errorf("log on with %q: %v", password, err)
			}
		}
	})
}

func TestContractRefusals(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for name, row := range map[string]struct {
			login  string
			change writeback.Change
			want   writeback.Reason
			detail writeback.Detail
		}{
			"too short":    {"erin", reset("Aa7!"), writeback.PasswordTooShort, writeback.Detail{MinLength: 8}},
			"too simple":   {"erin", reset("allofthesearelower"), writeback.PasswordTooSimple, writeback.Detail{}},
			"no right":     {"outsider", reset(newPassword), writeback.DirectoryAccessDenied, writeback.Detail{}},
			"inheritance":  {"admin2", reset(newPassword), writeback.DirectoryAccessDenied, writeback.Detail{}},
			"unlock right": {"outsider", writeback.Change{Operation: writeback.OpUnlock}, writeback.DirectoryAccessDenied, writeback.Detail{}},
			"empty":        {"erin", reset(""), writeback.PasswordInvalidCharacters, writeback.Detail{}},
			"NUL":          {"erin", reset("Fresh\x00Wort-2026"), writeback.PasswordInvalidCharacters, writeback.Detail{}},
			"not UTF-8":    {"erin", reset("Fresh-Wort\xff2026"), writeback.PasswordInvalidCharacters, writeback.Detail{}},
			"too long":     {"erin", reset(strings.Repeat("Aa7!", 65)), writeback.PasswordTooLong, writeback.Detail{MaxLength: 256}},
			"ping":         {"erin", writeback.Change{Operation: writeback.OpPing}, writeback.RequestUnsupported, writeback.Detail{}},
		} {
			t.Run(name, func(t *testing.T) {
				account := person(t, d, row.login)
				err := d.Write(deadline(t), account, row.change)
				wantReason(t, err, row.want)
				if diff := cmp.Diff(row.detail, writeback.DetailOf(err)); diff != "" {
					t.Errorf("detail (-want +got):\n%s", diff)
				}
				after, err := d.PasswordState(deadline(t), account)
				if err != nil || after.Version != account.Password.Version {
					t.Errorf("version %d -> %d (%v): something was written", account.Password.Version, after.Version, err)
				}
			})
		}
	})
}

// With policy hints a reset obeys the history (KB2386717, MS-ADTS 3.1.1.3.4.1.27). Samba 4.24 says why it refuses, Windows says 0000052D and no
// more: there the reason stays open. Samba 4.17 does not know the control: a reset never meets the history.
func TestContractHistoryIsEnforcedOnAReset(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		account := person(t, d, "erin")
		if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
			t.Fatal(err)
		}
		for _, used := range []string{newPassword, c.userPassword} {
			err := d.Write(deadline(t), account, reset(used))
			if c.withoutHints {
				wantReason(t, err, writeback.ReasonOK)
				continue
			}
			if c.samba {
				wantReason(t, err, writeback.PasswordInHistory)
				continue
			}
			wantReason(t, err, writeback.PasswordRefused)
			if diff := cmp.Diff([]string{"in_history", "filter"}, writeback.DetailOf(err).Possible); diff != "" {
				t.Errorf("possible (-want +got):\n%s", diff)
			}
		}
	})
}

// A fine-grained policy applies instead of the domain's. Samba says what it asks for; on Windows its contents are not readable
// without a grant (Microsoft: "Password Settings Container"), and the domain's policy is never taken in its place.
func TestContractFineGrainedPolicies(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for _, row := range []struct {
			login, password string
			samba, windows  writeback.Reason
		}{
			{"pso1", "Aa7-ten-10", writeback.PasswordTooShort, writeback.PasswordRefused},
			{"pso1", "Aa7!", writeback.PasswordTooShort, writeback.PasswordRefused},
			{"pso1", "allofthesearelower", writeback.PasswordTooSimple, writeback.PasswordRefused},
			{"minage1", newPassword, writeback.PasswordTooRecent, writeback.PasswordRefused},
			{"pso2", "abc", writeback.PasswordTooShort, writeback.PasswordRefused},
			{"pso2", "abcd", writeback.ReasonOK, writeback.ReasonOK},
		} {
			account := person(t, d, row.login)
			if state, err := d.PasswordState(deadline(t), account); err != nil || state.ThresholdKnown {
				t.Errorf("%s: the domain's lockout threshold is taken for the fine-grained policy's (%v)", row.login, err)
			}
			change, want := reset(row.password), row.windows
			if c.samba {
				want = row.samba
			}
			if c.withoutHints && want == writeback.PasswordTooRecent {
				change = changeTo(row.password)(c) // without the control only a change meets the minimum age
			}
			if got := writeback.ReasonOf(d.Write(deadline(t), account, change)); got != want {
				t.Errorf("%s, %q: reason %s, want %s", row.login, row.password, got, want)
			}
		}
	})
}

func TestContractChange(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		change := func(login, before, after string) error {
			return d.Write(deadline(t), person(t, d, login), writeback.Change{
				Operation: writeback.OpChange, OldPassword: secret.NewString(before), Password: secret.NewString(after)})
		}
		wantReason(t, change("neverexp1", "not the Old one 7", newPassword), writeback.PasswordOldIncorrect)
		wantReason(t, change("cantchange1", c.userPassword, newPassword), writeback.PasswordCannotChange)
		wantReason(t, change("neverexp1", c.userPassword, "Aa7!"), writeback.PasswordTooShort)
		if err := change("neverexp1", c.userPassword, newPassword); err != nil {
			t.Errorf("change: %v", err)
		}
		if err := c.logOn(t, "neverexp1", newPassword); err != nil {
			t.Errorf("log on after the change: %v", err)
		}
	})
}

func TestContractProbe(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for _, row := range []struct {
			login, password string
			want            ldapwriter.ProbeResult
		}{
			{"umlaut1", "certainly Wrong 7", ldapwriter.ProbeNotOurs},
			{"apos1", c.userPassword, ldapwriter.ProbeOurs},
			{"mustchange1", c.userPassword, ldapwriter.ProbeOurs},
			{"disabled1", c.userPassword, ldapwriter.ProbeInconclusive},
			{"apos1", "", ldapwriter.ProbeInconclusive},
		} {
			if row.login == "apos1" && row.password != "" {
				// Other tests may have reset it: the probe is to know the password that holds now.
				row.password = "Probe-me Aa7 " + t.Name()
				if err := d.Write(deadline(t), person(t, d, row.login), reset(row.password)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := d.Probe(deadline(t), person(t, d, row.login), secret.NewString(row.password))
			if got != row.want || (err != nil) != (row.want == ldapwriter.ProbeInconclusive) {
				t.Errorf("%s: %s (%v), want %s", row.login, got, err, row.want)
			}
		}
	})
}

func TestContractWrongBindPassword(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		for name, row := range map[string]struct {
			change func(*ldapwriter.DomainConfig)
			hint   string
		}{
			"wrong password": {func(d *ldapwriter.DomainConfig) { d.BindPassword = password("wrong") }, "data 52e"},
			"disabled account": {func(d *ldapwriter.DomainConfig) {
				d.BindUser, d.BindPassword = "disabled1"+userSuffix, password(c.userPassword)
			}, "data 533"},
			"must change": {func(d *ldapwriter.DomainConfig) {
				d.BindUser, d.BindPassword = "mustchange2"+userSuffix, password(c.userPassword)
			}, "data 773"},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := c.directory(t, row.change).Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
				wantReason(t, err, writeback.DirectoryAccessDenied)
				if typed := asError(t, err); !strings.Contains(typed.Hint, row.hint) {
					t.Errorf("hint %q, want %q in it", typed.Hint, row.hint)
				}
			})
		}
	})
}

func TestContractNoDelegation(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t, func(config *ldapwriter.DomainConfig) { config.BindUser = undelegated })
		err := d.Write(deadline(t), person(t, d, "alice"), reset(newPassword))
		wantReason(t, err, writeback.DirectoryAccessDenied)
	})
}

func TestContractStatusKnowsTheController(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		got := c.directory(t).Health(deadline(t))
		if len(got) != 1 {
			t.Fatalf("%d controllers", len(got))
		}
		s := got[0]
		if s.Address != c.address || !s.Connected || !s.InUse || !s.Preferred || s.LastError != "" || s.Connections != 1 {
			t.Errorf("status %+v", s)
		}
		hints := "1.2.840.113556.1.4.2239"
		if c.withoutHints {
			hints = ""
		}
		if s.PolicyHints != hints || s.ClockOffset.Abs() > 3*time.Second || s.CertificateExpires.Before(time.Now()) {
			t.Errorf("status %+v", s)
		}
	})
}

// Samba does not look for names in passwords; Windows does (Microsoft: "Password must meet complexity requirements").
func TestWindowsOnlyRefusesNamesInPasswords(t *testing.T) {
	d := startFake(t, func(*adtest.Options) {}).directory(t)
	err := d.Write(deadline(t), person(t, d, "carol"), reset("My-Carol-Passw0rd"))
	wantReason(t, err, writeback.PasswordContainsName)
}

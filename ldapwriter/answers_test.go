package ldapwriter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

const sambaTooYoung = "0000052D: Unwilling to perform - check_password_restrictions: password is too young to change!"

// Answers as Windows and Samba 4.17 and 4.24 give them; see the sources in the documentation of the reasons.
func TestEveryAnswerHasItsReason(t *testing.T) {
	for name, row := range map[string]struct {
		code       int
		diagnostic string
		want       writeback.Reason
		minLength  int
	}{
		"Windows, no right":           {50, "00000005: SecErr: DSID-031A11ED, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00", writeback.DirectoryAccessDenied, 0},
		"Samba, no right":             {50, "error in module acl: insufficient access rights during LDB_MODIFY (50)", writeback.DirectoryAccessDenied, 0},
		"Samba, no right, attribute":  {50, "00002098: Object CN=a,DC=b has no write property access\n", writeback.DirectoryAccessDenied, 0},
		"Windows, gone":               {32, "0000208D: NameErr: DSID-0310028C, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''\n\x00", writeback.UserNotFound, 0},
		"Samba, gone":                 {32, "00002030: No such Base DN: <GUID=...>", writeback.UserNotFound, 0},
		"Samba 4.17, too short":       {19, "0000052D: Constraint violation - check_password_restrictions: the password is too short. It should be equal or longer than 14 characters!", writeback.PasswordTooShort, 14},
		"Samba 4.24, too short":       {53, "0000052D: Unwilling to perform - check_password_restrictions: the password is too short. It should be equal to or longer than 8 characters!", writeback.PasswordTooShort, 8},
		"Samba, too short, no number": {53, "0000052D: the password is too short.", writeback.PasswordTooShort, 8}, // the policy's
		"Samba, too simple":           {53, "0000052D: Unwilling to perform - check_password_restrictions: the password does not meet the complexity criteria!", writeback.PasswordTooSimple, 0},
		"Samba, previous":             {53, "0000052D: Unwilling to perform - check_password_restrictions: the password was already used (previous password)!", writeback.PasswordInHistory, 0},
		"Samba, history":              {53, "0000052D: Unwilling to perform - check_password_restrictions: the password was already used (in history)!", writeback.PasswordInHistory, 0},
		"Samba, too young":            {53, sambaTooYoung, writeback.PasswordTooRecent, 0},
		"Windows, policy":             {53, "0000052D: SvcErr: DSID-031A126C, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", writeback.PasswordRefused, 0},
		"policy as result code 19":    {19, "0000052D: AtrErr: DSID-03190F80, #1:\n\t0: 0000052D: DSID-03190F80\n\x00", writeback.PasswordRefused, 0},
		"Windows, encoding":           {53, "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00", writeback.AgentInternal, 0},
		"Samba, encoding":             {53, "00002035: setup_io: it's not allowed to set the NT hash password directly'", writeback.AgentInternal, 0},
		"text that only looks like":   {53, "the 0000052D: somewhere inside", writeback.PasswordRefused, 0},
		"bad name":                    {34, "0000208F: NameErr: DSID-03100233, problem 2006 (BAD_NAME)\n\x00", writeback.AgentInternal, 0},
		"unknown critical control":    {12, "00000057: LdapErr: DSID-0C090A22, comment: Error processing control\x00", writeback.DirectoryPolicyHintsMissing, 0},
		"busy":                        {51, "0000200E: SvcErr: busy\x00", writeback.DirectoryUnavailable, 0},
		"referral":                    {10, "0000202B: RefErr: DSID-0310082F, data 0, 1 access points\n\x00", writeback.DirectoryUnavailable, 0},
		"no message":                  {53, "", writeback.PasswordRefused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t)
			d := fake.directory(t)
			account := person(t, d, "alice")
			fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: row.code, Diagnostic: row.diagnostic, Times: 1})
			err := d.Write(deadline(t), account, reset(newPassword))
			wantReason(t, err, row.want)
			if got := writeback.DetailOf(err).MinLength; got != row.minLength {
				t.Errorf("minimum length %d, want %d", got, row.minLength)
			}
			if strings.ContainsAny(err.Error(), "\x00\n\t") {
				t.Errorf("control characters in %q", err)
			}
			if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
				t.Errorf("the next write: %v", err)
			}
			if fake.fake.Connections() != 1 {
				t.Error("an answer cost the connection")
			}
		})
	}
}

func TestControllerWithoutPolicyHints(t *testing.T) {
	for _, mode := range []ldapwriter.HintsMode{"", ldapwriter.HintsRequire, ldapwriter.HintsWarn, ldapwriter.HintsAllow} {
		t.Run(string(mode), func(t *testing.T) {
			fake := startFake(t, func(o *adtest.Options) { o.WithoutPolicyHints = true })
			logger, log := logtest.NewNullLogger()
			config := fake.domain()
			config.PolicyHints = mode
			d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}, Log: logger})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			account := person(t, d, "alice")
			err = d.Write(deadline(t), account, reset(fake.userPassword)) // the current one: history would refuse it
			refused := mode == "" || mode == ldapwriter.HintsRequire
			if refused {
				wantReason(t, err, writeback.DirectoryPolicyHintsMissing)
			} else if err != nil {
				t.Error(err)
			}
			if got := fake.fake.Writes("alice") == 0; got != refused {
				t.Errorf("refused %v, want %v", got, refused)
			}
			warned := slices.ContainsFunc(log.AllEntries(), func(e *logrus.Entry) bool {
				return e.Level == logrus.WarnLevel && strings.Contains(e.Message, "not checked against the history")
			})
			if warned != (mode == ldapwriter.HintsWarn) {
				t.Errorf("warned: %v", warned)
			}
			if err := d.Write(deadline(t), account, writeback.Change{Operation: writeback.OpUnlock}); err != nil {
				t.Errorf("unlock needs no hints: %v", err)
			}
		})
	}
}

func TestDeprecatedPolicyHintsAreUsed(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) { o.DeprecatedPolicyHints = true })
	d := fake.directory(t)
	wantReason(t, d.Write(deadline(t), person(t, d, "alice"), reset(fake.userPassword)), writeback.PasswordRefused)
	if got := d.Status()[0].PolicyHints; got != "1.2.840.113556.1.4.2066" {
		t.Errorf("status names %q", got)
	}
}

// Samba 4.24 refuses a must-change reset under policy hints as too young, whatever the minimum age (seen on the real controller).
func TestMustChangeWhereHintsAreConfused(t *testing.T) {
	confused := adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: 53, Diagnostic: sambaTooYoung, Times: 1}
	for _, row := range []struct {
		name   string
		mode   ldapwriter.HintsMode
		policy adtest.Policy
		hidden string // attribute that may not be read
		must   bool
		want   writeback.Reason
		writes int
	}{
		{"required", ldapwriter.HintsRequire, adtest.Policy{}, "", true, writeback.DirectoryPolicyHintsMissing, 0},
		{"warn", ldapwriter.HintsWarn, adtest.Policy{}, "", true, writeback.ReasonOK, 1},
		{"really too young", ldapwriter.HintsWarn, adtest.Policy{MinAge: 48 * 3600e9}, "", true, writeback.PasswordTooRecent, 0},
		{"age reached", ldapwriter.HintsAllow, adtest.Policy{MinAge: 3600e9}, "", true, writeback.ReasonOK, 1},
		{"no must-change", ldapwriter.HintsWarn, adtest.Policy{}, "", false, writeback.PasswordTooRecent, 0},
		{"age not known", ldapwriter.HintsAllow, adtest.Policy{MinAge: 48 * 3600e9}, "minPwdAge", true, writeback.PasswordTooRecent, 0},
		{"time not known", ldapwriter.HintsAllow, adtest.Policy{MinAge: 48 * 3600e9}, "pwdLastSet", true, writeback.PasswordTooRecent, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			fake := startFake(t, func(o *adtest.Options) { o.Domain.Policy, o.Unreadable = row.policy, []string{row.hidden} })
			d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.PolicyHints = row.mode })
			account := person(t, d, "alice")
			fake.fake.Inject(confused)
			change := reset(newPassword)
			change.MustChange = row.must
			wantReason(t, d.Write(deadline(t), account, change), row.want)
			state, _ := fake.fake.User("alice")
			if state.Writes != row.writes || state.MustChange != (row.writes == 1) {
				t.Errorf("%d writes, must change %v", state.Writes, state.MustChange)
			}
		})
	}
}

func TestBareRefusalIsExplainedOnlyByWhatIsKnown(t *testing.T) {
	for name, row := range map[string]struct {
		policy   adtest.Policy
		hidden   []string
		password string
		want     writeback.Reason
		possible []string
	}{
		"too short":         {adtest.Policy{MinLength: 14}, nil, "Aa7-Aa7", writeback.PasswordTooShort, nil},
		"length not known":  {adtest.Policy{MinLength: 14}, []string{"minPwdLength"}, "Aa7-Aa7", writeback.PasswordRefused, []string{"in_history", "filter"}},
		"policy not known":  {adtest.Policy{MinLength: 14}, []string{"lockoutThreshold"}, "Aa7-Aa7", writeback.PasswordRefused, []string{"in_history", "filter"}},
		"too simple":        {adtest.Policy{Complexity: true}, nil, "allofthesearelower1", writeback.PasswordTooSimple, nil},
		"one odd kind":      {adtest.Policy{Complexity: true}, nil, "lowercase 12", writeback.PasswordRefused, []string{"filter", "too_simple"}},
		"currency signs":    {adtest.Policy{Complexity: true, History: 1}, nil, "LOWER€€case", writeback.PasswordRefused, []string{"in_history", "filter", "too_simple"}},
		"other digits":      {adtest.Policy{Complexity: true}, nil, "lowercase٣٤", writeback.PasswordRefused, []string{"filter", "too_simple"}},
		"one kind, one odd": {adtest.Policy{Complexity: true}, nil, "only lower", writeback.PasswordTooSimple, nil},
		"contains login":    {adtest.Policy{Complexity: true}, nil, "xxALICE-77", writeback.PasswordContainsName, nil},
		"complex in kanji":  {adtest.Policy{Complexity: true, History: 5}, nil, adtest.CorpPassword, writeback.PasswordRefused, []string{"in_history", "filter"}},
		"maybe too recent":  {adtest.Policy{MinAge: 2 * 24 * 3600e9, History: 3}, nil, newPassword, writeback.PasswordRefused, []string{"in_history", "filter", "too_recent"}},
		"old enough":        {adtest.Policy{MinAge: 3600e9, History: 3}, nil, adtest.CorpPassword, writeback.PasswordRefused, []string{"in_history", "filter"}},
		"counted in UTF-16": {adtest.Policy{MinLength: 5}, nil, "😀😀", writeback.PasswordTooShort, nil},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t, func(o *adtest.Options) { o.Domain.Policy, o.Unreadable = row.policy, row.hidden })
			d := fake.directory(t)
			err := d.Write(deadline(t), person(t, d, "alice"), reset(row.password))
			wantReason(t, err, row.want)
			detail := writeback.DetailOf(err)
			if diff := cmp.Diff(row.possible, detail.Possible); diff != "" {
				t.Errorf("possible (-want +got):\n%s", diff)
			}
			if row.want == writeback.PasswordTooShort && detail.MinLength != row.policy.MinLength {
				t.Errorf("minimum length %d", detail.MinLength)
			}
			if (detail.RetryAfter != nil) != (name == "maybe too recent") {
				t.Errorf("retry after %v", detail.RetryAfter)
			}
		})
	}
}

package ldapwriter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Where a preflight is certain, the write that follows it ends in the same way.
func TestContractPreflightForetellsTheWrite(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		for name, row := range map[string]struct {
			login     string
			operation writeback.Operation
			service   string
			want      writeback.Reason
		}{
			"reset":                {"bob", writeback.OpReset, "", writeback.ReasonOK},
			"change":               {"bob", writeback.OpChange, "", writeback.ReasonOK},
			"unlock":               {"bob", writeback.OpUnlock, "", writeback.ReasonOK},
			"not delegated":        {"bob", writeback.OpReset, undelegated, writeback.DirectoryAccessDenied},
			"unlock not delegated": {"bob", writeback.OpUnlock, undelegated, writeback.DirectoryAccessDenied},
			"change needs nothing": {"bob", writeback.OpChange, undelegated, writeback.ReasonOK},
			"outside":              {"outsider", writeback.OpReset, "", writeback.DirectoryAccessDenied},
			"does not inherit":     {"admin2", writeback.OpReset, "", writeback.DirectoryAccessDenied},
			"cannot change":        {"cantchange1", writeback.OpChange, "", writeback.PasswordCannotChange},
			"cannot change, reset": {"cantchange1", writeback.OpReset, "", writeback.ReasonOK},
			"nothing to write":     {"bob", writeback.OpPing, "", writeback.RequestUnsupported},
		} {
			t.Run(name, func(t *testing.T) {
				d := c.directory(t, func(config *ldapwriter.DomainConfig) { config.BindUser = orElse(row.service, serviceUser) })
				account := person(t, d, row.login)
				detail, err := d.Preflight(deadline(t), account, row.operation)
				wantReason(t, err, row.want)
				if err == nil && row.operation.SetsPassword() {
					want := writeback.Detail{MinLength: 8, HistoryLength: 5}
					if c.withoutHints && row.operation == writeback.OpReset {
						want.Warnings = []string{"history_not_enforced"}
					}
					if diff := cmp.Diff(want, detail); diff != "" {
						t.Errorf("detail (-want +got):\n%s", diff)
					}
				}
				change := writeback.Change{Operation: row.operation, Password: secret.NewString(newPassword), OldPassword: secret.NewString(c.userPassword)}
				if row.want != writeback.ReasonOK {
					wantReason(t, d.Write(deadline(t), account, change), row.want)
				}
			})
		}
	})
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// What may not be read is a warning, never a refusal and never the domain's policy in place of the user's.
func TestContractPreflightWithAFineGrainedPolicy(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		detail, err := d.Preflight(deadline(t), person(t, d, "pso1"), writeback.OpReset)
		want := []string{"policy_unreadable"}
		if c.withoutHints {
			want = []string{"history_not_enforced", "policy_unreadable"}
		}
		if diff := cmp.Diff(writeback.Detail{Warnings: want}, detail); err != nil || diff != "" {
			t.Errorf("%v, detail (-want +got):\n%s", err, diff)
		}
	})
}

func TestPreflightWarnings(t *testing.T) {
	young := func(o *adtest.Options) { o.Domain.Policy.MinAge = 72 * time.Hour }
	for name, row := range map[string]struct {
		change    func(*adtest.Options)
		operation writeback.Operation
		hints     ldapwriter.HintsMode
		want      writeback.Reason
		warnings  []string
		later     bool
	}{
		"no hints, required": {func(o *adtest.Options) { o.WithoutPolicyHints = true }, writeback.OpReset, ldapwriter.HintsRequire, writeback.DirectoryPolicyHintsMissing, nil, false},
		"no hints, allowed":  {func(o *adtest.Options) { o.WithoutPolicyHints = true }, writeback.OpReset, ldapwriter.HintsAllow, writeback.ReasonOK, []string{"history_not_enforced"}, false},
		"no hints, change":   {func(o *adtest.Options) { o.WithoutPolicyHints = true }, writeback.OpChange, ldapwriter.HintsRequire, writeback.ReasonOK, nil, false},
		"young, reset":       {young, writeback.OpReset, ldapwriter.HintsRequire, writeback.ReasonOK, []string{"may_be_too_recent"}, true},
		"young, reset, no hints": {func(o *adtest.Options) { young(o); o.WithoutPolicyHints = true }, writeback.OpReset, ldapwriter.HintsAllow, writeback.ReasonOK,
			[]string{"history_not_enforced"}, false},
		"young, change":        {young, writeback.OpChange, ldapwriter.HintsRequire, writeback.PasswordTooRecent, nil, true},
		"young, unlock":        {young, writeback.OpUnlock, ldapwriter.HintsRequire, writeback.ReasonOK, nil, false},
		"no descriptor":        {hide("nTSecurityDescriptor"), writeback.OpReset, ldapwriter.HintsRequire, writeback.ReasonOK, []string{"rights_unreadable", "policy_unreadable"}, false},
		"no resultant policy":  {hide("msDS-ResultantPSO"), writeback.OpChange, ldapwriter.HintsRequire, writeback.ReasonOK, []string{"policy_unreadable"}, false},
		"no policy":            {hide("minPwdAge"), writeback.OpReset, ldapwriter.HintsRequire, writeback.ReasonOK, []string{"policy_unreadable"}, false},
		"unlock, no evidence":  {hide("nTSecurityDescriptor", "allowedAttributesEffective"), writeback.OpUnlock, ldapwriter.HintsRequire, writeback.ReasonOK, nil, false},
		"only the reset right": {hide("allowedAttributesEffective"), writeback.OpReset, ldapwriter.HintsRequire, writeback.ReasonOK, []string{"must_change_no_right", "unlock_no_right"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := startFake(t, row.change).directory(t, func(c *ldapwriter.DomainConfig) { c.PolicyHints = row.hints })
			detail, err := d.Preflight(deadline(t), person(t, d, "alice"), row.operation)
			wantReason(t, err, row.want)
			if diff := cmp.Diff(row.warnings, detail.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if err != nil {
				detail = writeback.DetailOf(err)
			}
			if (detail.RetryAfter != nil) != row.later {
				t.Errorf("retry after %v", detail.RetryAfter)
			}
		})
	}
}

func hide(attributes ...string) func(*adtest.Options) {
	return func(o *adtest.Options) { o.Unreadable = attributes }
}

func TestPreflightWritesNothingAndNeedsItsController(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	before := fake.fake.Operations()
	if _, err := d.Preflight(deadline(t), account, writeback.OpReset); err != nil {
		t.Fatal(err)
	}
	if got := fake.fake.Operations() - before; got != 2 {
		t.Errorf("%d operations, want the account and the clock", got)
	}
	if state, _ := fake.fake.User("alice"); state.Writes != 0 || state.BadPasswords != 0 {
		t.Errorf("%+v", state)
	}
	account.Controller = "elsewhere.example.com:636"
	_, err := d.Preflight(deadline(t), account, writeback.OpReset)
	wantReason(t, err, writeback.DirectoryUnavailable)
	account = person(t, d, "alice")
	account.GUID[0]++
	_, err = d.Preflight(deadline(t), account, writeback.OpReset)
	wantReason(t, err, writeback.UserNotFound)
}

// Each line of the rights in docs/operations.md matters by itself: without inheritance nobody is delegated.
func TestPreflightOfProtectedAccounts(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	for _, login := range []string{"admin1", "admin2", "admin3"} {
		_, err := d.Preflight(deadline(t), person(t, d, login), writeback.OpReset)
		wantReason(t, err, writeback.DirectoryAccessDenied)
	}
	if !slices.Contains([]int{0}, fake.fake.Writes("admin1")) {
		t.Error("written")
	}
}

package ldapwriter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// onControllersWithoutHints runs a test against everything that lacks the policy-hints control: the fake made so, and Samba 4.17.
func onControllersWithoutHints(t *testing.T, test func(t *testing.T, c *controller)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) {
		test(t, startFake(t, func(o *adtest.Options) { o.WithoutPolicyHints = true }))
	})
	t.Run("samba-4.17", func(t *testing.T) { test(t, openOldSamba(t)) })
}

// Without the control a reset to the very password that is set would succeed. What becomes of it is the administrator's choice.
func TestContractModesOfPolicyHints(t *testing.T) {
	onControllersWithoutHints(t, func(t *testing.T, c *controller) {
		for login, row := range map[string]struct {
			mode   ldapwriter.HintsMode
			want   writeback.Reason
			warned bool
		}{
			"contract05": {"", writeback.DirectoryPolicyHintsMissing, false},
			"contract06": {ldapwriter.HintsRequire, writeback.DirectoryPolicyHintsMissing, false},
			"contract07": {ldapwriter.HintsWarn, writeback.ReasonOK, true},
			"contract08": {ldapwriter.HintsAllow, writeback.ReasonOK, false},
		} {
			t.Run(login+string(row.mode), func(t *testing.T) {
				d, log := c.logged(t, row.mode)
				account := person(t, d, login)
				wantReason(t, d.Write(deadline(t), account, reset(c.userPassword)), row.want)
				warned := slices.ContainsFunc(log.AllEntries(), func(e *logrus.Entry) bool {
					return e.Level == logrus.WarnLevel && strings.Contains(e.Message, "not checked against the history")
				})
				if warned != row.warned {
					t.Errorf("warned: %v", warned)
				}
				c.wantVersion(t, d, account, row.want == writeback.ReasonOK)
				wantReason(t, second(d.Preflight(deadline(t), account, writeback.OpReset)), row.want)
				// What needs no control is done in every mode: a change meets the history by itself.
				wantReason(t, d.Write(deadline(t), account, writeback.Change{Operation: writeback.OpUnlock}), writeback.ReasonOK)
				wantReason(t, d.Write(deadline(t), account, changeTo(newPassword)(c)), writeback.ReasonOK)
			})
		}
	})
}

func second[T any](_ T, err error) error { return err }

// logged opens a Directory in a mode and keeps what it logs.
func (c *controller) logged(t *testing.T, mode ldapwriter.HintsMode) (*ldapwriter.Directory, *logtest.Hook) {
	t.Helper()
	logger, log := logtest.NewNullLogger()
	config := c.domain()
	config.PolicyHints = mode
	d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, log
}

// wantVersion fails the test unless the password was written exactly once since the account was read, or not at all.
func (c *controller) wantVersion(t *testing.T, d *ldapwriter.Directory, account writeback.Account, written bool) {
	t.Helper()
	state, err := d.PasswordState(deadline(t), account)
	moved := state.Version - account.Password.Version
	if err != nil || moved > 1 || (moved == 1) != written {
		t.Errorf("version %d -> %d, want it written: %v (%v)", account.Password.Version, state.Version, written, err)
	}
}

// Samba 4.17 knows no channel binding and refuses every Kerberos bind inside TLS; that of Samba 4.24 and of Windows is in TestKerberosBindWrites.
func TestKerberosBindWithoutChannelBinding(t *testing.T) {
	c := openOldSamba(t)
	d := c.directory(t, withKeytab("writeback-svc", keytabFor(t, "writeback-svc", c.servicePassword, aes256)))
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryAccessDenied)
	if hint := asError(t, err).Hint; !strings.Contains(hint, "allow_sasl_over_tls") {
		t.Errorf("hint %q", hint)
	}
}

// Groups come nested and whole: the guard's refusals rest on them.
func TestContractGroupsAreNested(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		for login, rid := range map[string]string{"admin1": "-512", "admin2": "-512", "admin3": "-512", "protuser1": "-525", "alice": "-513"} {
			account := person(t, d, login)
			domain := account.SID[:strings.LastIndexByte(account.SID, '-')]
			if !slices.Contains(account.TokenGroups, domain+rid) {
				t.Errorf("%s: %v lacks %s", login, account.TokenGroups, domain+rid)
			}
		}
	})
}

// A lockout that wrong passwords caused is seen, and ends with the reset that asks for it, in the same Modify.
func TestContractLockoutByGuessing(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		d := c.directory(t)
		const login = "contract09"
		for range 3 {
			if err := c.logOn(t, login, "certainly Wrong 7"); err == nil {
				t.Fatal("a wrong password is accepted")
			}
		}
		account := person(t, d, login)
		if !account.LockedOut || account.Password.BadPasswordCount != 3 {
			t.Errorf("locked out %v after %d wrong passwords", account.LockedOut, account.Password.BadPasswordCount)
		}
		change := reset(newPassword)
		wantReason(t, d.Write(deadline(t), account, change), writeback.ReasonOK)
		if !person(t, d, login).LockedOut {
			t.Error("a reset alone unlocked the account") // as on Windows: lockoutTime stays
		}
		change.Unlock, change.Password = true, reset(newPassword+"!").Password
		wantReason(t, d.Write(deadline(t), account, change), writeback.ReasonOK)
		if err := c.logOn(t, login, newPassword+"!"); err != nil || person(t, d, login).LockedOut {
			t.Errorf("still locked out: %v", err)
		}
	})
}

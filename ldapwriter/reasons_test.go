package ldapwriter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// cause makes a controller refuse something.
type cause func(t *testing.T, c *controller) error

// written tries a change on a person, under a configuration.
func written(login string, change func(c *controller) writeback.Change, configure ...func(*ldapwriter.DomainConfig)) cause {
	return func(t *testing.T, c *controller) error {
		t.Helper()
		d := c.directory(t, configure...)
		return d.Write(deadline(t), person(t, d, login), change(c))
	}
}

// resetTo is a reset to a fixed password.
func resetTo(password string) func(*controller) writeback.Change {
	return func(*controller) writeback.Change { return reset(password) }
}

// changeTo is a change from the password that everybody has at first.
func changeTo(password string) func(*controller) writeback.Change {
	return func(c *controller) writeback.Change {
		return writeback.Change{Operation: writeback.OpChange, OldPassword: secret.NewString(c.userPassword), Password: secret.NewString(password)}
	}
}

// found looks for somebody.
func found(subject writeback.Subject, configure ...func(*ldapwriter.DomainConfig)) cause {
	return func(t *testing.T, c *controller) error {
		t.Helper()
		_, err := c.directory(t, configure...).Resolve(deadline(t), subject)
		return err
	}
}

// silent is a port of loopback where nobody listens.
func silent(c *ldapwriter.DomainConfig) { c.Controllers = []string{"127.0.0.1:1"} }

// producers has a cause for every reason that both controllers give.
func producers() map[writeback.Reason]cause {
	return map[writeback.Reason]cause{
		writeback.UserNotFound:              found(writeback.Subject{Kind: writeback.ByUPN, Value: "nobody" + userSuffix}),
		writeback.UserAmbiguous:             found(writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix, AssertedImmutableID: anchorOf("bob")}),
		writeback.PasswordTooShort:          written("bob", resetTo("Aa7!")),
		writeback.PasswordTooLong:           written("bob", resetTo(strings.Repeat("Aa7!", 65))),
		writeback.PasswordTooSimple:         written("bob", resetTo("allofthesearelower")),
		writeback.PasswordInvalidCharacters: written("bob", resetTo("Aa7!\x00Aa7!")),
		writeback.PasswordOldIncorrect: written("contract01", func(*controller) writeback.Change {
			return changeOf("certainly Wrong 7", newPassword)
		}),
		writeback.PasswordCannotChange:  written("cantchange1", changeTo(newPassword)),
		writeback.PasswordInHistory:     written("contract02", func(c *controller) writeback.Change { return changeTo(c.userPassword)(c) }),
		writeback.DirectoryAccessDenied: written("outsider", resetTo(newPassword)),
		writeback.DirectoryUnavailable:  found(writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}, silent),
	}
}

// differing has a cause for what not every controller says. Which one does is tested: what a row does not name is not left out in silence,
// and what no real controller says stands there with the source that says that Windows does.
func differing() map[writeback.Reason]differs {
	return map[writeback.Reason]differs{
		writeback.PasswordContainsName: {
			source: `Samba does not compare a password with names. Microsoft, "Password must meet complexity requirements"; MS-SAMR 3.1.1.7.2`,
			fake:   written("carol", resetTo("My-CAROL-Passw0rd")),
		},
		writeback.PasswordRefused: {
			source: "Windows says 0000052D for a password in the history and no more (KB2386717); Samba says which rule it breaks",
			fake:   written("carol", func(c *controller) writeback.Change { return reset(c.userPassword) }),
		},
		writeback.DirectoryPolicyHintsMissing: {
			fake:   withoutTheControl(written("carol", resetTo(newPassword))),
			old:    written("contract03", resetTo(newPassword), required),
			source: "Windows Server 2008 R2 without KB2386717, and Samba before 4.18, lack the control; Samba 4.24 has it",
		},
		writeback.PasswordTooRecent: {
			fake:  underMinimumAge(written("dave", changeTo(newPassword))),
			samba: written("minage1", changeTo(newPassword)),
			old:   written("minage1", changeTo(newPassword)),
		},
		writeback.DirectoryOutcomeUnknown: {
			fake:  answerLost,
			samba: answerLost,
			old:   answerLost,
		},
	}
}

// differs is a cause for each kind of controller; nil: it does not say so.
type differs struct {
	fake, samba, old cause
	source           string // where one is nil: why, and who says so
}

func (d differs) on(c *controller) cause {
	switch {
	case !c.samba:
		return d.fake
	case c.withoutHints:
		return d.old
	}
	return d.samba
}

// required demands that the history is enforced.
func required(c *ldapwriter.DomainConfig) { c.PolicyHints = ldapwriter.HintsRequire }

func withoutTheControl(cause cause) cause {
	return func(t *testing.T, _ *controller) error {
		t.Helper()
		return cause(t, startFake(t, func(o *adtest.Options) { o.WithoutPolicyHints = true }))
	}
}

// underMinimumAge: on Windows the policy must be readable to tell why, and that of minage1 is not.
func underMinimumAge(cause cause) cause {
	return func(t *testing.T, _ *controller) error {
		t.Helper()
		return cause(t, startFake(t, func(o *adtest.Options) { o.Domain.Policy.MinAge = 48 * time.Hour }))
	}
}

// answerLost has a line to the controller cut while the answer to a Modify is on its way: it was carried out, and nobody was told.
func answerLost(t *testing.T, c *controller) error {
	t.Helper()
	line := c.through(t)
	d := c.directory(t, func(config *ldapwriter.DomainConfig) { config.Controllers = []string{line.address} })
	account := person(t, d, "contract04")
	line.loseAnswers()
	failure := d.Write(deadline(t), account, reset(newPassword))
	line.mend()
	after, err := d.PasswordState(deadline(t), account)
	if err != nil || after.Version != account.Password.Version+1 || after.Originating != after.Own {
		t.Errorf("version %d -> %d by %s on %s (%v)", account.Password.Version, after.Version, after.Originating, after.Own, err)
	}
	return failure
}

func TestContractEveryReason(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		causes := producers()
		for reason, row := range differing() {
			if cause := row.on(c); cause != nil {
				causes[reason] = cause
			}
		}
		for reason, cause := range causes {
			t.Run(string(reason), func(t *testing.T) { wantReason(t, cause(t, c), reason) })
		}
	})
}

// What no controller says: the guard judges the account's state, the agent its lists.
func saidByTheAgent(reason writeback.Reason) bool {
	switch reason {
	case writeback.UserDisabled, writeback.UserExpired, writeback.UserLocked, writeback.UserSmartcardRequired, writeback.PasswordBanned:
		return true
	}
	return false
}

func TestNoReasonOfADirectoryIsWithoutATest(t *testing.T) {
	both, some := producers(), differing()
	for _, info := range writeback.Reasons() {
		switch info.Class {
		case writeback.ClassUser, writeback.ClassPassword, writeback.ClassDirectory:
		default:
			continue
		}
		row, listed := some[info.Reason]
		if known := both[info.Reason] != nil || listed; known == saidByTheAgent(info.Reason) {
			t.Errorf("%s: has a cause here %v, said by the agent %v", info.Reason, known, saidByTheAgent(info.Reason))
		}
		everywhere := row.fake != nil && row.samba != nil && row.old != nil
		if listed && !everywhere && row.source == "" {
			t.Errorf("%s: not every controller says so, and no source says why", info.Reason)
		}
		if listed && row.fake == nil {
			t.Errorf("%s: the fake, which answers like Windows, cannot say so", info.Reason)
		}
	}
}

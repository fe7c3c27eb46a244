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
		writeback.PasswordOldIncorrect: written("bob", func(*controller) writeback.Change {
			return changeOf("certainly Wrong 7", newPassword)
		}),
		writeback.PasswordCannotChange:  written("cantchange1", changeTo(newPassword)),
		writeback.PasswordInHistory:     written("contract02", func(c *controller) writeback.Change { return changeTo(c.userPassword)(c) }),
		writeback.DirectoryAccessDenied: written("outsider", resetTo(newPassword)),
		writeback.DirectoryUnavailable:  found(writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}, silent),
	}
}

// onlyTheFake has a cause for what the Samba of the tests cannot be made to say. Where it is Windows alone, the source stands beside it.
func onlyTheFake() map[writeback.Reason]cause {
	return map[writeback.Reason]cause{
		// Samba does not compare the password with names. Microsoft, "Password must meet complexity requirements"; MS-SAMR 3.1.1.7.2.
		writeback.PasswordContainsName: written("carol", resetTo("My-CAROL-Passw0rd")),
		// Windows says 0000052D for a password in the history and nothing more (KB2386717; the answers of the fake have the threads).
		writeback.PasswordRefused: func(t *testing.T, c *controller) error {
			t.Helper()
			return written("carol", resetTo(c.userPassword))(t, c)
		},
		// Samba 4.17 lacks the control, and the tests run against 4.24.
		writeback.DirectoryPolicyHintsMissing: func(t *testing.T, _ *controller) error {
			t.Helper()
			return written("carol", resetTo(newPassword))(t, startFake(t, func(o *adtest.Options) { o.WithoutPolicyHints = true }))
		},
		// A controller that stops at the right moment.
		writeback.DirectoryOutcomeUnknown: func(t *testing.T, c *controller) error {
			t.Helper()
			d := c.directory(t)
			account := person(t, d, "carol")
			defer c.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.DropAfter})()
			return d.Write(deadline(t), account, reset(newPassword))
		},
	}
}

// tooRecent is said by both, each under a policy that it can be asked for: on Samba the text is enough, on Windows the policy must be readable.
func tooRecent(t *testing.T, c *controller) error {
	t.Helper()
	if !c.samba {
		c = startFake(t, func(o *adtest.Options) { o.Domain.Policy.MinAge = 48 * time.Hour })
		return written("dave", changeTo(newPassword))(t, c)
	}
	return written("minage1", changeTo(newPassword))(t, c)
}

func TestContractEveryReason(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		causes := producers()
		causes[writeback.PasswordTooRecent] = tooRecent
		if !c.samba {
			for reason, cause := range onlyTheFake() {
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
	both, fake := producers(), onlyTheFake()
	for _, info := range writeback.Reasons() {
		switch info.Class {
		case writeback.ClassUser, writeback.ClassPassword, writeback.ClassDirectory:
		default:
			continue
		}
		known := both[info.Reason] != nil || fake[info.Reason] != nil || info.Reason == writeback.PasswordTooRecent
		if known == saidByTheAgent(info.Reason) {
			t.Errorf("%s: has a cause here %v, said by the agent %v", info.Reason, known, saidByTheAgent(info.Reason))
		}
	}
}

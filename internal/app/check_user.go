package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// SubjectOf reads how an administrator names a user: a SID, an objectGUID, DOMAIN\name or a user principal name.
func SubjectOf(text string) (writeback.Subject, error) {
	subject := writeback.Subject{Value: text}
	_, notGUID := writeback.ParseGUID(text)
	switch {
	case len(text) > 4 && strings.EqualFold(text[:4], "S-1-"):
		subject.Kind = writeback.BySID
	case notGUID == nil:
		subject.Kind = writeback.ByGUID
	case strings.Contains(text, `\`):
		subject.Kind = writeback.BySAM
	case strings.Contains(text, "@"):
		subject.Kind = writeback.ByUPN
	default:
		return writeback.Subject{}, errors.New(`a user is named by SID, objectGUID, DOMAIN\name or user principal name`)
	}
	return subject, nil
}

// CheckUser tells an administrator whether each portal could have the user's password reset or the account unlocked, and why not: with the causes, which
// portals are not told. It asks the directory as a request would, and writes nothing. The ledger is not asked: a budget that is spent, and the outcome of an
// earlier request that is looked for, do not show.
func CheckUser(ctx context.Context, path string, subject writeback.Subject, progress func(check.Probe)) check.Report {
	c := &checking{Checker: &check.Checker{Within: probeTime, Progress: progress}, path: path}
	u := userCheck{checking: c}
	defer func() { _ = c.secrets.forget() }()
	found := c.Chain(ctx,
		check.Probe{Component: "config", Target: path, Run: c.load},
		check.Probe{Component: "user", Target: subject.Value, Run: func(ctx context.Context) check.Finding { return u.find(ctx, subject) }})
	c.explainFaults()
	if u.directory != nil {
		defer func() { _ = u.directory.Close() }()
	}
	if found {
		u.judge(ctx)
	}
	return c.Report
}

// userCheck looks at one user.
type userCheck struct {
	*checking
	directory *ldapwriter.Directory
	account   writeback.Account
}

func (u *userCheck) find(ctx context.Context, subject writeback.Subject) check.Finding {
	var err error
	if u.directory, err = newDirectory(u.cfg, &u.secrets, silent()); err != nil {
		return failure(err)
	}
	if u.account, err = u.directory.Resolve(ctx, subject); err != nil {
		return failure(err)
	}
	said := fmt.Sprintf("%s, on %s", u.account.DistinguishedName, u.account.Controller)
	if warnings := u.account.Warnings; len(warnings) > 0 {
		return check.Warned(said+"; "+strings.Join(warnings, ", "), remedyOfWarning(warnings[0]))
	}
	return check.Passed(said)
}

// judge shows what each portal would meet, and then what the directory would say to anybody.
func (u *userCheck) judge(ctx context.Context) {
	u.Add("lockout", u.account.SAMAccountName, u.lockout())
	u.Add("password", u.account.SAMAccountName, u.password())
	rules, err := newGuard(u.cfg)
	if err != nil {
		u.Add("guard", "", failure(err))
		return
	}
	for _, issuer := range u.cfg.Issuers {
		u.Add("guard", issuer.ID, u.mayAsk(rules, issuer))
	}
	for _, operation := range u.asked() {
		u.Chain(ctx, check.Probe{Component: "directory", Target: string(operation), Run: func(ctx context.Context) check.Finding {
			return u.preflight(ctx, operation)
		}})
	}
}

// asked lists the operations that some portal may ask for.
func (u *userCheck) asked() []writeback.Operation {
	return slices.DeleteFunc([]writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock}, func(op writeback.Operation) bool {
		return !slices.ContainsFunc(u.cfg.Issuers, func(i config.Issuer) bool { return slices.Contains(i.Operations, op) })
	})
}

func (u *userCheck) lockout() check.Finding {
	switch {
	case u.account.LockedOut:
		return check.Warned("the account is locked out", "A reset that unlocks, or an unlock, ends that.")
	case u.account.LockoutTimeSet:
		return check.Passed("not locked out; an earlier lockout has run out")
	}
	return check.Passed("not locked out")
}

func (u *userCheck) password() check.Finding {
	state := u.account.Password
	if state.ChangedAt.IsZero() {
		return check.Failed("when it was set cannot be read, so a newer one could not be protected",
			"Let the delegated account read pwdLastSet, whenChanged and replPropertyMetaData of the users in scope.")
	}
	said := "set at " + inSeconds(state.ChangedAtLocal())
	if state.MustChange {
		said += "; it must be changed at the next logon"
	}
	return check.Passed(said)
}

// mayAsk has the guard judge as it would a request of the portal that names the user in a way it may.
func (u *userCheck) mayAsk(rules *guard.Guard, issuer config.Issuer) check.Finding {
	operation := rules.Checks(issuer.ID)
	request := writeback.Request{Claims: writeback.Claims{Issuer: issuer.ID, Operation: operation}, Unlock: operation == writeback.OpReset}
	request.Subject.Kind = issuer.Identifiers[0]
	if err := rules.CheckAccount(&request, u.account, time.Now()); err != nil {
		return failure(err)
	}
	return check.Passed("may ask for " + string(operation) + " of this user")
}

func (u *userCheck) preflight(ctx context.Context, operation writeback.Operation) check.Finding {
	detail, err := u.directory.Preflight(ctx, u.account, operation)
	if err != nil {
		finding := failure(err)
		if retry := writeback.DetailOf(err).RetryAfter; retry != nil {
			finding.Detail += "; possible from " + inSeconds(*retry)
		}
		return finding
	}
	said := "nothing stands in the way"
	if detail.MinLength > 0 {
		said += fmt.Sprintf("; at least %d characters", detail.MinLength)
	}
	if detail.HistoryLength > 0 {
		said += fmt.Sprintf("; not one of the last %d", detail.HistoryLength)
	}
	if len(detail.Warnings) > 0 {
		return check.Warned(said+"; "+strings.Join(detail.Warnings, ", "), remedyOfWarning(detail.Warnings[0]))
	}
	return check.Passed(said)
}

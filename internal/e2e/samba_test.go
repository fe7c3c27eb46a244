package e2e_test

import (
	"context"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
	"github.com/password-writeback/writeback/relay/requester"
)

// domain is an agent in front of the Samba controller. Each test has people of its own: e2e01 to e2e12 are reserved for this package.
type domain struct {
	*installation
	samba *sambalab.Lab
}

func testSamba(t *testing.T, built programs) {
	r := installReal(t, built, "require")
	t.Run("EveryIdentifier", r.everyIdentifier)
	t.Run("BeyondASCII", r.beyondASCII)
	t.Run("MustChange", func(t *testing.T) { r.mustChange(t, installReal(t, built, "warn")) })
	t.Run("Unlock", r.unlock)
	t.Run("ResetUnlocks", r.resetUnlocks)
	t.Run("PasswordPolicy", r.passwordPolicy)
	t.Run("Refused", r.refused)
	t.Run("Restart", r.restart) // last: it stops the agent
}

// installReal starts an agent with the given rule for controllers that cannot enforce the history.
func installReal(t *testing.T, built programs, hints string) domain {
	t.Helper()
	samba := sambalab.Open(t)
	authority, err := os.ReadFile(samba.CAFile)
	check(t, err)
	return domain{samba: samba, installation: install(t, built, lab.Domain{
		Name: strings.ToLower(samba.Realm), NetBIOSName: "CORP", Controller: samba.Addr, Authority: authority,
		BindUser: samba.ServiceUser, Password: samba.ServicePassword, Hints: hints,
		// The second one is in the agent's scope but not delegated to its account.
		Include: []string{samba.StaffDN(), samba.OutsideDN()},
	}, "")}
}

// everyIdentifier resets one person after another, each named in another way, and proves it by LDAPS and by Kerberos.
func (r domain) everyIdentifier(t *testing.T) {
	for login, kind := range map[string]writeback.IdentifierKind{
		"e2e01": writeback.BySID, "e2e02": writeback.ByGUID, "e2e03": writeback.ByUPN, "e2e04": writeback.BySAM, "e2e05": writeback.ByImmutableID,
	} {
		t.Run(string(kind), func(t *testing.T) {
			password := newPassword("New-")
			wantWritten(t, r.reset(t, r.named(t, login, kind), password))
			r.wantLogon(t, login, password, "")
			r.wantLogon(t, login, r.samba.UserPassword, "52e")
			if err := r.samba.Kinit(t, login, password); err != nil {
				t.Errorf("Kerberos refuses the new password: %v", err)
			}
			if err := r.samba.Kinit(t, login, r.samba.UserPassword); err == nil {
				t.Error("Kerberos accepts the old password")
			}
		})
	}
}

// beyondASCII proves that the password arrives as typed: LDAP and Kerberos see the same characters, not normalised.
func (r domain) beyondASCII(t *testing.T) {
	password := newPassword("Größe e\u0301 密码 🔑 ")
	wantWritten(t, r.reset(t, r.byUPN("e2e06"), password))
	r.wantLogon(t, "e2e06", password, "")
	if err := r.samba.Kinit(t, "e2e06", password); err != nil {
		t.Errorf("Kerberos refuses the new password: %v", err)
	}
}

// mustChange: Samba 4.24 cannot enforce the history and set must-change in one Modify. An agent that has to enforce it refuses
// and writes nothing; one that may go without it, lenient, writes.
func (r domain) mustChange(t *testing.T, lenient domain) {
	const login = "e2e07"
	mustChange := func(q *requester.ResetRequest) { q.MustChange = true }
	wantRefused(t, r.reset(t, r.byUPN(login), newPassword("New-"), mustChange), writeback.DirectoryPolicyHintsMissing)
	r.wantLogon(t, login, r.samba.UserPassword, "")

	password := newPassword("New-")
	wantWritten(t, lenient.reset(t, lenient.byUPN(login), password, mustChange))
	r.wantLogon(t, login, password, "773")
	r.wantLogon(t, login, r.samba.UserPassword, "52e")
	if err := r.samba.Kinit(t, login, password); err == nil || !strings.Contains(err.Error(), "Password expired") {
		t.Errorf("Kerberos should ask for a new password, but: %v", err)
	}
}

func (r domain) unlock(t *testing.T) {
	r.lock(t, "e2e08")
	outcome := r.askUnlock(t, "e2e08")
	wantWritten(t, outcome)
	r.wantLogon(t, "e2e08", r.samba.UserPassword, "")
	wantOutcome(t, r.askUnlock(t, "e2e08"), writeback.Written, writeback.AlreadyApplied)
}

// resetUnlocks resets a locked account: password and unlock are one Modify.
func (r domain) resetUnlocks(t *testing.T) {
	r.lock(t, "e2e09")
	password := newPassword("New-")
	wantWritten(t, r.reset(t, r.byUPN("e2e09"), password))
	r.wantLogon(t, "e2e09", password, "")
}

// passwordPolicy asks for passwords the domain does not admit; the controller itself enforces the history, because of the
// policy hints.
func (r domain) passwordPolicy(t *testing.T) {
	const login = "e2e10"
	outcome := r.reset(t, r.byUPN(login), secret.NewString("Ab1-xyz"))
	wantRefused(t, outcome, writeback.PasswordTooShort)
	if outcome.Detail.MinLength != 8 {
		t.Errorf("the detail says a minimum of %d, want the domain's 8", outcome.Detail.MinLength)
	}
	wantRefused(t, r.reset(t, r.byUPN(login), secret.NewString("onlylowercaseletters")), writeback.PasswordTooSimple)
	wantRefused(t, r.reset(t, r.byUPN(login), r.samba.UserPassword), writeback.PasswordInHistory)
	r.wantLogon(t, login, r.samba.UserPassword, "")

	wantWritten(t, r.reset(t, r.byUPN(login), newPassword("New-")))
	wantRefused(t, r.reset(t, r.byUPN(login), r.samba.UserPassword), writeback.PasswordInHistory)
}

func (r domain) refused(t *testing.T) {
	for login, reason := range map[string]writeback.Reason{
		"outsider":   writeback.DirectoryAccessDenied, // in scope, but the service account has no right there
		"admin1":     writeback.PolicyProtectedUser,   // by membership alone; the controller would allow it
		"admin2":     writeback.PolicyProtectedUser,
		"admin3":     writeback.PolicyProtectedUser, // by a nested group
		"disabled1":  writeback.UserDisabled,
		"expired1":   writeback.UserExpired,
		"smartcard1": writeback.UserSmartcardRequired,
		"nobody1":    writeback.PolicyOutOfScope, // who exists is not for this portal to know
	} {
		t.Run(login, func(t *testing.T) {
			password := newPassword("New-")
			wantRefused(t, r.reset(t, r.byUPN(login), password), reason)
			r.wantLogon(t, login, password, "52e")
		})
	}
}

// restart stops the agent and starts it again over the same state: what it did it remembers, and new requests are served.
func (r domain) restart(t *testing.T) {
	const login = "e2e11"
	password := newPassword("New-")
	token, err := r.portal.Token(r.portal.Draft(r.byUPN(login), password))
	check(t, err)
	wantWritten(t, r.exchange(t, token))
	before := r.version(t, login)

	check(t, r.agent.Stop())
	r.start(t)
	outcome := r.exchange(t, token)
	wantWritten(t, outcome)
	if !outcome.Replayed {
		t.Error("the repetition should be answered from memory")
	}
	if after := r.version(t, login); after != before {
		t.Errorf("the password's version went from %d to %d: the repetition was written", before, after)
	}
	r.wantLogon(t, login, password, "")

	another := newPassword("New-")
	wantWritten(t, r.reset(t, r.byUPN("e2e12"), another))
	r.wantLogon(t, "e2e12", another, "")
}

func (r domain) byUPN(login string) writeback.Subject {
	return writeback.Subject{Kind: writeback.ByUPN, Value: r.samba.UPN(login)}
}

// named names a person by any identifier; what the login does not tell is read from the directory.
func (r domain) named(t *testing.T, login string, kind writeback.IdentifierKind) writeback.Subject {
	t.Helper()
	subject := writeback.Subject{Kind: kind, Value: r.samba.UPN(login)}
	switch kind {
	case writeback.BySID:
		subject.Value = r.account(t, login).SID
	case writeback.ByGUID:
		subject.Value = r.account(t, login).GUID.String()
	case writeback.BySAM:
		subject.Value = `CORP\` + login
	case writeback.ByImmutableID: // the seed's anchor: the login, padded
		subject.Value = base64.StdEncoding.EncodeToString(append([]byte(login), make([]byte, 16-len(login))...))
	case writeback.ByUPN, writeback.ByMail:
	}
	return subject
}

// account reads a person's account past the agent.
func (r domain) account(t *testing.T, login string) writeback.Account {
	t.Helper()
	directory, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{{
		Name: strings.ToLower(r.samba.Realm), NetBIOSName: "CORP", Controllers: []string{r.samba.Addr}, RootCAs: r.samba.Roots(t),
		BindUser: r.samba.ServiceUser, BindPassword: func(context.Context) (secret.Value, error) { return r.samba.ServicePassword, nil },
	}}})
	check(t, err)
	defer func() { check(t, directory.Close()) }()
	account, err := directory.Resolve(t.Context(), r.byUPN(login))
	check(t, err)
	return account
}

func (r domain) version(t *testing.T, login string) uint32 {
	t.Helper()
	version := r.account(t, login).Password.Version
	if version == 0 {
		t.Fatal("the password's version cannot be read")
	}
	return version
}

// wantLogon binds as a person: "" when let in, else AD's sub-code.
func (r domain) wantLogon(t *testing.T, login string, password secret.Value, want string) {
	t.Helper()
	code, err := adtest.Logon(t.Context(), r.samba.Addr, r.samba.Roots(t), r.samba.UPN(login), password)
	check(t, err)
	if code != want {
		t.Errorf("a logon of %s was answered with %q, want %q", login, code, want)
	}
}

// lock locks an account out as somebody who guesses does.
func (r domain) lock(t *testing.T, login string) {
	t.Helper()
	for range 3 {
		r.wantLogon(t, login, secret.NewString("a guess"), "52e")
	}
	r.wantLogon(t, login, r.samba.UserPassword, "775")
}

func (r domain) askUnlock(t *testing.T, login string) writeback.Outcome {
	t.Helper()
	result, err := r.portal.Unlock(t.Context(), requester.UnlockRequest{User: r.byUPN(login), By: requester.Verification{AuthTime: time.Now()}})
	check(t, err)
	return result.Outcome
}

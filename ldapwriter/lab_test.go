package ldapwriter_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// newPassword satisfies every policy of the tests and contains nobody's name.
const newPassword = "Fresh-Wort 2026!"

// controller is a domain controller that tests run against: the fake, or a real Samba.
type controller struct {
	samba bool
	// withoutHints: it lacks the policy-hints control, so its resets never meet the history, nor the minimum age.
	withoutHints    bool
	address         string
	roots           *x509.CertPool
	servicePassword string
	userPassword    string
	fake            *adtest.Server // nil: a real one
}

const (
	serviceUser   = "writeback-svc@corp.example.com"
	undelegated   = "nodeleg-svc@corp.example.com"
	corp          = "corp.example.com"
	corpNetBIOS   = "CORP"
	userSuffix    = "@corp.example.com"
	shortDeadline = 20 * time.Second
)

// startFake starts a fake controller with the population of Corp.
func startFake(t testing.TB, change ...func(*adtest.Options)) *controller {
	t.Helper()
	options := adtest.Options{Domain: adtest.Corp()}
	for _, each := range change {
		each(&options)
	}
	server := adtest.Start(t, options)
	return &controller{
		address: server.Addr(), roots: server.CAPool(), fake: server,
		servicePassword: adtest.CorpServicePassword, userPassword: adtest.CorpPassword,
	}
}

// openSamba returns the real controller, or skips the test. It is of version 4.24 and answers like Windows, but for what the contract says.
func openSamba(t testing.TB) *controller {
	t.Helper()
	return atLab(t, sambalab.Open(t))
}

// openOldSamba returns a real controller of version 4.17, without the policy-hints control, or skips the test.
func openOldSamba(t testing.TB) *controller {
	t.Helper()
	c := atLab(t, sambalab.OpenOld(t))
	c.withoutHints = true
	return c
}

func atLab(t testing.TB, lab *sambalab.Lab) *controller {
	t.Helper()
	return &controller{
		samba: true, address: lab.Addr, roots: lab.Roots(t),
		servicePassword: string(lab.ServicePassword.Reveal()), userPassword: string(lab.UserPassword.Reveal()),
	}
}

// onEveryController runs a test of the contract against the fake, which answers like Windows, and against two versions of a real controller.
func onEveryController(t *testing.T, test func(t *testing.T, c *controller)) {
	t.Helper()
	t.Run("fake", func(t *testing.T) { test(t, startFake(t)) })
	t.Run("samba-4.24", func(t *testing.T) { test(t, openSamba(t)) })
	t.Run("samba-4.17", func(t *testing.T) { test(t, openOldSamba(t)) })
}

// domain returns the configuration for this controller. Where the policy hints are unknown they are not asked for: what becomes of a reset
// under the other modes is said in TestContractModesOfPolicyHints.
func (c *controller) domain() ldapwriter.DomainConfig {
	config := ldapwriter.DomainConfig{
		Name: corp, NetBIOSName: corpNetBIOS, Controllers: []string{c.address}, RootCAs: c.roots,
		BindUser: serviceUser, BindPassword: password(c.servicePassword),
		// On a loaded machine good answers take long, too. Tests of silence shorten these.
		DialTimeout: shortDeadline, ReadTimeout: shortDeadline, WriteTimeout: shortDeadline,
	}
	if c.withoutHints {
		config.PolicyHints = ldapwriter.HintsAllow
	}
	return config
}

func password(text string) func(context.Context) (secret.Value, error) {
	return func(context.Context) (secret.Value, error) { return secret.NewString(text), nil }
}

// directory opens a Directory on this controller alone.
func (c *controller) directory(t testing.TB, change ...func(*ldapwriter.DomainConfig)) *ldapwriter.Directory {
	t.Helper()
	config := c.domain()
	for _, each := range change {
		each(&config)
	}
	return open(t, config)
}

func open(t testing.TB, domains ...ldapwriter.DomainConfig) *ldapwriter.Directory {
	t.Helper()
	d, err := ldapwriter.New(ldapwriter.Config{Domains: domains, SearchBudget: shortDeadline})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// logOn binds as a user over LDAPS and returns the sub-code of the refusal, "" for success.
func (c *controller) logOn(t testing.TB, login, password string) error {
	t.Helper()
	conn := c.dial(t)
	defer func() { _ = conn.Close() }()
	return conn.Bind(login+userSuffix, password)
}

// dial opens a connection with plain go-ldap, to look at the controller past the code under test.
func (c *controller) dial(t testing.TB) *ldap.Conn {
	t.Helper()
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ldap.DialURL("ldaps://"+c.address, ldap.DialWithTLSConfig(tlsFor(c.roots, host)))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// person finds a user by login.
func person(t testing.TB, d *ldapwriter.Directory, login string) writeback.Account {
	t.Helper()
	account, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: corpNetBIOS + `\` + login})
	if err != nil {
		t.Fatalf("resolve %s: %v", login, err)
	}
	return account
}

// deadline bounds one step of a test; nothing is ever expected to take as long.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), shortDeadline)
	t.Cleanup(cancel)
	return ctx
}

func reset(password string) writeback.Change {
	return writeback.Change{Operation: writeback.OpReset, Password: secret.NewString(password)}
}

// wantReason fails the test unless err has the reason.
func wantReason(t testing.TB, err error, want writeback.Reason) {
	t.Helper()
	if got := writeback.ReasonOf(err); got != want {
		t.Errorf("reason %s (%v), want %s", got, err, want)
	}
}

// asError returns the *writeback.Error in err.
func asError(t testing.TB, err error) *writeback.Error {
	t.Helper()
	var typed *writeback.Error
	if !errors.As(err, &typed) {
		t.Fatalf("%v carries no reason", err)
	}
	return typed
}

// ahead is the clock of a controller that is seven minutes ahead.
func ahead() time.Time { return time.Now().Add(7 * time.Minute) }

// Package sambalab lets tests reach the Samba domain controllers that `make test` starts beside them.
//
// The controllers are real ones: AD's schema, access checks, password policy and Kerberos. test/samba builds and seeds them,
// test/with-lab.sh starts them and sets the WRITEBACK_SAMBA* variables that are read here. [Open] returns one of version 4.24, which
// answers like Windows; [OpenOld] one of version 4.17, which lacks the policy-hints control and channel binding; [StartPair] starts
// two of one domain, to be killed, stopped and brought back. Where one cannot run, the tests that need it skip with the reason. The population is described in test/samba/README.md; passwords written by a test stay
// until the end of the run, so tests that run at the same time use different people.
//
// Only tests and the lab import this package; it speaks no LDAP, so that the directory's client library keeps its one owner.
package sambalab

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
)

// Lab is a running domain controller with a seeded domain.
type Lab struct {
	// Addr is where LDAPS listens, host:port. The host is a loopback address; the certificate carries it and Host.
	Addr string
	// Host is the controller's DNS name, the one to verify its certificate by. No resolver knows it.
	Host string
	// CAFile holds the authority that issued the controller's certificate, PEM.
	CAFile string
	// BaseDN is the domain's distinguished name, such as DC=corp,DC=example,DC=com.
	BaseDN string
	// Realm is the Kerberos realm: the domain's DNS name in capitals.
	Realm string
	// Krb5Config is a krb5.conf that points at this controller only.
	Krb5Config string
	// ServiceUser is the UPN of the delegated account: it may reset, unlock and set must-change below [Lab.StaffDN].
	ServiceUser string
	// ServicePassword is the delegated account's password.
	ServicePassword secret.Value
	// ServicePasswordFile holds the same password without a newline, mode 0600, for configurations that refer to a file.
	ServicePasswordFile string
	// UserPassword is the password every seeded person starts with. It is older than the test run and in the history.
	UserPassword secret.Value
}

// StaffDN is the organisational unit that is delegated to the service account and holds nearly everybody.
func (l *Lab) StaffDN() string { return "OU=Staff," + l.BaseDN }

// OutsideDN is an organisational unit without any delegation.
func (l *Lab) OutsideDN() string { return "OU=Outside," + l.BaseDN }

// UPN returns a seeded login's user principal name.
func (l *Lab) UPN(login string) string { return login + "@" + strings.ToLower(l.Realm) }

// Roots returns a pool with the lab's authority as its only member.
func (l *Lab) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool, _, err := l.Authority()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// Authority returns the lab's authority, as a pool and as it is written (PEM).
func (l *Lab) Authority() (pool *x509.CertPool, pem []byte, err error) {
	if pem, err = os.ReadFile(l.CAFile); err != nil {
		return nil, nil, fmt.Errorf("read the lab's authority: %w", err)
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("no certificate in %s", l.CAFile)
	}
	return pool, pem, nil
}

// Open returns the running controller. Without one it skips the test, saying why.
// A controller that is announced only in part fails the test: that is a broken set-up, not a missing one.
func Open(t testing.TB) *Lab {
	t.Helper()
	return opened(t, "WRITEBACK_SAMBA")
}

// OpenOld returns a controller of version 4.17, on the same terms. Domain and population are the same.
func OpenOld(t testing.TB) *Lab {
	t.Helper()
	return opened(t, "WRITEBACK_SAMBA417")
}

// Find is [Open] without a test: the error says what is missing, or what is wrong.
func Find() (*Lab, error) {
	lab, reason, err := open(os.Getenv, "WRITEBACK_SAMBA")
	if reason != "" {
		err = errors.New(reason)
	}
	return lab, err
}

func opened(t testing.TB, prefix string) *Lab {
	t.Helper()
	lab, reason, err := open(os.Getenv, prefix)
	if err != nil {
		t.Fatalf("Samba lab: %v", err)
	}
	if reason != "" {
		t.Skip("needs the Samba lab: " + reason)
	}
	return lab
}

// absent is the reason why something of the lab is not there; empty: variable says where it is.
func absent(getenv func(string) string, prefix, variable string) string {
	if reason := getenv(prefix + "_LEFT_OUT"); reason != "" {
		return reason
	}
	if getenv(variable) == "" {
		return "it is not running; `make test` starts it, or test/with-lab.sh go test ./..."
	}
	return ""
}

// open returns a lab, or the reason why there is none, or what is wrong with the one announced.
func open(getenv func(string) string, prefix string) (lab *Lab, reason string, err error) {
	if reason := absent(getenv, prefix, prefix+"_ADDR"); reason != "" {
		return nil, reason, nil
	}
	env := environment{getenv: getenv, prefix: prefix}
	lab = env.lab()
	if env.err != nil {
		return nil, "", env.err
	}
	return lab, "", nil
}

// environment reads variables and keeps the first failure.
type environment struct {
	getenv func(string) string
	prefix string
	err    error
}

func (e *environment) lab() *Lab {
	return &Lab{
		Addr:                e.value("_ADDR"),
		Host:                e.value("_HOST"),
		CAFile:              e.value("_CA"),
		BaseDN:              e.value("_BASE_DN"),
		Realm:               e.value("_REALM"),
		Krb5Config:          e.value("_KRB5_CONFIG"),
		ServiceUser:         e.value("_SERVICE_USER"),
		ServicePassword:     e.secret("_SERVICE_PASSWORD_FILE"),
		ServicePasswordFile: e.value("_SERVICE_PASSWORD_FILE"),
		UserPassword:        e.secret("_USER_PASSWORD_FILE"),
	}
}

func (e *environment) value(suffix string) string {
	name := e.prefix + suffix
	v := e.getenv(name)
	if v == "" {
		e.fail(fmt.Errorf("%s is not set", name))
	}
	return v
}

func (e *environment) secret(suffix string) secret.Value {
	name, path := e.prefix+suffix, e.value(suffix)
	if path == "" {
		return secret.Value{}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		e.fail(fmt.Errorf("%s: %w", name, err))
	}
	return secret.New(content)
}

func (e *environment) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Kinit asks the controller's KDC for a ticket as login, which proves that the password's Kerberos keys were written too.
// It runs MIT's kinit with a credential cache of its own; the password travels on standard input. The error carries
// kinit's words: "Password incorrect", "Password expired" (also for must-change), "credentials have been revoked"
// (disabled, locked). Where kinit is not installed the test skips.
func (l *Lab) Kinit(t testing.TB, login string, password secret.Value) error {
	t.Helper()
	kinit, err := exec.LookPath("kinit")
	if err != nil {
		t.Skip("needs kinit (Debian: krb5-user), which is not installed")
	}
	return l.runKinit(t, kinit, login, password)
}

func (l *Lab) runKinit(t testing.TB, kinit, login string, password secret.Value) error {
	t.Helper()
	line := append(password.Reveal(), '\n')
	defer clear(line)
	cmd := exec.CommandContext(t.Context(), kinit, login+"@"+l.Realm) //nolint:gosec // kinit was found on the PATH, the login is the test's
	cmd.Env = append(os.Environ(),
		"KRB5_CONFIG="+l.Krb5Config,
		"KRB5CCNAME=FILE:"+filepath.Join(t.TempDir(), "ccache"),
		"LC_ALL=C.UTF-8")
	cmd.Stdin = bytes.NewReader(line)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("kinit %s: %w: %s", login, err, bytes.TrimSpace(output))
	}
	return nil
}

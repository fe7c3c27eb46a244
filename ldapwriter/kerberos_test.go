package ldapwriter_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

const (
	corpRealm = "CORP.EXAMPLE.COM"
	aes256    = 18
	rc4       = 23
)

// keytabFor makes a keytab as ktutil does from a password.
func keytabFor(t testing.TB, login, password string, kind int32) []byte {
	t.Helper()
	made := keytab.New()
	if err := made.AddEntry(login, corpRealm, password, time.Now(), 1, kind); err != nil {
		t.Fatal(err)
	}
	content, err := made.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// withKeytab binds by Kerberos as login.
func withKeytab(login string, content []byte) func(*ldapwriter.DomainConfig) {
	return func(d *ldapwriter.DomainConfig) {
		d.BindMethod, d.BindUser, d.BindPassword = ldapwriter.BindKerberos, login+userSuffix, nil
		d.BindKeytab = func(context.Context) (secret.Value, error) { return secret.New(bytes.Clone(content)), nil }
	}
}

// badPasswords reads how many wrong passwords the controller has counted.
func (c *controller) badPasswords(t testing.TB, login string) int {
	t.Helper()
	conn := c.dial(t)
	defer func() { _ = conn.Close() }()
	if err := conn.Bind(serviceUser, c.servicePassword); err != nil {
		t.Fatal(err)
	}
	found, err := conn.Search(ldap.NewSearchRequest("DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 2, 0, false,
		"(sAMAccountName="+ldap.EscapeFilter(login)+")", []string{"badPwdCount"}, nil))
	if err != nil || len(found.Entries) != 1 {
		t.Fatalf("%s: %v", login, err)
	}
	count, err := strconv.Atoi(found.Entries[0].GetAttributeValue("badPwdCount"))
	if err != nil {
		t.Fatalf("%s: %v", login, err)
	}
	return count
}

// unlock begins the count of wrong passwords at 0 again, for a test that runs several times.
func (c *controller) unlock(t testing.TB, login string) {
	t.Helper()
	d := c.directory(t)
	if err := d.Write(deadline(t), person(t, d, login), writeback.Change{Operation: writeback.OpUnlock}); err != nil {
		t.Fatal(err)
	}
}

func TestKerberosBindWrites(t *testing.T) {
	c := openSamba(t)
	d := c.directory(t, withKeytab("writeback-svc", keytabFor(t, "writeback-svc", c.servicePassword, aes256)))
	fresh := fmt.Sprintf("Wort-%d", rand.Uint64())
	if err := d.Write(deadline(t), person(t, d, "u00012"), reset(fresh)); err != nil {
		t.Fatal(err)
	}
	if err := c.logOn(t, "u00012", fresh); err != nil {
		t.Error(err)
	}
	if status := d.Status()[0]; !status.Connected || status.LastError != "" {
		t.Errorf("status %+v", status)
	}
}

// The controller demands the binding of just this channel.
func TestControllerDemandsChannelBinding(t *testing.T) {
	c := openSamba(t)
	client := kerberos.Client{User: "writeback-svc", Realm: corpRealm}
	content := secret.New(keytabFor(t, "writeback-svc", c.servicePassword, aes256))
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := client.Ticket(deadline(t), (&net.Dialer{}).DialContext, content, "ldap/dc1.corp.example.com", []string{net.JoinHostPort(host, kerberos.Port)})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		change func(*x509.Certificate) (kerberos.Binding, error)
		code   uint16
	}{
		"right": {kerberos.EndPoint, ldap.LDAPResultSuccess},
		"none":  {func(*x509.Certificate) (kerberos.Binding, error) { return nil, nil }, ldap.LDAPResultInvalidCredentials},
		"of another certificate": {func(shown *x509.Certificate) (kerberos.Binding, error) {
			other := *shown
			other.Raw = append(bytes.Clone(shown.Raw), 0)
			return kerberos.EndPoint(&other)
		}, ldap.LDAPResultInvalidCredentials},
	} {
		conn := c.dial(t)
		state, _ := conn.TLSConnectionState()
		binding, err := row.change(state.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		err = conn.GSSAPIBind(ticket.Initiate(binding), "", "")
		_ = conn.Close()
		if row.code == ldap.LDAPResultSuccess && err != nil || row.code != ldap.LDAPResultSuccess && !ldap.IsErrorWithCode(err, row.code) {
			t.Errorf("%s: %v", name, err)
		}
		if row.code != ldap.LDAPResultSuccess && (err == nil || !strings.Contains(err.Error(), "80090346")) {
			t.Errorf("%s: %v, want 80090346", name, err)
		}
	}
}

// Every way in which a keytab fails has a reason and a remedy of its own.
func TestKerberosRefusals(t *testing.T) {
	c := openSamba(t)
	c.unlock(t, "u00013")
	for name, row := range map[string]struct {
		change func(*ldapwriter.DomainConfig)
		reason writeback.Reason
		hint   string
	}{
		"old keytab":      {withKeytab("u00013", keytabFor(t, "u00013", "not the password", aes256)), writeback.DirectoryAccessDenied, "password was changed since"},
		"RC4 only":        {withKeytab("u00014", keytabFor(t, "u00014", c.userPassword, rc4)), writeback.AgentMisconfigured, "AES256"},
		"another account": {withKeytab("u00014", keytabFor(t, "u00015", c.userPassword, aes256)), writeback.AgentMisconfigured, "domains[].bind.user"},
		"unknown account": {withKeytab("nobody1", keytabFor(t, "nobody1", c.userPassword, aes256)), writeback.DirectoryAccessDenied, "sAMAccountName"},
		"disabled":        {withKeytab("disabled1", keytabFor(t, "disabled1", c.userPassword, aes256)), writeback.DirectoryAccessDenied, "locked out, disabled"},
		"must change":     {withKeytab("mustchange2", keytabFor(t, "mustchange2", c.userPassword, aes256)), writeback.DirectoryAccessDenied, "must be changed"},
		"smart card":      {withKeytab("smartcard1", keytabFor(t, "smartcard1", c.userPassword, aes256)), writeback.DirectoryAccessDenied, "smart card"},
		"no KDC": {func(d *ldapwriter.DomainConfig) {
			withKeytab("u00014", keytabFor(t, "u00014", c.userPassword, aes256))(d)
			d.Krb5Config = "[realms]\n CORP.EXAMPLE.COM = {\n  kdc = 127.0.0.1:1\n }\n"
		}, writeback.DirectoryUnavailable, "TCP port 88"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.directory(t, row.change).Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
			wantReason(t, err, row.reason)
			var hinted *writeback.Error
			found := false
			for rest := err; errors.As(rest, &hinted); rest = hinted.Cause {
				found = found || strings.Contains(hinted.Remedy(), row.hint)
			}
			if !found {
				t.Errorf("%v, want %q in its remedy", err, row.hint)
			}
		})
	}
}

// A keytab that has become wrong counts once against its account, however many connections want it.
func TestAnOldKeytabIsTriedOnce(t *testing.T) {
	c := openSamba(t)
	c.unlock(t, "u00016")
	d := c.directory(t, withKeytab("u00016", keytabFor(t, "u00016", "not the password", aes256)))
	for range 5 {
		_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
		wantReason(t, err, writeback.DirectoryAccessDenied)
	}
	if got := c.badPasswords(t, "u00016"); got != 1 {
		t.Errorf("%d wrong passwords were counted, want 1", got)
	}
}

func TestANewKeytabIsPickedUp(t *testing.T) {
	c := openSamba(t)
	c.unlock(t, "u00017")
	content := keytabFor(t, "u00017", "not the password", aes256)
	d := c.directory(t, func(d *ldapwriter.DomainConfig) {
		withKeytab("u00017", nil)(d)
		d.BindKeytab = func(context.Context) (secret.Value, error) { return secret.New(bytes.Clone(content)), nil }
	})
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryAccessDenied)
	content = keytabFor(t, "u00017", c.userPassword, aes256)
	person(t, d, "alice")
}

// A probe by Kerberos costs at most one wrong password, and knows more than a bind.
func TestProbeByKerberos(t *testing.T) {
	c := openSamba(t)
	d := c.directory(t, withKeytab("writeback-svc", keytabFor(t, "writeback-svc", c.servicePassword, aes256)))
	for name, row := range map[string]struct {
		login, password string
		want            ldapwriter.ProbeResult
		counted         int
	}{
		"right":                     {"u00018", c.userPassword, ldapwriter.ProbeOurs, 0},
		"wrong":                     {"u00019", "not the password", ldapwriter.ProbeNotOurs, 1},
		"no password bind allowed":  {"protuser1", c.userPassword, ldapwriter.ProbeOurs, 0},
		"right, must be changed":    {"mustchange2", c.userPassword, ldapwriter.ProbeOurs, 0},
		"wrong, must be changed":    {"mustchange1", "not the password", ldapwriter.ProbeNotOurs, 1},
		"locked":                    {"locked4", c.userPassword, ldapwriter.ProbeInconclusive, 0},
		"disabled":                  {"disabled1", c.userPassword, ldapwriter.ProbeInconclusive, 0},
		"empty":                     {"u00018", "", ldapwriter.ProbeInconclusive, 0},
		"a name beyond ASCII":       {"üser1", c.userPassword, ldapwriter.ProbeOurs, 0},
		"a smart card is needed":    {"smartcard1", c.userPassword, ldapwriter.ProbeInconclusive, 0},
		"an account that has ended": {"expired1", c.userPassword, ldapwriter.ProbeInconclusive, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if row.want == ldapwriter.ProbeNotOurs {
				c.unlock(t, row.login)
			}
			before := c.badPasswords(t, row.login) // other tests leave some
			account := person(t, d, row.login)
			if row.login == "üser1" { // whom other tests reset
				row.password = fmt.Sprintf("Wort-%d", rand.Uint64())
				if err := d.Write(deadline(t), account, reset(row.password)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := d.Probe(deadline(t), account, secret.NewString(row.password))
			if got != row.want || (err != nil) != (row.want == ldapwriter.ProbeInconclusive) {
				t.Errorf("%s (%v), want %s", got, err, row.want)
			}
			switch after := c.badPasswords(t, row.login); {
			case row.want == ldapwriter.ProbeOurs && after != 0 && after != before: // a logon that works begins anew
				t.Errorf("%d wrong passwords counted after %d, want none more", after, before)
			case row.want != ldapwriter.ProbeOurs && after-before != row.counted:
				t.Errorf("%d wrong passwords counted after %d, want %d more", after, before, row.counted)
			}
		})
	}
}

// A bind follows only where it cannot be the second wrong password: no proof left, or the KDC took it for right.
func TestWhatAKDCsAnswerProves(t *testing.T) {
	refusal := func(code kerberos.Code) error { return &kerberos.Refusal{Code: code} }
	for name, row := range map[string]struct {
		counted bool
		err     error
		want    ldapwriter.ProbeResult
		final   bool
	}{
		"a ticket":                 {true, nil, ldapwriter.ProbeOurs, true},
		"a ticket without a proof": {false, nil, ldapwriter.ProbeOurs, true},
		"wrong":                    {true, refusal(kerberos.WrongKey), ldapwriter.ProbeNotOurs, true},
		"expired, on Windows":      {true, refusal(kerberos.PasswordExpired), ldapwriter.ProbeInconclusive, false},
		"expired, on Samba":        {false, refusal(kerberos.PasswordExpired), ldapwriter.ProbeInconclusive, false},
		"locked after the proof":   {true, refusal(kerberos.Revoked), ldapwriter.ProbeInconclusive, true},
		"clocks":                   {true, refusal(kerberos.ClockSkew), ldapwriter.ProbeInconclusive, true},
		"wrong, before any proof":  {false, refusal(kerberos.WrongKey), ldapwriter.ProbeInconclusive, false},
		"no answer to the proof":   {true, context.DeadlineExceeded, ldapwriter.ProbeInconclusive, true},
		"a forged reply":           {true, kerberos.ErrNotProven, ldapwriter.ProbeInconclusive, true},
		"not reached":              {false, kerberos.ErrNotReached, ldapwriter.ProbeInconclusive, false},
	} {
		if got, final := ldapwriter.ProbedByKerberos(row.counted, row.err); got != row.want || final != row.final {
			t.Errorf("%s: %s, final %v", name, got, final)
		}
	}
}

// The remedy of each refusal names what to do about it.
func TestRemediesOfKDCsRefusals(t *testing.T) {
	for code, want := range map[kerberos.Code]string{
		kerberos.UnknownService: "servicePrincipalName", kerberos.ClockSkew: "1h0m0s", kerberos.NoSuchEncryption: "msDS-SupportedEncryptionTypes",
		kerberos.PasswordExpired: "expired", kerberos.WrongRealm: "sAMAccountName", 60: "see the cause",
	} {
		err := ldapwriter.BindFailure(&kerberos.Refusal{Code: code, Ahead: time.Hour})
		wantReason(t, err, writeback.DirectoryAccessDenied)
		if hint := asError(t, err).Hint; !strings.Contains(hint, want) {
			t.Errorf("%d: %q, want %q in it", code, hint, want)
		}
	}
	for _, err := range []error{kerberos.ErrSecurityLayer, kerberos.ErrNotMutual, kerberos.ErrNotProven} {
		wantReason(t, ldapwriter.BindFailure(err), writeback.DirectoryAccessDenied)
	}
}

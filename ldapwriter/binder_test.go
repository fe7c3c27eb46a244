package ldapwriter_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

const aliceLogin = "alice" + userSuffix

func resolveAlice(t testing.TB, d *ldapwriter.Directory) error {
	t.Helper()
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: aliceLogin})
	return err
}

// However many connections to however many controllers are wanted at once, a wrong password is tried once: the controllers share the
// account and its count of wrong passwords.
func TestAWrongBindPasswordIsTriedOnce(t *testing.T) {
	first, second := startFake(t), startFake(t)
	d := first.directory(t, func(c *ldapwriter.DomainConfig) {
		c.Controllers = []string{first.address, second.address}
		c.RootCAs.AddCert(certificateOf(t, second.fake.CAPEM()))
		c.BindPassword = password("wrong")
	})
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() { wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied) })
	}
	asking.Wait()
	d.Health(deadline(t))
	if got := first.fake.Binds() + second.fake.Binds(); got != 1 {
		t.Errorf("%d binds with a wrong password, want 1", got)
	}
	status := d.Status()[0]
	if status.Connected || !strings.Contains(status.LastError, "52e") || !strings.Contains(status.LastHint, "domains[].bind") {
		t.Errorf("status %+v, want the refusal in it", status)
	}
}

// A controller that takes its time with the answer is no reason to send a password that may be wrong a second time: one that was never
// accepted, or that was called wrong since.
func TestAWrongBindPasswordIsTriedOnceOnASlowController(t *testing.T) {
	t.Parallel() // it waits
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.BindPassword, c.DialTimeout = password("wrong"), 20*time.Second })
	burst := func(when string) {
		t.Helper()
		slow := fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Delay, For: 2500 * time.Millisecond})
		defer slow()
		before := fake.fake.Binds()
		var asking sync.WaitGroup
		for range 8 {
			asking.Go(func() { wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied) })
		}
		asking.Wait()
		if got := fake.fake.Binds() - before; got != 1 {
			t.Errorf("%s: %d binds with a wrong password, want 1", when, got)
		}
		d.AgeFailures(time.Hour)
	}
	burst("never accepted")
	fake.fake.SetPassword("writeback-svc", "wrong") // which is right for a while
	person(t, d, "alice")
	fake.fake.SetPassword("writeback-svc", "another 1357")
	fake.fake.Disconnect()
	wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied)
	d.AgeFailures(time.Hour)
	burst("called wrong since")
}

// Pauses grow: two tries within half an hour stay below every lockout threshold of three.
func TestTriesWithAWrongPasswordGetRarer(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: 49, Diagnostic: acceptError("52e")}) // it never locks the account
	for i, step := range []struct {
		pass  time.Duration
		binds int
	}{
		{0, 1}, {14 * time.Minute, 1}, {2 * time.Minute, 2}, {29 * time.Minute, 2}, {2 * time.Minute, 3},
		{59 * time.Minute, 3}, {2 * time.Minute, 4}, {59 * time.Minute, 4}, {2 * time.Minute, 5},
	} {
		d.AgeFailures(step.pass)
		wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied)
		if got := fake.fake.Binds(); got != step.binds {
			t.Fatalf("step %d, %v later: %d binds, want %d", i, step.pass, got, step.binds)
		}
	}
}

func TestALockedOutAccountIsLeftAlone(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	remove := fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: 49, Diagnostic: acceptError("775")})
	for range 3 {
		err := resolveAlice(t, d)
		wantReason(t, err, writeback.DirectoryAccessDenied)
		if hint := asError(t, err).Hint; !strings.Contains(hint, "locked out") {
			t.Errorf("hint %q", hint)
		}
	}
	if got := fake.fake.Binds(); got != 1 {
		t.Errorf("%d binds as a locked account, want 1", got)
	}
	remove()
	d.AgeFailures(6 * time.Minute)
	person(t, d, "alice")
}

// A refusal that counts nothing is no reason to wait.
func TestOtherRefusalsAreTriedAgainAtOnce(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	for _, sub := range []string{"533", "701", "532"} {
		remove := fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: 49, Diagnostic: acceptError(sub)})
		wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied)
		remove()
		person(t, d, "alice")
		fake.fake.Disconnect()
	}
}

// The password changes in the directory and in the file, in either order: open connections stay, new ones take the new password, and a moment
// between the two costs one wrong try.
func TestBindPasswordIsRotated(t *testing.T) {
	for _, fileFirst := range []bool{true, false} {
		fake := startFake(t)
		var current atomic.Value
		current.Store(fake.servicePassword)
		d := fake.directory(t, func(c *ldapwriter.DomainConfig) {
			c.BindPassword = func(context.Context) (secret.Value, error) {
				text, _ := current.Load().(string)
				return secret.NewString(text), nil
			}
		})
		person(t, d, "alice")
		binds := fake.fake.Binds()
		change := []func(){func() { current.Store("the next 1357") }, func() { fake.fake.SetPassword("writeback-svc", "the next 1357") }}
		if !fileFirst {
			change[0], change[1] = change[1], change[0]
		}
		change[0]()
		person(t, d, "alice") // on the connection that is open
		if got := fake.fake.Binds(); got != binds {
			t.Errorf("%d binds where a connection was open", got-binds)
		}
		fake.fake.Disconnect()
		for range 3 {
			wantReason(t, resolveAlice(t, d), writeback.DirectoryAccessDenied)
		}
		change[1]()
		if fileFirst {
			d.AgeFailures(time.Hour) // the same password, wrong a moment ago
		}
		person(t, d, "alice")
		if got := fake.fake.Binds() - binds; got != 2 {
			t.Errorf("file first %v: %d binds, want the wrong one and the right one", fileFirst, got)
		}
	}
}

func TestBindMethodsThatCannotBe(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*ldapwriter.DomainConfig)
		want   string
	}{
		"unknown":          {func(c *ldapwriter.DomainConfig) { c.BindMethod = "ntlm" }, "not one of"},
		"no keytab":        {func(c *ldapwriter.DomainConfig) { c.BindMethod = ldapwriter.BindKerberos }, "account to bind with"},
		"another domain":   {kerberosAs("svc@other.example.com"), "name@corp.example.com"},
		"another NetBIOS":  {kerberosAs(`OTHER\svc`), "domain itself"},
		"a name to escape": {kerberosAs("CN=svc,DC=corp"), "name@corp.example.com"},
		"no name":          {kerberosAs("@corp.example.com"), "name@corp.example.com"},
		"a broken krb5.conf": {func(c *ldapwriter.DomainConfig) {
			kerberosAs("svc")(c)
			c.Krb5Config = "[realms]\n CORP.EXAMPLE.COM = {\n  kdc\n }\n"
		}, "krb5.conf"},
	} {
		config := ldapwriter.DomainConfig{Name: corp, NetBIOSName: corpNetBIOS, Controllers: []string{"dc1"}, BindUser: serviceUser, BindPassword: password("x")}
		row.change(&config)
		d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
		if err == nil {
			_ = d.Close()
		}
	}
	for _, user := range []string{"svc", "svc@CORP.example.com", `corp\svc`, `corp.example.com\svc`} {
		config := ldapwriter.DomainConfig{Name: corp, NetBIOSName: corpNetBIOS, Controllers: []string{"dc1"}}
		kerberosAs(user)(&config)
		d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}})
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		_ = d.Close()
	}
}

func kerberosAs(user string) func(*ldapwriter.DomainConfig) {
	return func(c *ldapwriter.DomainConfig) {
		c.BindMethod, c.BindUser, c.BindKeytab = ldapwriter.BindKerberos, user, password("keytab")
	}
}

// A controller ends a connection with the ticket it was made with, so it is replaced before.
func TestConnectionsAreReplacedBeforeTheirTicketEnds(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	person(t, d, "alice")
	before := fake.fake.Binds()
	person(t, d, "alice")
	if got := fake.fake.Binds(); got != before {
		t.Fatalf("%d binds on an open connection", got-before)
	}
	d.EndTickets()
	person(t, d, "alice")
	if got := fake.fake.Binds(); got != before+1 {
		t.Errorf("%d binds after the ticket had ended, want 1", got-before)
	}
}

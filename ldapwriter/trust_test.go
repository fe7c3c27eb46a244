package ldapwriter_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// discovered makes a domain find the given controllers by DNS, in this order of priority, as controllers of the domain.
func discovered(t testing.TB, addresses ...string) func(*ldapwriter.DomainConfig) {
	t.Helper()
	server := startDNS(t)
	var records []dnsmessage.SRVResource
	for i, address := range addresses {
		records = append(records, srv(t, address, uint16(i), 100))
	}
	server.set("_ldap._tcp.dc", records...)
	return server.use
}

// use makes a domain ask this server.
func (s *dnsServer) use(c *ldapwriter.DomainConfig) {
	c.Controllers, c.Discovery = nil, &ldapwriter.Discovery{DNSServers: []string{s.address}}
}

func TestWhatAControllerMustPresent(t *testing.T) {
	names := func(names ...string) func(*adtest.Options) {
		return func(o *adtest.Options) { o.Certificate.Names = names }
	}
	expired := func(o *adtest.Options) { o.Certificate.Expires = time.Now().Add(-time.Minute) }
	startTLS := func(o *adtest.Options) { o.StartTLS = true }
	overStartTLS := func(_ *controller, c *ldapwriter.DomainConfig) { c.Transport = ldapwriter.TransportStartTLS }
	byDNS := func(f *controller, c *ldapwriter.DomainConfig) { discovered(t, f.address)(c) }
	pinned := func(f *controller, c *ldapwriter.DomainConfig) {
		c.Pins, c.RootCAs = []string{ldapwriter.Pin(f.fake.ShownCertificate())}, x509.NewCertPool()
	}
	otherPin := func(_ *controller, c *ldapwriter.DomainConfig) {
		c.Pins = []string{ldapwriter.Pin(startFake(t).fake.ShownCertificate())}
	}
	both := func(changes ...func(*controller, *ldapwriter.DomainConfig)) func(*controller, *ldapwriter.DomainConfig) {
		return func(f *controller, c *ldapwriter.DomainConfig) {
			for _, change := range changes {
				change(f, c)
			}
		}
	}
	as := func(*controller, *ldapwriter.DomainConfig) {}
	for name, row := range map[string]struct {
		fake    func(*adtest.Options)
		config  func(*controller, *ldapwriter.DomainConfig)
		refused string // part of the hint; empty: accepted
	}{
		"listed, its own name":                 {names("127.0.0.1"), as, ""},
		"listed, the domain's name only":       {names(corp), as, "does not carry the name"},
		"listed, another name":                 {names("dc9.other.org"), as, "does not carry the name"},
		"listed, expired":                      {expired, as, "not valid"},
		"discovered, the domain's name":        {names(corp), byDNS, ""},
		"discovered, its own name only":        {names("dc1.corp.example.com", "127.0.0.1", "dc-127-0-0-1.test"), byDNS, "does not carry the name"},
		"discovered, a wildcard above it":      {names("*.example.com"), byDNS, "does not carry the name"},
		"discovered, in capitals":              {names("CORP.Example.com"), byDNS, ""},
		"discovered, pinned, a wildcard":       {names("*.example.com"), both(byDNS, pinned), ""},
		"discovered, expired":                  {expired, byDNS, "not valid"},
		"discovered, pinned, any name":         {names("old.other.org"), both(byDNS, pinned), ""},
		"pinned, no authority, any name":       {names("old.other.org"), pinned, ""},
		"pinned, an address only":              {names("192.0.2.1"), pinned, ""},
		"pinned, any subdomain":                {names("*.other.org"), pinned, ""},
		"pinned, expired":                      {expired, pinned, "not valid"},
		"another one pinned":                   {names("127.0.0.1"), otherPin, "domains[].pins: sha256/"},
		"another one pinned, discovered":       {names(corp), both(byDNS, otherPin), "domains[].pins: sha256/"},
		"StartTLS, its own name":               {startTLS, overStartTLS, ""},
		"StartTLS, pinned":                     {startTLS, both(overStartTLS, pinned), ""},
		"StartTLS, discovered, domain's name":  {startTLS, both(overStartTLS, byDNS), ""},
		"StartTLS, another one pinned":         {startTLS, both(overStartTLS, otherPin), "domains[].pins: sha256/"},
		"StartTLS, expired":                    {func(o *adtest.Options) { startTLS(o); expired(o) }, overStartTLS, "not valid"},
		"LDAPS to a port that begins in plain": {startTLS, as, "no TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t, row.fake)
			d := fake.directory(t, func(c *ldapwriter.DomainConfig) { row.config(fake, c) })
			_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
			if row.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantReason(t, err, writeback.DirectoryUnavailable)
			if typed := asError(t, err); row.refused != "no TLS" && !strings.Contains(typed.Hint, row.refused) {
				t.Errorf("hint %q (%v), want it to mention %q", typed.Hint, err, row.refused)
			}
			if fake.fake.Binds() != 0 {
				t.Error("a password was sent to a controller that did not prove who it is")
			}
		})
	}
}

// A pinned certificate is tried once and then known: later connections need one handshake each, also after another was shown.
func TestPinnedKeyMayChange(t *testing.T) {
	first := startFake(t)
	address := first.address
	var pins []string
	pins = append(pins, ldapwriter.Pin(first.fake.ShownCertificate()))
	peerless := startFake(t) // only to know another pin
	pins = append(pins, ldapwriter.Pin(peerless.fake.ShownCertificate()))
	d := first.directory(t, func(c *ldapwriter.DomainConfig) { c.Pins, c.RootCAs = pins, x509.NewCertPool() })
	person(t, d, "alice")
	before := first.fake.Connections()
	first.fake.Disconnect()
	person(t, d, "alice")
	if got := first.fake.Connections() - before; got != 1 {
		t.Errorf("%d connections for the second session, want 1", got)
	}
	// The controller comes back with a renewed certificate that is not pinned.
	if err := first.fake.Close(); err != nil {
		t.Fatal(err)
	}
	startFake(t, func(o *adtest.Options) { o.Address, o.Peer = address, first.fake })
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryUnavailable)
}

// An authority that is exchanged in its file counts for the next connection.
func TestAuthoritiesAreReadForEachConnection(t *testing.T) {
	fake := startFake(t)
	var roots atomic.Pointer[x509.CertPool]
	var damaged atomic.Bool
	roots.Store(x509.NewCertPool())
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) {
		c.RootCAs = nil
		c.ReadRootCAs = func() (*x509.CertPool, error) {
			if damaged.Load() {
				return nil, errors.New("no certificate in it")
			}
			return roots.Load(), nil
		}
	})
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	_, err := d.Resolve(deadline(t), subject)
	wantReason(t, err, writeback.DirectoryUnavailable)
	roots.Store(fake.roots)
	if _, err := d.Resolve(deadline(t), subject); err != nil {
		t.Errorf("with the new authority: %v", err)
	}
	damaged.Store(true)
	fake.fake.Disconnect()
	waitFor(t, func() bool { return d.Status()[0].Connections == 0 })
	_, err = d.Resolve(deadline(t), subject)
	wantReason(t, err, writeback.AgentMisconfigured)
}

// A connection in use keeps what was trusted when it was opened: so none is used for ever, and a renewed certificate is seen in time.
func TestConnectionsAreRenewed(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) { o.Certificate.Expires = time.Now().Add(48 * time.Hour) })
	d := fake.directory(t)
	person(t, d, "alice")
	before := d.Status()[0].CertificateExpires
	address := fake.fake.Addr()
	person(t, d, "alice")
	if got := fake.fake.Connections(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	d.AgeSessions(2 * time.Hour)
	person(t, d, "alice")
	if got := fake.fake.Connections(); got != 2 {
		t.Errorf("%d connections after their time, want another one", got)
	}
	if err := fake.fake.Close(); err != nil {
		t.Fatal(err)
	}
	startFake(t, func(o *adtest.Options) { o.Address, o.Peer = address, fake.fake })
	person(t, d, "alice")
	if after := d.Status()[0].CertificateExpires; !after.After(before) {
		t.Errorf("the certificate ends at %v as before, although it was renewed", after)
	}
}

package ldapwriter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// peer starts a further controller of the fake's domain.
func (c *controller) peer(t testing.TB, host string, change ...func(*adtest.Options)) *controller {
	t.Helper()
	made := startFake(t, append(change, func(o *adtest.Options) { o.Peer, o.Host = c.fake, host })...)
	made.roots = c.roots
	return made
}

// port is the address as discovery names it: the host is the test server's.
func port(address string) string { return address[strings.LastIndexByte(address, ':'):] }

func order(status []ldapwriter.ControllerStatus) []string {
	var all []string
	for _, s := range status {
		all = append(all, port(s.Address))
	}
	return all
}

func TestDiscoveryPrefersThePDCThenTheSite(t *testing.T) {
	pdc := startFake(t)
	far, near, last := pdc.peer(t, "dc2"), pdc.peer(t, "dc3", inSite("Berlin")), pdc.peer(t, "dc4")
	names := startDNS(t)
	names.set("_ldap._tcp.pdc", srv(t, pdc.address, 0, 100))
	names.set("_ldap._tcp.berlin._sites.dc", srv(t, near.address, 0, 100))
	names.set("_ldap._tcp.dc", srv(t, last.address, 20, 100), srv(t, near.address, 0, 100), srv(t, far.address, 10, 100), srv(t, pdc.address, 0, 100))
	d := pdc.directory(t, names.use, func(c *ldapwriter.DomainConfig) { c.Site = "Berlin" })
	if got := port(person(t, d, "alice").Controller); got != port(pdc.address) {
		t.Errorf("read from %s, want the PDC emulator %s", got, pdc.address)
	}
	status := d.Health(deadline(t))
	want := []string{port(pdc.address), port(near.address), port(far.address), port(last.address)}
	if diff := cmp.Diff(want, order(status)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if !status[0].PDC || !status[0].PDCKnown || status[1].PDC || !status[1].PDCKnown || status[1].Site != "Berlin" || !status[0].Preferred {
		t.Errorf("%+v", status[:2])
	}
	if err := pdc.fake.Close(); err != nil {
		t.Fatal(err)
	}
	if got := port(person(t, d, "alice").Controller); got != port(near.address) {
		t.Errorf("read from %s while the PDC emulator is away, want the site's %s", got, near.address)
	}
}

func inSite(site string) func(*adtest.Options) { return func(o *adtest.Options) { o.Site = site } }

// What DNS names is no order to use it: who takes no writes, or serves another domain, is passed over.
func TestDiscoveryPassesOverWhoCannotBeUsed(t *testing.T) {
	good := startFake(t)
	readOnly := good.peer(t, "rodc1", func(o *adtest.Options) { o.ReadOnly = true })
	d := good.directory(t, discovered(t, readOnly.address, good.address))
	if got := port(person(t, d, "alice").Controller); got != port(good.address) {
		t.Errorf("read from %s", got)
	}
	binds := readOnly.fake.Binds()
	d.Health(deadline(t))
	person(t, d, "bob")
	if readOnly.fake.Binds() != binds {
		t.Error("a controller known to be read-only is asked again and again")
	}
	if status := d.Status(); !status[0].Unfit || status[0].InUse || status[0].Preferred || !status[1].InUse || !status[1].Preferred {
		t.Errorf("%+v", status)
	}
	only := good.directory(t, discovered(t, readOnly.address))
	_, err := only.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.AgentMisconfigured)
	listed := good.directory(t, func(c *ldapwriter.DomainConfig) { c.Controllers = []string{readOnly.address, good.address} })
	_, err = listed.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.AgentMisconfigured)
	if !strings.Contains(err.Error(), "read-only") {
		t.Errorf("%v", err)
	}
}

// DNS that is away does not make controllers disappear; one that is new in it is found when the others fail.
func TestDiscoveryIsRepeated(t *testing.T) {
	t.Parallel() // it waits
	first := startFake(t)
	second := first.peer(t, "dc2")
	names := startDNS(t)
	names.set("_ldap._tcp.dc", srv(t, first.address, 0, 100))
	d := first.directory(t, names.use)
	account := person(t, d, "alice")

	names.setSilent(true)
	d.AgeDiscovery(time.Hour)
	person(t, d, "alice")
	waitFor(t, func() bool { return d.DiscoveryErrors()[corp] != nil })
	first.fake.Disconnect()
	waitFor(t, func() bool { return d.Status()[0].Connections == 0 })
	person(t, d, "alice") // over a new connection, to where it was last

	names.setSilent(false)
	d.AgeDiscovery(time.Minute)
	person(t, d, "alice")
	waitFor(t, func() bool { return d.DiscoveryErrors()[corp] == nil })
	names.set("_ldap._tcp.dc", srv(t, second.address, 0, 100))
	d.AgeDiscovery(time.Minute) // not old, but a controller fails
	if err := first.fake.Close(); err != nil {
		t.Fatal(err)
	}
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	_, err := d.Resolve(deadline(t), subject)
	wantReason(t, err, writeback.DirectoryUnavailable)
	waitFor(t, func() bool { return slices.Equal(order(d.Status()), []string{port(second.address)}) })
	if got := port(person(t, d, "alice").Controller); got != port(second.address) {
		t.Errorf("read from %s", got)
	}
	// What was read from the first is asked of the first alone.
	_, err = d.PasswordState(deadline(t), account)
	wantReason(t, err, writeback.DirectoryUnavailable)
	startFake(t, func(o *adtest.Options) { o.Address, o.Peer = first.address, first.fake })
	d.AgeFailures(time.Hour)
	if _, err := d.PasswordState(deadline(t), account); err != nil {
		t.Errorf("a controller that DNS no longer names: %v", err)
	}
	restarted := first.directory(t, names.use)
	if _, err := restarted.PasswordState(deadline(t), account); err != nil {
		t.Errorf("the same after a restart: %v", err)
	}
}

func TestDNSThatNamesNobody(t *testing.T) {
	fake := startFake(t)
	names := startDNS(t)
	d := fake.directory(t, names.use)
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	for range 3 {
		_, err := d.Resolve(deadline(t), subject)
		wantReason(t, err, writeback.DirectoryUnavailable)
		if hint := asError(t, err).Hint; !strings.Contains(hint, "_ldap._tcp.dc._msdcs.corp.example.com") {
			t.Errorf("hint %q", hint)
		}
	}
	if got := names.questions(); got > 4 {
		t.Errorf("%d questions for three requests in a row, want those of one lookup", got)
	}
	names.set("_ldap._tcp.dc", srv(t, fake.address, 0, 100))
	d.AgeDiscovery(time.Minute)
	if _, err := d.Resolve(deadline(t), subject); err != nil {
		t.Errorf("after DNS was corrected: %v", err)
	}
}

func TestSecondDNSServerStandsIn(t *testing.T) {
	t.Parallel() // it waits
	fake := startFake(t)
	silent, good := startDNS(t), startDNS(t)
	silent.setSilent(true)
	good.set("_ldap._tcp.dc", srv(t, fake.address, 0, 100))
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) {
		c.Controllers, c.Discovery = nil, &ldapwriter.Discovery{DNSServers: []string{silent.address, good.address}}
	})
	person(t, d, "alice")
}

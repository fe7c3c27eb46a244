package ldapwriter_test

import (
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// A write on a connection that died unnoticed would be an unknown outcome: an old one has to answer a read first.
func TestOldConnectionMustAnswerBeforeAWrite(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	operations := fake.fake.Operations()
	if err := d.Write(deadline(t), account, reset("Wort-Eins 2026")); err != nil || fake.fake.Operations()-operations != 1 {
		t.Fatalf("%v, %d operations for a write on a fresh connection, want 1", err, fake.fake.Operations()-operations)
	}
	d.AgeConnections(time.Minute)
	struck := make(chan string, 1)
	fake.fake.Inject(adtest.Fault{On: adtest.OnSearch, Effect: adtest.DropBefore, Times: 1, Struck: struck})
	if err := d.Write(deadline(t), account, reset("Wort-Zwei 2026")); err != nil {
		t.Errorf("write after the old connection failed its read: %v", err)
	}
	if len(struck) != 1 || fake.fake.Writes("alice") != 2 || fake.fake.Connections() != 2 {
		t.Errorf("%d reads struck, %d writes, %d connections", len(struck), fake.fake.Writes("alice"), fake.fake.Connections())
	}
	d.AgeConnections(time.Minute)
	if err := d.Write(deadline(t), account, reset("Wort-Drei 2026")); err != nil || fake.fake.Connections() != 2 {
		t.Errorf("%v, %d connections: an old one that answers is kept", err, fake.fake.Connections())
	}
}

func TestVeryOldConnectionsAreReplaced(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	person(t, d, "alice")
	d.AgeConnections(time.Hour)
	person(t, d, "alice")
	if got := fake.fake.Connections(); got != 2 {
		t.Errorf("%d connections, want the old one and its successor", got)
	}
}

func TestFailedControllerIsAskedInTheBackground(t *testing.T) {
	first, second := startFake(t), startFake(t)
	config := first.domain()
	config.Controllers = []string{first.address, second.address}
	config.RootCAs.AddCert(certificateOf(t, second.fake.CAPEM()))
	d := open(t, config)
	remove := first.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.DropBefore})
	person(t, d, "alice")
	before := first.fake.Binds()
	person(t, d, "alice")
	if first.fake.Binds() != before {
		t.Error("the failed controller was asked again at once")
	}
	remove()
	d.AgeFailures(time.Minute)
	if got := person(t, d, "alice").Controller; got != second.address {
		t.Errorf("%s: the request waited for the controller that had failed", got)
	}
	waitFor(t, func() bool { return d.Status()[0].Settling })
	d.AgeFailures(time.Minute)
	if got := person(t, d, "alice").Controller; got != second.address {
		t.Errorf("%s: a request is the first to try a controller on trial", got)
	}
	waitFor(t, func() bool { return d.Status()[0].InUse })
	if got := person(t, d, "alice").Controller; got != first.address {
		t.Errorf("%s: the preferred controller is back, but not used", got)
	}
}

func TestRefusedBindPasswordIsTriedAgainInTime(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.BindPassword = password("set a little later") })
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	_, err := d.Resolve(deadline(t), subject)
	wantReason(t, err, writeback.DirectoryAccessDenied)
	fake.fake.SetPassword("writeback-svc", "set a little later")
	_, err = d.Resolve(deadline(t), subject)
	wantReason(t, err, writeback.DirectoryAccessDenied)
	d.AgeFailures(time.Hour)
	if _, err := d.Resolve(deadline(t), subject); err != nil {
		t.Error(err)
	}
}

func TestPolicyIsReadOnceAMinute(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	person(t, d, "alice")
	count := func() int {
		before := fake.fake.Operations()
		person(t, d, "alice")
		return fake.fake.Operations() - before
	}
	if got := count(); got != 3 {
		t.Errorf("%d operations, want search, base read and rootDSE", got)
	}
	d.AgePolicies(2 * time.Minute)
	if got := count(); got != 4 {
		t.Errorf("%d operations, want the policy again", got)
	}
}

// Every search from the root of a domain ends in references to its other partitions, unless the controller is told to keep to the domain.
func TestContinuationReferencesAreRefused(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) { o.WithoutDomainScope = true })
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	_, err := fake.directory(t).Resolve(deadline(t), subject)
	wantReason(t, err, writeback.AgentMisconfigured)
	below := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.SearchBase = "OU=Staff,DC=corp,DC=example,DC=com" })
	if _, err := below.Resolve(deadline(t), subject); err != nil {
		t.Errorf("below the root there are none: %v", err)
	}
}

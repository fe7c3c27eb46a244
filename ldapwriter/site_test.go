package ldapwriter_test

import (
	"testing"

	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// The unlock of a reset reaches the site's controller as any other does; its password stays where it was written.
func TestAResetThatUnlocksReachesTheSite(t *testing.T) {
	pdc := startFake(t)
	near := startFake(t, inSite("Berlin"), func(o *adtest.Options) { o.Host = "dc3" }) // with data of its own: nothing is replicated
	pdc.roots.AddCert(certificateOf(t, near.fake.CAPEM()))
	d := pdc.directory(t, func(c *ldapwriter.DomainConfig) {
		c.Controllers, c.Site = []string{pdc.address, near.address}, "Berlin"
	})
	d.Health(deadline(t))
	change := reset(newPassword)
	change.Unlock = true
	if err := d.Write(deadline(t), person(t, d, "locked1"), change); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil { // waits for what goes on in the background
		t.Fatal(err)
	}
	for _, c := range []*controller{pdc, near} {
		if state, _ := c.fake.User("locked1"); !state.LockoutTime.IsZero() {
			t.Errorf("still locked on %s", c.address)
		}
	}
	if near.fake.Writes("locked1") != 0 || pdc.fake.Writes("locked1") != 1 {
		t.Errorf("%d passwords written in the site, %d where it belongs", near.fake.Writes("locked1"), pdc.fake.Writes("locked1"))
	}
}

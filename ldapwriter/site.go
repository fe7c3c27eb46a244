package ldapwriter

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// siteOf reads a controller's site from the name of its settings: CN=NTDS Settings,CN=<server>,CN=Servers,CN=<site>,CN=Sites,...
// (MS-ADTS 6.1.1.2.2.1). Empty where it is not known.
func siteOf(service string) string {
	name, err := ldap.ParseDN(service)
	if err != nil || len(name.RDNs) < 5 || len(name.RDNs[3].Attributes) != 1 {
		return ""
	}
	return name.RDNs[3].Attributes[0].Value
}

// samePlace compares two names of settings; unknown ones are not the same.
func samePlace(a, b string) bool {
	first, err := NormalizeDN(a)
	second, err2 := NormalizeDN(b)
	return err == nil && err2 == nil && a != "" && first == second
}

// nearby returns the controller of the users' site that is to learn of an unlock on another one at once; nil: none is known.
func (d *domain) nearby(written *controller) *controller {
	if d.config.Site == "" {
		return nil
	}
	for _, c := range d.order() {
		if c != written && c.rank() == 0 && c.inSite(d.config.Site) {
			return c
		}
	}
	return nil
}

func (c *controller) inSite(site string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := siteOf(c.health.service); known != "" {
		return strings.EqualFold(known, site)
	}
	return c.domain.Discovery != nil && c.role == roleSite
}

// unlockNearby repeats an unlock that took effect on the controller of the users' site, where they would otherwise wait for replication.
// Unlocking is idempotent, so this one may be repeated; nothing depends on how it ends, and no password goes this way.
func (d *Directory) unlockNearby(written *controller, account writeback.Account, change writeback.Change) {
	if change.Operation != writeback.OpUnlock && !change.Unlock {
		return
	}
	for _, domain := range d.domains {
		if domain.config.Name != account.Domain {
			continue
		}
		if c := domain.nearby(written); c != nil {
			domain.background.Go(func() { domain.unlockOn(c, account) })
		}
	}
}

func (d *domain) unlockOn(c *controller, account writeback.Account) {
	// Not ended by a stop: that waits for what is in hand.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(d.stopping), c.domain.WriteTimeout, errTimeout("unlocking", c.domain.WriteTimeout))
	defer cancel()
	err := contained(func() error { return c.unlock(ctx, account) })
	if err != nil {
		d.log.WithError(cleaned(err)).WithField("controller", c.address).
			Info("the unlock did not reach the controller of the site: it will by replication")
	}
}

func (c *controller) unlock(ctx context.Context, account writeback.Account) error {
	s, err := c.forWriting(ctx)
	if err != nil {
		return err
	}
	defer c.pool.put(s)
	request := ldap.NewModifyRequest(guidDN(account.GUID), nil)
	request.Replace("lockoutTime", []string{"0"})
	_, err = s.modify(ctx, request)
	c.note(err)
	return err
}

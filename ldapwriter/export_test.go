package ldapwriter

import "time"

// AgeConnections makes idle connections look unused for longer.
func (d *Directory) AgeConnections(by time.Duration) {
	d.eachController(func(c *controller) {
		c.pool.mu.Lock()
		defer c.pool.mu.Unlock()
		for _, s := range c.pool.idle {
			s.lastUsed = s.lastUsed.Add(-by)
		}
	})
}

// EndTickets makes the tickets of idle connections end.
func (d *Directory) EndTickets() {
	d.eachController(func(c *controller) {
		c.pool.mu.Lock()
		defer c.pool.mu.Unlock()
		for _, s := range c.pool.idle {
			s.usableUntil = time.Now()
		}
	})
}

// AgeSessions makes idle connections look as if they had been opened earlier.
func (d *Directory) AgeSessions(by time.Duration) {
	d.eachController(func(c *controller) {
		c.pool.mu.Lock()
		defer c.pool.mu.Unlock()
		for _, s := range c.pool.idle {
			s.opened = s.opened.Add(-by)
		}
	})
}

// AgeFailures makes failures of controllers, and refusals of binds, look older.
func (d *Directory) AgeFailures(by time.Duration) {
	for _, domain := range d.domains {
		binder := domain.config.binder
		binder.mu.Lock()
		binder.retryAt = binder.retryAt.Add(-by)
		binder.mu.Unlock()
	}
	d.eachController(func(c *controller) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.health.retryAt = c.health.retryAt.Add(-by)
		c.health.settledAt = c.health.settledAt.Add(-by)
	})
}

// AgePolicies makes the password policies look older.
func (d *Directory) AgePolicies(by time.Duration) {
	d.eachController(func(c *controller) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.policy.readAt = c.policy.readAt.Add(-by)
	})
}

func (d *Directory) eachController(f func(*controller)) {
	for _, domain := range d.domains {
		for _, c := range domain.all() {
			f(c)
		}
	}
}

// AgeDiscovery makes the last lookup of controllers look older.
func (d *Directory) AgeDiscovery(by time.Duration) {
	for _, domain := range d.domains {
		domain.mu.Lock()
		domain.lookup.at = domain.lookup.at.Add(-by)
		domain.mu.Unlock()
	}
}

// AccountAttributes are what Resolve reads.
func AccountAttributes() []string { return accountAttributes() }

// ProbedByKerberos exposes how a KDC's answer to a probe is judged.
func ProbedByKerberos(counted bool, err error) (result ProbeResult, final bool) {
	result, final, _ = probedByKerberos(counted, err)
	return result, final
}

// BindFailure exposes what a failed bind is said to mean.
func BindFailure(err error) error { return bindFailure(err) }

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

// AgeFailures makes failures of controllers, and refusals of binds, look older.
func (d *Directory) AgeFailures(by time.Duration) {
	d.eachController(func(c *controller) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refused.until = c.refused.until.Add(-by)
		if !c.health.retryAt.IsZero() {
			c.health.retryAt = c.health.retryAt.Add(-by)
		}
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
		for _, c := range domain.controllers {
			f(c)
		}
	}
}

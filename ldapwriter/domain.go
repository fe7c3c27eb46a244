package ldapwriter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// domain is a configured domain and what is known of its controllers.
type domain struct {
	config     DomainConfig
	names      *nameServers
	log        logrus.FieldLogger
	background *sync.WaitGroup
	stopping   context.Context // ends with the Directory

	mu          sync.Mutex
	controllers []*controller // in the order of preference
	retired     []*controller // no longer in DNS; accounts may have been read from them
	inUse       string        // address of the one that answered last
	lookup      lookup
}

// lookup is the state of discovery.
type lookup struct {
	at      time.Time     // when the last one ended
	err     error         // of the last one
	running chan struct{} // closed when the one under way has ended; nil: none is
}

func (d *Directory) newDomain(stopping context.Context, config DomainConfig) *domain {
	made := &domain{
		config: config, names: newNameServers(config.Discovery), log: d.log.WithField("domain", config.Name),
		background: &d.background, stopping: stopping,
	}
	for _, address := range config.Controllers {
		made.controllers = append(made.controllers, newController(config, made.names, address))
	}
	return made
}

// list returns the controllers in the order of preference.
func (d *domain) list() []*controller {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.controllers)
}

// all returns the retired ones too.
func (d *domain) all() []*controller {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Concat(d.controllers, d.retired)
}

// ready sees to it that controllers are known, and looks them up anew in the background when the list is old. Only the first
// request, or one while DNS names nobody, waits.
func (d *domain) ready(ctx context.Context) error {
	if d.config.Discovery == nil {
		return nil
	}
	d.mu.Lock()
	known, age, err := len(d.controllers) > 0, time.Since(d.lookup.at), d.lookup.err
	d.mu.Unlock()
	switch {
	case known:
		if age > discoveryPeriod || err != nil && age > discoveryRetry {
			d.refresh()
		}
		return nil
	case err != nil && age < retryAfter:
		return err // asked a moment ago
	}
	select {
	case <-d.refresh():
	case <-ctx.Done():
		return unavailable(errors.Join(context.Cause(ctx), errors.New("waiting for DNS to name the controllers")))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.controllers) == 0 {
		return d.lookup.err
	}
	return nil
}

// refresh looks the controllers up anew, unless that is under way, and returns what is closed when it has ended.
func (d *domain) refresh() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lookup.running != nil {
		return d.lookup.running
	}
	running := make(chan struct{})
	d.lookup.running = running
	d.background.Go(func() {
		defer close(running)
		var all []found
		err := contained(func() (err error) { all, err = d.config.discover(d.stopping, d.names); return err })
		d.adopt(all, err)
	})
	return running
}

// refreshSoon follows a failure: a controller may have been replaced. DNS is not asked more often than failed controllers are.
func (d *domain) refreshSoon() {
	d.mu.Lock()
	soon := d.config.Discovery != nil && time.Since(d.lookup.at) > retryAfter
	d.mu.Unlock()
	if soon {
		d.refresh()
	}
}

// adopt takes over a new list. A lookup that failed leaves the old one: DNS that is away does not make controllers disappear.
func (d *domain) adopt(fresh []found, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookup.at, d.lookup.err, d.lookup.running = time.Now(), err, nil
	if err != nil {
		d.log.WithError(err).Warn("the controllers could not be looked up in DNS")
		return
	}
	before := d.controllers
	known := slices.Concat(d.controllers, d.retired)
	d.controllers = nil
	for _, f := range settle(fresh, addresses(before)) {
		at := slices.IndexFunc(known, func(c *controller) bool { return c.address == f.address })
		if at < 0 {
			known, at = append(known, newController(d.config, d.names, f.address)), len(known)
		}
		known[at].setRole(f.role)
		d.controllers = append(d.controllers, known[at])
	}
	d.retire(known)
	if now := addresses(d.controllers); !slices.Equal(addresses(before), now) {
		d.log.WithField("controllers", now).Info("controllers found by DNS")
	}
}

// retire keeps those that are no longer listed: what was read from one must be read from it again. The oldest of too many go.
func (d *domain) retire(known []*controller) {
	d.retired = slices.DeleteFunc(known, func(c *controller) bool { return slices.Contains(d.controllers, c) })
	for _, c := range d.retired {
		c.pool.drop()
	}
	if surplus := len(d.retired) - maxDiscovered; surplus > 0 {
		d.retired = slices.Delete(d.retired, 0, surplus)
	}
}

func addresses(controllers []*controller) []string {
	var all []string
	for _, c := range controllers {
		all = append(all, c.address)
	}
	return all
}

// at returns the controller at an address. One that DNS no longer names, as after a restart, is asked all the same: like every discovered
// one it must prove that it is of the domain.
func (d *domain) at(address string) (*controller, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range slices.Concat(d.controllers, d.retired) {
		if c.address == address {
			return c, true
		}
	}
	if _, err := controllerAddress(address, d.config.Transport); d.config.Discovery == nil || err != nil {
		return nil, false
	}
	c := newController(d.config, d.names, address)
	d.retired = append(d.retired, c)
	return c, true
}

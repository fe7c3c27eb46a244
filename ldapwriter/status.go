package ldapwriter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// ControllerStatus is what is known about one controller, for status and health. Times are ours.
type ControllerStatus struct {
	Domain  string
	Address string
	// Preferred: first in the order of preference. InUse: the next request goes here.
	Preferred, InUse bool
	Connected        bool // connections are open and the last operation was answered
	Connections      int
	Settling         bool // answers again after a failure, but is not preferred before it goes on doing so
	// Site is where the controller is, and PDC whether it is the PDC emulator, as it says itself. PDCKnown: it was asked.
	Site          string
	PDC, PDCKnown bool
	Unfit         bool          // read-only, or of another domain: never used
	Refused       bool          // it answers, but refuses the agent: LastError says why
	Latency       time.Duration // of the last read of its clock on an open connection; 0: none yet
	// LastError is empty when the last operation was answered; it holds no secret.
	LastError   string
	LastHint    string // what to do about it; empty: nothing in particular
	LastErrorAt time.Time
	LastAnswer  time.Time
	// PolicyHints is the OID of the control the controller offers; empty: none, or never connected.
	PolicyHints        string
	ClockOffset        time.Duration // controller's clock minus ours, to one second and a round trip
	ClockSeen          time.Time     // when ClockOffset was measured; zero: never
	CertificateExpires time.Time     // zero: never connected
}

// health is the part of a controller's state that its users report. Guarded by controller.mu.
type health struct {
	standing
	lastError   error
	lastErrorAt time.Time
	lastAnswer  time.Time
	hints       string
	service     string // dsServiceName
	writer      string // fSMORoleOwner of the domain: the PDC emulator's NTDS settings
	latency     time.Duration
	clock       clock
	certificate time.Time
	reviving    bool
}

// note records how an operation ended. Whoever waits for a connection to a controller that gave no answer is sent elsewhere.
func (c *controller) note(err error) {
	if err != nil && unreachable(err) && !errors.Is(err, context.Canceled) { // after a cancellation nothing is known about the controller
		c.noteFailure(err)
		c.pool.wake()
		return
	}
	if err == nil || !unreachable(err) {
		c.noteAnswer(err)
	}
}

func (c *controller) noteFailure(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.lastError, c.health.lastErrorAt = err, time.Now()
	c.health.fail(time.Now())
}

func (c *controller) noteAnswer(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.health
	h.lastAnswer, h.lastError = time.Now(), nil
	h.answer(time.Now())
	h.unfitUntil = time.Time{}
	if err != nil && refusesUs(err) {
		h.lastError, h.lastErrorAt = err, time.Now()
	}
	if errors.Is(err, errUnfit) {
		h.unfitUntil = time.Now().Add(unfitPeriod)
	}
}

func (c *controller) noteConnected(s *session, seen clock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.hints = s.root.hints
	c.health.service = s.root.service
	c.health.clock = seen
	c.health.certificate = s.certificateExpires()
	c.lastSeen = s.wire.RemoteAddr().String()
	c.health.lastAnswer = time.Now()
}

func (c *controller) noteClock(seen clock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.clock = seen
}

func (c *controller) status() ControllerStatus {
	open := c.pool.open()
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.health
	status := ControllerStatus{
		Domain: c.domain.Name, Address: c.address,
		Settling: h.settling, Unfit: h.unfit(time.Now()), Latency: h.latency,
		Site: siteOf(h.service), PDC: samePlace(h.service, h.writer), PDCKnown: h.service != "" && h.writer != "",
		Connected:   open > 0 && h.lastError == nil,
		Connections: open,
		LastErrorAt: h.lastErrorAt, LastAnswer: h.lastAnswer,
		PolicyHints: h.hints, CertificateExpires: h.certificate,
	}
	if h.lastError != nil {
		status.LastError, status.LastHint = printable(h.lastError.Error()), hintOf(h.lastError)
		status.Refused = refusesUs(h.lastError)
	}
	if !h.clock.ours.IsZero() {
		status.ClockOffset, status.ClockSeen = h.clock.offset(), h.clock.ours
	}
	return status
}

// Status returns what is known about every controller, in the order of preference, without asking any. A domain whose controllers were
// not found yet has none.
func (d *Directory) Status() []ControllerStatus {
	var all []ControllerStatus
	for _, domain := range d.domains {
		order, preferred := domain.order(), domain.preferred()
		for _, c := range domain.list() {
			status := c.status()
			status.Preferred = c == preferred
			status.InUse = len(order) > 0 && c == order[0]
			all = append(all, status)
		}
	}
	return all
}

// DiscoveryErrors returns why DNS names no controllers, by the domain's name; a domain that needs none, or found them, is not in it.
func (d *Directory) DiscoveryErrors() map[string]error {
	failed := make(map[string]error)
	for _, domain := range d.domains {
		domain.mu.Lock()
		if domain.lookup.err != nil {
			failed[domain.config.Name] = domain.lookup.err
		}
		domain.mu.Unlock()
	}
	return failed
}

// Health asks every controller for its clock, all at the same time, and returns what is known then. It takes at most the read and
// dial timeouts, or ctx. Controllers that are not known yet are looked up first.
func (d *Directory) Health(ctx context.Context) []ControllerStatus {
	var wg sync.WaitGroup
	for _, domain := range d.domains {
		wg.Go(func() { domain.pingAll(ctx) })
	}
	wg.Wait()
	return d.Status()
}

func (d *domain) pingAll(ctx context.Context) {
	if d.ready(ctx) != nil {
		return
	}
	var wg sync.WaitGroup
	for _, c := range d.list() {
		if !d.passedOver(c) {
			wg.Go(func() { _ = contained(func() error { return c.ping(ctx) }) })
		}
	}
	wg.Wait()
}

// ping reads the controller's clock and, when it is time, the domain's head; how it ended is in its health.
func (c *controller) ping(ctx context.Context) error {
	var seen clock
	var took time.Duration
	err := c.read(ctx, func(ctx context.Context, s *session) error {
		return s.do(ctx, func(conn *ldap.Conn) (err error) {
			begun := time.Now()
			if seen, err = s.now(conn); err != nil {
				return err
			}
			took = time.Since(begun)
			return c.readWriter(conn, s)
		})
	})
	if err == nil {
		c.noteClock(seen)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.health.latency = took
	}
	return err
}

// writerPeriod is how often a controller is asked who the PDC emulator is.
const writerPeriod = time.Minute

// readWriter reads who holds the role of the PDC emulator (fSMORoleOwner of the domain's head, MS-ADTS 6.1.5.3). Where that may not be
// read, nothing is known and nothing is said.
func (c *controller) readWriter(conn *ldap.Conn, s *session) error {
	c.mu.Lock()
	due := time.Since(c.writerAt) > writerPeriod
	c.mu.Unlock()
	if !due {
		return nil
	}
	entry, err := s.readOne(conn, s.root.namingContext, "(objectClass=*)", []string{"fSMORoleOwner"})
	if err != nil && !answered(err) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writerAt = time.Now()
	if err == nil {
		c.health.writer = entry.GetEqualFoldAttributeValue("fSMORoleOwner")
	}
	return nil
}

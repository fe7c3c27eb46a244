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
	// Preferred: first in the list. InUse: the next request goes here.
	Preferred, InUse bool
	Connected        bool // connections are open and the last operation was answered
	Connections      int
	// LastError is empty when the last operation was answered; it holds no secret.
	LastError   string
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
	lastError   error
	lastErrorAt time.Time
	lastAnswer  time.Time
	hints       string
	clock       clock
	certificate time.Time
	retryAt     time.Time // not asked first before this, if another controller answers
	reviving    bool
}

// retryAfter is how long a controller that failed is left alone while another one answers.
const retryAfter = 5 * time.Second

// note records how an operation ended.
func (c *controller) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || !unreachable(err) {
		c.health.lastAnswer = time.Now()
		c.health.retryAt = time.Time{}
		c.health.lastError = nil
		if err != nil && refusesUs(err) {
			c.health.lastError, c.health.lastErrorAt = err, time.Now()
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		return // the caller went away: this says nothing about the controller
	}
	c.health.lastError, c.health.lastErrorAt = err, time.Now()
	c.health.retryAt = time.Now().Add(retryAfter)
}

func (c *controller) noteConnected(s *session, seen clock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.hints = s.root.hints
	c.health.clock = seen
	c.health.certificate = s.certificateExpires()
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
		Preferred:   c.address == c.domain.Controllers[0],
		Connected:   open > 0 && h.lastError == nil,
		Connections: open,
		LastErrorAt: h.lastErrorAt, LastAnswer: h.lastAnswer,
		PolicyHints: h.hints, CertificateExpires: h.certificate,
	}
	if h.lastError != nil {
		status.LastError = printable(h.lastError.Error())
	}
	if !h.clock.ours.IsZero() {
		status.ClockOffset, status.ClockSeen = h.clock.offset(), h.clock.ours
	}
	return status
}

// Status returns what is known about every controller, without asking any.
func (d *Directory) Status() []ControllerStatus {
	var all []ControllerStatus
	for _, domain := range d.domains {
		next := domain.order()[0]
		for _, c := range domain.controllers {
			status := c.status()
			status.InUse = c == next
			all = append(all, status)
		}
	}
	return all
}

// Health asks every controller for its clock, all at the same time, and returns what is known then. It takes at most the read and
// dial timeouts, or ctx.
func (d *Directory) Health(ctx context.Context) []ControllerStatus {
	var wg sync.WaitGroup
	for _, domain := range d.domains {
		for _, c := range domain.controllers {
			wg.Go(func() { _ = c.ping(ctx) })
		}
	}
	wg.Wait()
	return d.Status()
}

// ping reads the controller's clock; how it ended is in its health.
func (c *controller) ping(ctx context.Context) error {
	var seen clock
	err := c.read(ctx, func(ctx context.Context, s *session) error {
		return s.do(ctx, func(conn *ldap.Conn) (err error) {
			seen, err = s.now(conn)
			return err
		})
	})
	if err == nil {
		c.noteClock(seen)
	}
	return err
}

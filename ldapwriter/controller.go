package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// staleAfter is how long an unused connection may be trusted with a write, whose silent loss would be an unknown outcome.
// An older one must answer a read first.
const staleAfter = 10 * time.Second

// controller is one domain controller and the connections to it.
type controller struct {
	domain  DomainConfig
	address string
	names   *nameServers
	trust   *trust
	pool    *pool

	mu   sync.Mutex
	role role // by which it was found; not used for a listed one
	// lastSeen is the address and port it was last reached at; empty: never.
	lastSeen string
	// writerAt is when it was asked who the PDC emulator is.
	writerAt time.Time
	health   health
	policy   domainPolicy
}

func newController(domain DomainConfig, names *nameServers, address string) *controller {
	return &controller{
		domain:  domain,
		address: address,
		names:   names,
		trust:   newTrust(domain, address),
		pool:    newPool(domain.Connections),
	}
}

func (c *controller) setRole(r role) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.role = r
}

// acquire returns a bound session, the most recently used one or a new one. reused tells which. The caller returns it
// with c.pool.put.
func (c *controller) acquire(ctx context.Context) (s *session, reused bool, err error) {
	if s, err = c.pool.take(ctx); err != nil || s != nil {
		return s, s != nil, err
	}
	s, err = c.connect(ctx)
	c.pool.dialed()
	if err != nil {
		c.note(err) // first: who waits is not to get the place and fail in the same way
		c.pool.giveUp()
		return nil, false, err
	}
	return s, false, nil
}

// connect dials, binds and reads the rootDSE.
func (c *controller) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.DialTimeout, errTimeout("connecting", c.domain.DialTimeout))
	defer cancel()
	proof, err := c.domain.binder.proof(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.dial(ctx)
	if err != nil {
		return nil, dialFailure(errors.Join(context.Cause(ctx), err))
	}
	if err := c.domain.binder.bind(ctx, c, s, proof); err != nil {
		s.close()
		return nil, err
	}
	seen, err := s.greet(ctx, c.domain.Name)
	if err != nil {
		s.close()
		return nil, err
	}
	c.noteConnected(s, seen)
	return s, nil
}

// read runs an operation that changes nothing. An idle connection may have died unnoticed, so a reused one that gives no
// answer, while there is still time, is replaced once by a fresh one.
func (c *controller) read(ctx context.Context, operation func(context.Context, *session) error) error {
	s, reused, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	err = c.readOn(ctx, s, operation)
	if !reused || answered(err) || errors.Is(err, errReferral) || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	c.pool.drop()
	if s, _, err = c.acquire(ctx); err != nil {
		return err
	}
	return c.readOn(ctx, s, operation)
}

// readOn runs operation on s within the read timeout and gives s back.
func (c *controller) readOn(ctx context.Context, s *session, operation func(context.Context, *session) error) error {
	defer c.pool.put(s)
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.ReadTimeout, errTimeout("reading", c.domain.ReadTimeout))
	defer cancel()
	err := operation(ctx, s)
	c.note(err)
	return err
}

// forWriting returns a session that is known to be alive. Nothing of a write has been sent when it fails.
func (c *controller) forWriting(ctx context.Context) (*session, error) {
	for {
		s, reused, err := c.acquire(ctx)
		if err != nil || !reused || time.Since(s.lastUsed) < staleAfter {
			return s, err
		}
		err = s.do(ctx, func(conn *ldap.Conn) error { _, err := s.now(conn); return err })
		if err == nil {
			return s, nil
		}
		c.pool.put(s)
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

// errTimeout wraps context.DeadlineExceeded with what took too long.
func errTimeout(doing string, limit time.Duration) error {
	return fmt.Errorf("%s took longer than %v: %w", doing, limit, context.DeadlineExceeded)
}

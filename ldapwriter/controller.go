package ldapwriter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// staleAfter is how long an unused connection may be trusted with a write, whose silent loss would be an unknown outcome.
// An older one must answer a read first.
const staleAfter = 10 * time.Second

// refusedBindPause is how long a password that the controller called wrong is not tried again: every try counts against the
// delegated account's own lockout threshold. Another password is tried at once.
const refusedBindPause = 5 * time.Minute

// controller is one domain controller and the connections to it.
type controller struct {
	domain  DomainConfig
	address string
	tls     *tls.Config
	pool    *pool

	mu      sync.Mutex
	health  health
	policy  domainPolicy
	refused struct {
		password secret.Value
		until    time.Time
		err      error
	}
}

func newController(domain DomainConfig, address string) *controller {
	return &controller{
		domain:  domain,
		address: address,
		tls:     &tls.Config{RootCAs: domain.RootCAs, MinVersion: tls.VersionTLS12},
		pool:    newPool(domain.Connections),
	}
}

// acquire returns a bound session, the most recently used one or a new one. reused tells which. The caller returns it
// with c.pool.put.
func (c *controller) acquire(ctx context.Context) (s *session, reused bool, err error) {
	if s, err = c.pool.take(ctx); err != nil || s != nil {
		return s, s != nil, err
	}
	if s, err = c.connect(ctx); err != nil {
		c.pool.giveUp()
		c.note(err)
		return nil, false, err
	}
	return s, false, nil
}

// connect dials, binds and reads the rootDSE.
func (c *controller) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.DialTimeout, errTimeout("connecting", c.domain.DialTimeout))
	defer cancel()
	password, err := c.bindPassword(ctx)
	if err != nil {
		return nil, err
	}
	s, err := dial(ctx, c.address, c.tls)
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	if err := s.bind(ctx, c.domain.BindUser, password); err != nil {
		s.close()
		c.rememberRefusal(password, err)
		return nil, bindFailure(err)
	}
	seen, err := s.greet(ctx, c.domain.Name)
	if err != nil {
		s.close()
		return nil, err
	}
	c.noteConnected(s, seen)
	return s, nil
}

// bindPassword asks for the password, and refuses one that was wrong a moment ago.
func (c *controller) bindPassword(ctx context.Context) (secret.Value, error) {
	password, err := c.domain.BindPassword(ctx)
	if err != nil {
		return secret.Value{}, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("reading the bind password: %w", err),
			Hint: "Check the file that domains[].bind names, and who may read it.",
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.refused.until) && password.Equal(c.refused.password) {
		return secret.Value{}, c.refused.err
	}
	return password, nil
}

func (c *controller) rememberRefusal(password secret.Value, err error) {
	if bindCode(err) != bindWrongPassword {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused.password.Destroy()
	c.refused.password = secret.New(password.Reveal())
	c.refused.until = time.Now().Add(refusedBindPause)
	c.refused.err = bindFailure(err)
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

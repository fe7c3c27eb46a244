package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// domain is a configured domain: its controllers in the order of preference.
type domain struct {
	config      DomainConfig
	controllers []*controller
	background  *sync.WaitGroup
	stopping    context.Context // ends with the Directory
}

// order returns the controllers to try: those that answered last time first, each group in the order of the list. All are
// in it, so that with none left in good health each gets its chance.
func (d *domain) order() []*controller {
	ordered := slices.Clone(d.controllers)
	slices.SortStableFunc(ordered, func(a, b *controller) int { return a.rank() - b.rank() })
	return ordered
}

// rank is 0 for a controller in good health.
func (c *controller) rank() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health.lastError != nil && !c.health.retryAt.IsZero() {
		return 1
	}
	return 0
}

// onAny runs operation on the first controller that answers. Only failures to reach one move on to the next.
func (d *domain) onAny(ctx context.Context, operation func(context.Context, *controller) error) error {
	var failures []error
	for _, c := range d.order() {
		err := operation(ctx, c)
		if err == nil || !unreachable(err) {
			d.reviveOthers(c)
			return err
		}
		failures = append(failures, fmt.Errorf("%s: %w", c.address, err))
		if ctx.Err() != nil {
			break
		}
	}
	return unavailable(errors.Join(failures...))
}

// reviveOthers asks failed controllers, whose time has come, whether they are back, so that no request has to wait for the answer.
func (d *domain) reviveOthers(working *controller) {
	for _, c := range d.controllers {
		if c == working || !c.mayRevive() {
			continue
		}
		d.background.Go(func() {
			_ = c.ping(d.stopping)
			c.mu.Lock()
			c.health.reviving = false
			c.mu.Unlock()
		})
	}
}

func (c *controller) mayRevive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.health
	due := h.lastError != nil && !h.retryAt.IsZero() && time.Now().After(h.retryAt) && !h.reviving
	if due {
		h.reviving = true
	}
	return due
}

// unreachable reports whether err means that the controller gave no answer, or said that it is too busy for one.
func unreachable(err error) bool {
	var typed *writeback.Error
	if errors.As(err, &typed) {
		return typed.Reason == writeback.DirectoryUnavailable
	}
	if errors.Is(err, errReferral) {
		return false
	}
	code, ok := resultCode(err)
	return !ok || code == ldap.LDAPResultBusy || code == ldap.LDAPResultUnavailable
}

// refusesUs reports whether the controller answered that it will not serve us at all.
func refusesUs(err error) bool {
	reason := writeback.ReasonOf(err)
	return reason == writeback.DirectoryAccessDenied || reason == writeback.AgentMisconfigured
}

// unavailable gives an unreachable controller's error its reason and a hint.
func unavailable(err error) error {
	return &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: connectionHint(err), Cause: cleaned(err)}
}

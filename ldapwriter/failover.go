package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// order returns the controllers to try: those in good standing first, then those on trial, then those that are away; each group in
// the order of preference. All are in it, so that with none in good standing each gets its chance, but for discovered ones that are known
// to be read-only or another domain's.
func (d *domain) order() []*controller {
	ordered := slices.DeleteFunc(d.list(), d.passedOver)
	ranks := make(map[*controller]int, len(ordered)) // read once: they may change while the list is sorted
	for _, c := range ordered {
		ranks[c] = c.rank()
	}
	slices.SortStableFunc(ordered, func(a, b *controller) int { return ranks[a] - ranks[b] })
	return ordered
}

// preferred returns the first that can be used at all; nil: none is known.
func (d *domain) preferred() *controller {
	for _, c := range d.list() {
		if !d.passedOver(c) {
			return c
		}
	}
	return nil
}

func (d *domain) passedOver(c *controller) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.config.Discovery != nil && c.health.unfit(time.Now())
}

// rank is 0 for a controller in good standing.
func (c *controller) rank() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health.rank()
}

// onAny runs operation on the first controller that answers. Only failures to reach one move on to the next, and a discovered one that
// turns out not to be one of ours.
func (d *domain) onAny(ctx context.Context, operation func(context.Context, *controller) error) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	var failures []error
	onlyUnfit := error(nil)
	for _, c := range d.order() {
		err := operation(ctx, c)
		switch {
		case d.config.Discovery != nil && errors.Is(err, errUnfit):
			onlyUnfit = err
		case err == nil || !unreachable(err):
			d.answeredBy(c)
			return err
		}
		failures = append(failures, fmt.Errorf("%s: %w", c.address, err))
		d.refreshSoon()
		if ctx.Err() != nil {
			break
		}
	}
	if len(failures) == 1 && onlyUnfit != nil {
		return onlyUnfit
	}
	if len(failures) == 0 {
		failures = append(failures, errors.New("every controller that DNS names is read-only or of another domain"))
	}
	return unavailable(errors.Join(failures...))
}

// answeredBy notes which controller serves the domain now.
func (d *domain) answeredBy(c *controller) {
	d.mu.Lock()
	before := d.inUse
	d.inUse = c.address
	d.mu.Unlock()
	if before != c.address {
		d.logChange(c, before, c == d.preferred())
	}
	d.reviveOthers(c)
}

// logChange names the controller in use when it is another one than before; that the preferred one is used at the start is no news.
func (d *domain) logChange(c *controller, before string, preferred bool) {
	log := d.log.WithFields(logrus.Fields{"controller": c.address, "was": before})
	switch {
	case !preferred:
		log.Warn("another than the preferred controller is in use")
	case before != "":
		log.Info("the preferred controller is in use again")
	}
}

// reviveOthers asks failed controllers, whose time has come, whether they are back, so that no request has to wait for the answer.
func (d *domain) reviveOthers(working *controller) {
	for _, c := range d.list() {
		if c == working || !c.mayRevive() {
			continue
		}
		d.background.Go(func() {
			_ = contained(func() error { return c.ping(d.stopping) })
			c.mu.Lock()
			defer c.mu.Unlock()
			c.health.reviving = false
		})
	}
}

func (c *controller) mayRevive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.health
	due := h.due(time.Now()) && !h.unfit(time.Now()) && !h.reviving
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

// unavailable gives an unreachable controller's error its reason, and the hint of the first failure that has one.
func unavailable(err error) error {
	hint := connectionHint(err)
	if hint == "" {
		hint = firstHint(err)
	}
	return &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: hint, Cause: cleaned(err)}
}

func firstHint(err error) string {
	switch wrapped := err.(type) { //nolint:errorlint // this walks the tree itself: errors.As stops at the first without a hint
	case *writeback.Error:
		if wrapped.Hint != "" {
			return wrapped.Hint
		}
		return firstHint(wrapped.Cause)
	case interface{ Unwrap() error }:
		return firstHint(wrapped.Unwrap())
	case interface{ Unwrap() []error }:
		for _, each := range wrapped.Unwrap() {
			if hint := firstHint(each); hint != "" {
				return hint
			}
		}
	}
	return ""
}

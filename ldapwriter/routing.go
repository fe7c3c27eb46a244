package ldapwriter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
)

// candidates returns the domains that have to be asked for q, those in good health first.
func (d *Directory) candidates(q query) []*domain {
	asked := slices.DeleteFunc(slices.Clone(d.domains), func(each *domain) bool { return !each.mayHold(q) })
	if claimed := claiming(asked, q.suffix); len(claimed) > 0 {
		asked = claimed
	}
	health := make(map[*domain]int, len(asked))
	for _, each := range asked {
		health[each] = each.rank()
	}
	slices.SortStableFunc(asked, func(a, b *domain) int { return cmp.Compare(health[a], health[b]) })
	return asked
}

// claiming returns the domains that the configuration says a UPN suffix belongs to.
func claiming(domains []*domain, suffix string) []*domain {
	if suffix == "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(domains), func(d *domain) bool {
		return !slices.ContainsFunc(d.config.UPNSuffixes, func(own string) bool { return strings.EqualFold(own, suffix) })
	})
}

// rank is that of the domain's best controller: 0 when one is in good standing.
func (d *domain) rank() int {
	order := d.order()
	if len(order) == 0 {
		return 0 // not looked up yet
	}
	return order[0].rank()
}

// mayHold reports whether the domain has to be asked.
func (d *domain) mayHold(q query) bool {
	if q.domain != "" {
		return slices.Contains(domainNames(d.config), q.domain)
	}
	if q.domainSID == "" {
		return true
	}
	for _, c := range d.list() {
		if own := c.knownPolicy().domainSID; own != "" {
			return own == q.domainSID
		}
	}
	return true
}

// findings collects what the domains said.
type findings struct {
	unique bool // one is enough
	found  []writeback.Account
	failed []error // of domains that gave no answer to go by
}

// add notes one domain's answer and reports whether the search is over. What is unique by nature may be in another domain than the
// one that failed; of everything else that one might hold a second.
func (f *findings) add(account writeback.Account, err error) (over bool) {
	switch {
	case err == nil:
		f.found = append(f.found, account)
		return f.unique
	case writeback.ReasonOf(err) == writeback.UserNotFound:
		return false
	}
	f.failed = append(f.failed, err)
	return !f.unique
}

// account is the one that was found.
func (f *findings) account() (writeback.Account, error) {
	switch {
	case len(f.failed) > 0 && (!f.unique || len(f.found) == 0):
		return writeback.Account{}, f.failed[0]
	case len(f.found) == 0:
		return writeback.Account{}, writeback.NewError(writeback.UserNotFound, errors.New("no domain holds such a user"))
	case len(f.found) > 1:
		return writeback.Account{}, writeback.NewError(writeback.UserAmbiguous, fmt.Errorf("found in %d domains", len(f.found)))
	}
	return f.found[0], nil
}

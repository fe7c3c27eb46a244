package ldapwriter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Resolve finds the one user account that subject names and reads everything about it that a decision needs, on one
// controller: the first in the list that answers, within the search budget.
//
// An identifier that other domains may use too is looked for in all of them, a UPN only where its suffix is configured, if it is
// anywhere: found twice is user.ambiguous, and a domain that does not answer is directory.unavailable, since it might hold the second one.
// Other reasons: user.not_found, request.unsupported, directory.access_denied, agent.misconfigured.
func (d *Directory) Resolve(ctx context.Context, subject writeback.Subject) (writeback.Account, error) {
	q, err := newQuery(subject)
	if err != nil {
		return writeback.Account{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.searchBudget, errTimeout("looking for a controller", d.searchBudget))
	defer cancel()
	result := findings{unique: q.unique}
	for _, domain := range d.candidates(q) {
		if over := result.add(domain.resolve(ctx, q)); over {
			break
		}
	}
	return result.account()
}

// resolve looks for the account on the first controller that answers.
func (d *domain) resolve(ctx context.Context, q query) (writeback.Account, error) {
	var account writeback.Account
	err := d.onAny(ctx, func(ctx context.Context, c *controller) (err error) {
		account, err = c.resolve(ctx, q)
		return err
	})
	return account, err
}

// resolve looks for the account on c.
func (c *controller) resolve(ctx context.Context, q query) (writeback.Account, error) {
	seen, err := c.look(ctx, q, q.attributes())
	if err != nil {
		return writeback.Account{}, err
	}
	switch {
	case !q.names(seen.entry):
		return writeback.Account{}, writeback.NewError(writeback.UserNotFound, errors.New("the account found has another name, which the directory takes for the same"))
	case !isPerson(seen.entry):
		return writeback.Account{}, writeback.NewError(writeback.UserNotFound, errors.New("the account is not a person's"))
	case !c.inSearchBase(seen.entry.DN):
		return writeback.Account{}, writeback.NewError(writeback.UserNotFound, errors.New("the account is outside the search base"))
	case q.asserted != nil && !immutableIDMatches(seen.entry, q.asserted):
		return writeback.Account{}, writeback.NewError(writeback.UserAmbiguous,
			fmt.Errorf("the account found does not have the immutable id %s", immutableIDText(q.asserted)))
	}
	account, err := c.account(seen)
	if err == nil && q.anchor && seen.root.anchorNotIndexed {
		account.Warnings = append(account.Warnings, writeback.WarningNotIndexed)
	}
	return account, err
}

// inSearchBase also bounds what was found by GUID or SID, which knows no search base.
func (c *controller) inSearchBase(dn string) bool {
	if c.domain.SearchBase == "" {
		return true
	}
	base, err := NormalizeDN(c.domain.SearchBase)
	name, err2 := NormalizeDN(dn)
	return err == nil && err2 == nil && strings.HasSuffix(name, ","+base)
}

// look finds the entry q names and reads attributes of it. Errors are a person's: they carry a reason, or are unreachable.
func (c *controller) look(ctx context.Context, q query, attributes []string) (sighting, error) {
	var seen sighting
	err := c.read(ctx, func(ctx context.Context, s *session) error {
		return s.do(ctx, func(conn *ldap.Conn) (err error) {
			seen, err = c.lookOn(conn, s, q, attributes)
			return err
		})
	})
	if err != nil {
		return sighting{}, lookFailure(err)
	}
	c.noteClock(seen.clock)
	return seen, nil
}

// lookOn asks for the clock, and for the domain's policy when it is old, beside the search for the entry: they do not wait for one another.
func (c *controller) lookOn(conn *ldap.Conn, s *session, q query, attributes []string) (sighting, error) {
	var (
		wg                  sync.WaitGroup
		domain              domainPolicy
		clockErr, policyErr error
	)
	seen := sighting{root: s.root}
	wg.Go(func() { clockErr = contained(func() (err error) { seen.clock, err = s.now(conn); return err }) })
	if domain = c.knownPolicy(); time.Since(domain.readAt) >= policyLife {
		wg.Go(func() {
			policyErr = contained(func() (err error) { domain, err = c.currentPolicy(conn, s); return err })
		})
	}
	entry, err := s.findEntry(conn, q, c.domain.SearchBase, attributes)
	wg.Wait()
	// The search's own answer counts first; the others fail without it only when the connection does.
	if err := cmp.Or(err, errors.Join(clockErr, policyErr)); err != nil {
		return sighting{}, err
	}
	seen.entry = entry
	if slices.Contains(attributes, descriptorAttribute) {
		seen.policy, err = s.policyOf(conn, entry, domain)
	}
	return seen, err
}

// findEntry returns the one entry. Constructed attributes need a base read, so a search comes first only where the
// identifier is not itself a name to read.
func (s *session) findEntry(conn *ldap.Conn, q query, searchBase string, attributes []string) (*ldap.Entry, error) {
	base := q.base
	if base == "" {
		orDefault(&searchBase, s.root.namingContext)
		entries, err := s.search(conn, searchBase, ldap.ScopeWholeSubtree, "(&"+realUser+q.filter+")", []string{"objectGUID"})
		if err != nil {
			return nil, err
		}
		if len(entries) > 1 {
			return nil, errAmbiguous
		}
		if len(entries) == 0 || len(entries[0].GetEqualFoldRawAttributeValue("objectGUID")) != 16 {
			return nil, errNoSuchUser
		}
		base = guidDN(writeback.GUID(entries[0].GetEqualFoldRawAttributeValue("objectGUID")))
	}
	entry, err := s.readOne(conn, base, "(&"+realUser+")", attributes)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) || errors.Is(err, errReferral) {
		return nil, errNoSuchUser // a GUID or SID of another domain may be answered with a referral
	}
	return entry, err
}

// What a search that worked did not find; they have result codes of their own to count as answers.
var (
	errNoSuchUser = ldap.NewError(ldap.LDAPResultNoSuchObject, errors.New("no such user"))
	errAmbiguous  = ldap.NewError(ldap.LDAPResultSizeLimitExceeded, errors.New("more than one user"))
)

// lookFailure gives the failure of a search its reason.
func lookFailure(err error) error {
	var typed *writeback.Error
	code, ok := resultCode(err)
	switch {
	case errors.As(err, &typed):
		return err
	case err == errNoSuchUser: //nolint:errorlint // the value itself: a search base that is missing has the same code
		return writeback.NewError(writeback.UserNotFound, errors.New("no such user"))
	case err == errAmbiguous: //nolint:errorlint // as above
		return writeback.NewError(writeback.UserAmbiguous, errors.New("more than one user matches"))
	case errors.Is(err, errReferral), ok && code == ldap.LDAPResultNoSuchObject, ok && code == ldap.LDAPResultInvalidDNSyntax:
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: cleaned(err),
			Hint: "The controller does not hold all of the search base and refers elsewhere: correct domains[].search_base.",
		}
	case unreachable(err):
		return unavailable(err)
	}
	return &writeback.Error{Reason: writeback.DirectoryAccessDenied, Cause: cleaned(err),
		Hint: "The controller refused the search: let the delegated account read the users."}
}

// currentPolicy returns the domain's password policy, at most [policyLife] old.
func (c *controller) currentPolicy(conn *ldap.Conn, s *session) (domainPolicy, error) {
	if policy := c.knownPolicy(); time.Since(policy.readAt) < policyLife {
		return policy, nil
	}
	entry, err := s.readOne(conn, s.root.namingContext, "(objectClass=*)", policyAttributes())
	if err != nil && answered(err) {
		return domainPolicy{}, nil // not readable: nothing is known, and what needs it is not done
	}
	if err != nil {
		return domainPolicy{}, err
	}
	policy := readPolicy(entry)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policy = policy
	return policy, nil
}

func (c *controller) knownPolicy() domainPolicy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.policy
}

// PasswordState reads the evidence about the account's password afresh, on the controller the account was read from and on no
// other. directory.unavailable when it does not answer; user.not_found when the account is gone.
func (d *Directory) PasswordState(ctx context.Context, account writeback.Account) (writeback.PasswordState, error) {
	c, err := d.pinned(account)
	if err != nil {
		return writeback.PasswordState{}, err
	}
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, append(stateAttributes(), policyQuestion()...))
	if err != nil {
		return writeback.PasswordState{}, err
	}
	state, err := passwordState(seen)
	if err != nil {
		return writeback.PasswordState{}, writeback.NewError(writeback.AgentInternal, err)
	}
	return state, nil
}

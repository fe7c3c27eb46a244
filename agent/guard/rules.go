package guard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/password-writeback/writeback/internal/writeback"
)

// DefaultSkew is how far the clocks of portal and agent may differ (docs/architecture.md, "Once or not at all").
const DefaultSkew = 30 * time.Second

// Rules are what the administrator allows. Empty lists allow nothing, except where said otherwise.
type Rules struct {
	Issuers map[string]IssuerRules // by issuer id
	Domains map[string]DomainRules // by DNS name, lower case
	Skew    time.Duration          // 0: [DefaultSkew]
}

// IssuerRules are what one portal may ask for.
type IssuerRules struct {
	Operations  []writeback.Operation
	Actors      []writeback.ActorKind
	Identifiers []writeback.IdentifierKind

	// RequireMethods is how many different methods (amr, RFC 8176) the person must have been verified by. "mfa" and "mca"
	// say that there were several, but not which: they are not counted.
	RequireMethods int
	// AllowedMethods, when not empty, must hold every method a request names ("mfa" and "mca" aside), of which there must be one.
	AllowedMethods []string
	// MaxAuthAge is how long ago the person may have been verified; 0: the age is not judged and auth_time may be absent.
	MaxAuthAge time.Duration

	// Rate bounds all requests of the issuer together.
	Rate Rate

	// Scope are the normalised names of the containers whose accounts, at any depth, the issuer may touch.
	Scope []string
	// WholeDirectory, instead of a Scope, lets the issuer touch every account the domains include, and tells it whether a
	// user exists.
	WholeDirectory bool
}

// DomainRules are which accounts of a domain may be touched at all, whoever asks.
type DomainRules struct {
	// Include and Exclude are normalised names of containers, normalised like writeback.Account.Containers. An account must
	// lie, at any depth, in an included one and in no excluded one.
	Include, Exclude []string
	// EnabledFor says whom of them; EnabledGroups are the SIDs of the groups, whose members, nested ones too, are meant by [EnabledGroups].
	EnabledFor    Enabled
	EnabledGroups []string
	// ProtectedGroups are SIDs of groups whose members, nested ones too, are never touched, besides the built-in ones.
	ProtectedGroups []string
	// ProtectedAccounts are SIDs or objectGUIDs of accounts that are never touched.
	ProtectedAccounts []string
	// BindAccounts name the accounts the agent itself logs on with, in any form a bind takes: SID, objectGUID, distinguished
	// name, user@domain or DOMAIN\user. The agent never resets itself.
	BindAccounts []string
}

// Enabled says for whom of a domain's scope the agent works.
type Enabled string

// The settings. The zero value is none of them.
const (
	EnabledAll    Enabled = "all"
	EnabledGroups Enabled = "groups"
	EnabledNobody Enabled = "nobody"
)

// Guard judges by rules. It is safe for concurrent use. Use [New].
type Guard struct {
	issuers  map[string]IssuerRules
	domains  map[string]domain
	limiters map[string]*rate.Limiter // of the issuers that have a rate
	skew     time.Duration
}

// domain is a DomainRules made ready.
type domain struct {
	include, exclude []string
	enabledFor       Enabled
	enabled          map[string]bool // canonical SIDs of groups
	groups           map[string]bool // canonical SIDs
	accounts         map[string]bool // canonical SIDs and GUIDs
	bindNames        []string
}

// New checks the rules and returns a Guard that keeps a copy of them. The error names every fault.
func New(rules Rules) (*Guard, error) {
	g := &Guard{issuers: map[string]IssuerRules{}, domains: map[string]domain{}, limiters: map[string]*rate.Limiter{}, skew: rules.Skew}
	if g.skew <= 0 {
		g.skew = DefaultSkew
	}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(rules.Issuers)) {
		issuer := rules.Issuers[id]
		faults = append(faults, within("issuer "+id, issuer.faults())...)
		g.issuers[id] = issuer.clone()
		if limiter := issuer.Rate.limiter(); limiter != nil {
			g.limiters[id] = limiter
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rules.Domains)) {
		ready, problems := rules.Domains[name].ready()
		if name != strings.ToLower(name) || name == "" {
			problems = append(problems, errors.New("the name must be the DNS name in lower case"))
		}
		faults = append(faults, within("domain "+name, problems)...)
		g.domains[name] = ready
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return g, nil
}

func within(where string, faults []error) []error {
	for i, fault := range faults {
		faults[i] = fmt.Errorf("%s: %w", where, fault)
	}
	return faults
}

func (r IssuerRules) clone() IssuerRules {
	r.Operations, r.Actors, r.Identifiers = slices.Clone(r.Operations), slices.Clone(r.Actors), slices.Clone(r.Identifiers)
	r.AllowedMethods, r.Scope = slices.Clone(r.AllowedMethods), slices.Clone(r.Scope)
	return r
}

// faults finds what would make the rules mean something else than they seem to.
func (r IssuerRules) faults() []error {
	var faults []error
	for _, op := range r.Operations {
		if !op.Known() {
			faults = append(faults, fmt.Errorf("operation %q is not known", op))
		}
	}
	if r.RequireMethods < 0 || r.MaxAuthAge < 0 {
		faults = append(faults, errors.New("a negative number of methods or age"))
	}
	if !r.Rate.valid() {
		faults = append(faults, errors.New("a rate without a number of requests or a time"))
	}
	switch {
	case r.WholeDirectory && len(r.Scope) > 0:
		faults = append(faults, errors.New("a scope and the whole directory exclude each other"))
	case !r.WholeDirectory && len(r.Scope) == 0:
		faults = append(faults, errors.New("no scope: name its containers, or the whole directory"))
	case slices.Contains(r.Scope, ""):
		faults = append(faults, errors.New("an empty name in the scope"))
	}
	return faults
}

func (r DomainRules) ready() (domain, []error) {
	d := domain{
		include: slices.Clone(r.Include), exclude: slices.Clone(r.Exclude),
		enabledFor: r.EnabledFor, accounts: map[string]bool{},
	}
	var faults []error
	d.enabled, faults = groupSet("enabled", r.EnabledGroups)
	switch {
	case !slices.Contains([]Enabled{EnabledAll, EnabledGroups, EnabledNobody}, r.EnabledFor):
		faults = append(faults, fmt.Errorf("enabled for %q is not known", r.EnabledFor))
	case (r.EnabledFor == EnabledGroups) != (len(r.EnabledGroups) > 0):
		faults = append(faults, errors.New("enabled groups go with being enabled for groups, and only with that"))
	}
	if len(r.Include) == 0 {
		faults = append(faults, errors.New("no included container: name the domain's own to include all"))
	}
	if slices.Contains(r.Include, "") || slices.Contains(r.Exclude, "") {
		faults = append(faults, errors.New("an empty name of a container"))
	}
	protected, problems := groupSet("protected", r.ProtectedGroups)
	d.groups, faults = protected, append(faults, problems...)
	for _, account := range r.ProtectedAccounts {
		id, ok := canonicalID(account)
		if !ok {
			faults = append(faults, fmt.Errorf("protected account %q is neither a SID nor a GUID", account))
		}
		d.accounts[id] = true
	}
	for _, account := range r.BindAccounts {
		switch id, ok := canonicalID(account); {
		case ok:
			d.accounts[id] = true
		case account == "":
			faults = append(faults, errors.New("an empty name of a bind account"))
		default:
			d.bindNames = append(d.bindNames, account)
		}
	}
	return d, faults
}

// groupSet returns the groups' SIDs in their one form.
func groupSet(kind string, groups []string) (map[string]bool, []error) {
	set := map[string]bool{}
	var faults []error
	for _, group := range groups {
		sid, ok := canonicalSID(group)
		if !ok {
			faults = append(faults, fmt.Errorf("%s group %q is not a SID", kind, group))
			continue
		}
		set[sid] = true
	}
	return set, faults
}

// canonicalID returns the one form of a SID or a GUID.
func canonicalID(text string) (string, bool) {
	if sid, ok := canonicalSID(text); ok {
		return sid, true
	}
	guid, err := writeback.ParseGUID(text)
	return guid.String(), err == nil
}

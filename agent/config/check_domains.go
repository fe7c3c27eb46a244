package config

import (
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
)

func (c checker) domains(domains []Domain) {
	if len(domains) == 0 {
		c.missing("domains", "Name at least one domain.")
	}
	for i := range domains {
		c.domain(element("domains", i), &domains[i])
	}
	unique(c, "domains", "name", domains, func(d Domain) string { return d.Name })
	c.suffixes(domains)
	unique(c, "domains", "netbios_name", domains, func(d Domain) string { return strings.ToUpper(d.NetBIOSName) })
}

func (c checker) domain(path string, d *Domain) {
	c.name(member(path, "name"), d.Name, dnsRule())
	if netBIOS := member(path, "netbios_name"); c.inFile(netBIOS) || dnsRule().matches(d.Name) {
		c.name(netBIOS, d.NetBIOSName, netBIOSRule())
	}
	c.controllers(path, d)
	if ca := member(path, "ca_file"); d.CAFile != "" {
		c.resolve(&d.CAFile)
		_, err := ReadCAFile(d.CAFile)
		c.file(ca, d.CAFile, "the PEM file", err)
	}
	c.bind(member(path, "bind"), &d.Bind)
	within(c, member(path, "connections"), d.Connections, 1, 64)
	if d.Name != "" {
		c.containers(member(path, "search_base"), []string{d.SearchBase}, []Domain{*d}, single)
	}
	c.scope(member(path, "scope"), d)
	c.enabled(path, d)
	c.sids(member(path, "protected_groups"), d.ProtectedGroups)
	c.accounts(member(path, "protected_accounts"), d.ProtectedAccounts)
}

func (c checker) scope(path string, d *Domain) {
	include := member(path, "include")
	if len(d.Scope.Include) == 0 {
		c.missing(include, "Name at least one OU below which users may be reset; for the whole domain, name the domain: "+domainDN(d.Name)+".")
	}
	c.containers(include, d.Scope.Include, []Domain{*d}, listed)
	c.containers(member(path, "exclude"), d.Scope.Exclude, []Domain{*d}, listed)
}

// enabled checks that groups are named just where they count: whoever names some means them.
func (c checker) enabled(path string, d *Domain) {
	groups := member(path, "enabled_groups")
	oneOf(c, member(path, "enabled_for"), d.EnabledFor, EnabledForAll, EnabledForGroups, EnabledForNobody)
	c.sids(groups, d.EnabledGroups)
	switch {
	case d.EnabledFor == EnabledForGroups && len(d.EnabledGroups) == 0:
		c.missing(groups, "List the SIDs of the groups; Get-ADGroup NAME shows them.")
	case d.EnabledFor != EnabledForGroups && len(d.EnabledGroups) > 0:
		c.add(groups, "does not count", "Write enabled_for: groups, or remove the groups.")
	}
}

// place says whether a field holds one name or a list of them.
type place bool

const (
	single place = false
	listed place = true
)

// containers checks that each text is a distinguished name within one of the domains.
func (c checker) containers(path string, names []string, domains []Domain, where place) {
	for i, name := range names {
		at := path
		if where == listed {
			at = element(path, i)
		}
		parts, ok := splitDN(name)
		switch {
		case !ok:
			c.add(at, "not a distinguished name", "Write it as OU=Staff,DC=corp,DC=example,DC=com; escape commas in names with a backslash.")
		case !inAny(parts, domains):
			c.add(at, "not in a configured domain", "End it with the domain's name, for example ,DC=corp,DC=example,DC=com.")
		}
	}
	if where == listed {
		unique(c, path, "", names, strings.ToLower)
	}
}

// inAny reports whether a name lies in one of the domains. A domain whose own name is missing is not held against it.
func inAny(parts []string, domains []Domain) bool {
	for _, d := range domains {
		base, ok := splitDN(domainDN(d.Name))
		if !ok || isBelow(parts, base) {
			return true
		}
	}
	return len(domains) == 0
}

func (c checker) sids(path string, sids []string) {
	for i, sid := range sids {
		if !sidRule().matches(sid) {
			c.add(element(path, i), "not a SID", sidRule().means)
		}
	}
}

// accounts checks names that an account keeps for as long as it exists: one that can be renamed would lose its protection.
func (c checker) accounts(path string, accounts []string) {
	for i, account := range accounts {
		if _, err := writeback.ParseGUID(account); err != nil && !sidRule().matches(account) {
			c.add(element(path, i), "neither a SID nor an objectGUID", "Look it up: Get-ADUser NAME shows both.")
		}
	}
}

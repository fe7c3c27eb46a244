package app

import (
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

func newGuard(cfg *config.Config) (*guard.Guard, error) {
	var faults objections
	rules := guardRules(cfg, faults.add)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return guard.New(rules)
}

// guardRules turns the configuration into rules. Names of containers are normalised here, once, in the same way as the
// directory normalises those of accounts; add learns of each that is none.
func guardRules(cfg *config.Config, add func(path string, err error)) guard.Rules {
	rules := guard.Rules{Issuers: map[string]guard.IssuerRules{}, Domains: map[string]guard.DomainRules{}, Skew: cfg.Policy.ClockSkew}
	var everywhere []string
	for i, domain := range cfg.Domains {
		scope := fmt.Sprintf("domains[%d].scope", i)
		included := normalized(scope+".include", domain.Scope.Include, add)
		excluded := normalized(scope+".exclude", domain.Scope.Exclude, add)
		everywhere = append(everywhere, included...)
		rules.Domains[domain.Name] = guard.DomainRules{
			Include: included, Exclude: excluded, EnabledFor: guard.Enabled(domain.EnabledFor), EnabledGroups: domain.EnabledGroups,
			ProtectedGroups:   domain.ProtectedGroups,
			ProtectedAccounts: domain.ProtectedAccounts, BindAccounts: bindNames(domain.Bind.User),
		}
	}
	for i, issuer := range cfg.Issuers {
		scope := normalized(fmt.Sprintf("issuers[%d].scope", i), issuer.Scope, add)
		rules.Issuers[issuer.ID] = issuerRules(issuer, scope, everywhere)
	}
	return rules
}

// bindNames returns the name the agent logs on with; a distinguished name also without the spaces that a controller takes in a
// bind, and never writes.
func bindNames(user string) []string {
	if name, err := ldapwriter.NormalizeDN(user); err == nil {
		return []string{user, name}
	}
	return []string{user}
}

// issuerRules gives an issuer without a scope of its own that of all domains.
func issuerRules(issuer config.Issuer, scope, everywhere []string) guard.IssuerRules {
	if len(scope) == 0 && !issuer.WholeDirectory {
		scope = everywhere
	}
	return guard.IssuerRules{
		Operations: issuer.Operations, Actors: issuer.Actors, Identifiers: issuer.Identifiers,
		RequireMethods: issuer.RequireMethods, AllowedMethods: issuer.AllowedMethods, MaxAuthAge: issuer.MaxAuthAge,
		Rate:  guard.Rate{Requests: issuer.Rate.Requests, Per: issuer.Rate.Per},
		Scope: scope, WholeDirectory: issuer.WholeDirectory,
	}
}

func normalized(path string, names []string, add func(path string, err error)) []string {
	normal := make([]string, 0, len(names))
	for i, name := range names {
		one, err := ldapwriter.NormalizeDN(name)
		if err != nil {
			add(fmt.Sprintf("%s[%d]", path, i), &writeback.Error{
				Reason: writeback.AgentMisconfigured, Cause: err,
				Hint: "Write a distinguished name, for example OU=Staff,DC=corp,DC=example,DC=com.",
			})
			continue
		}
		normal = append(normal, one)
	}
	return normal
}

package app

import (
	"fmt"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/ldapwriter"
)

// newGuard turns the configuration into rules. Names of containers are normalised here, once, in the same way as the
// directory normalises those of accounts.
func newGuard(cfg *config.Config) (*guard.Guard, error) {
	rules := guard.Rules{Issuers: map[string]guard.IssuerRules{}, Domains: map[string]guard.DomainRules{}, Skew: cfg.Policy.ClockSkew}
	var everywhere []string
	for i, domain := range cfg.Domains {
		included, err := normalized(fmt.Sprintf("domains[%d].scope.include", i), domain.Scope.Include)
		if err != nil {
			return nil, err
		}
		excluded, err := normalized(fmt.Sprintf("domains[%d].scope.exclude", i), domain.Scope.Exclude)
		if err != nil {
			return nil, err
		}
		everywhere = append(everywhere, included...)
		rules.Domains[domain.Name] = guard.DomainRules{
			Include: included, Exclude: excluded, ProtectedGroups: domain.ProtectedGroups,
			ProtectedAccounts: domain.ProtectedAccounts, BindAccounts: []string{domain.Bind.User},
		}
	}
	for i, issuer := range cfg.Issuers {
		scope, err := normalized(fmt.Sprintf("issuers[%d].scope", i), issuer.Scope)
		if err != nil {
			return nil, err
		}
		rules.Issuers[issuer.ID] = issuerRules(issuer, scope, everywhere)
	}
	return guard.New(rules)
}

// issuerRules gives an issuer without a scope of its own that of all domains.
func issuerRules(issuer config.Issuer, scope, everywhere []string) guard.IssuerRules {
	if len(scope) == 0 && !issuer.WholeDirectory {
		scope = everywhere
	}
	return guard.IssuerRules{
		Operations: issuer.Operations, Actors: issuer.Actors, Identifiers: issuer.Identifiers,
		RequireMethods: issuer.RequireMethods, AllowedMethods: issuer.AllowedMethods, MaxAuthAge: issuer.MaxAuthAge,
		Scope: scope, WholeDirectory: issuer.WholeDirectory,
	}
}

func normalized(path string, names []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for i, name := range names {
		normal, err := ldapwriter.NormalizeDN(name)
		if err != nil {
			return nil, &config.Faults{File: "configuration", List: []config.Fault{{
				Path: fmt.Sprintf("%s[%d]", path, i), Problem: err.Error(), Remedy: "Write a distinguished name, e.g. OU=Staff,DC=corp,DC=example,DC=com.",
			}}}
		}
		out = append(out, normal)
	}
	return out, nil
}

package ldapwriter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// rootDSE is what a controller says about itself (MS-ADTS 3.1.1.3.2), read once per connection; the clock with every use.
type rootDSE struct {
	namingContext string // defaultNamingContext, as the server wrote it
	hints         string // OID of the policy-hints control; empty: none
	domainScope   bool   // the domain-scope control is known
}

// clock is one look at a controller's clock.
type clock struct{ theirs, ours time.Time }

// offset is by how much the controller's clock is ahead of ours.
func (c clock) offset() time.Duration { return c.theirs.Sub(c.ours) }

// greet reads the rootDSE after a bind and checks that the controller serves the configured domain.
func (s *session) greet(ctx context.Context, domain string) (clock, error) {
	var entry *ldap.Entry
	err := s.do(ctx, func(conn *ldap.Conn) (err error) {
		entry, err = s.readOne(conn, "", "(objectClass=*)", []string{"defaultNamingContext", "supportedControl", "currentTime"})
		return err
	})
	if err != nil {
		return clock{}, err
	}
	s.root = rootDSE{
		namingContext: entry.GetEqualFoldAttributeValue("defaultNamingContext"),
		hints:         policyHintsOIDOf(entry.GetEqualFoldAttributeValues("supportedControl")),
		domainScope:   slices.Contains(entry.GetEqualFoldAttributeValues("supportedControl"), domainScopeOID),
	}
	served, err := NormalizeDN(s.root.namingContext)
	if err != nil || served != domainDN(domain) {
		return clock{}, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the controller serves %q, not %s", s.root.namingContext, domain),
			Hint: "List only controllers of the domain itself in domains[].controllers, and name the domain by its DNS name.",
		}
	}
	return readClock(entry)
}

// now asks for the controller's clock.
func (s *session) now(conn *ldap.Conn) (clock, error) {
	entry, err := s.readOne(conn, "", "(objectClass=*)", []string{"currentTime"})
	if err != nil {
		return clock{}, err
	}
	return readClock(entry)
}

func readClock(rootEntry *ldap.Entry) (clock, error) {
	theirs, err := generalizedTime(rootEntry.GetEqualFoldAttributeValue("currentTime"))
	return clock{theirs: theirs, ours: time.Now()}, err
}

// domainDN returns the normalised name of a domain's naming context.
func domainDN(name string) string {
	return "dc=" + strings.ReplaceAll(strings.ToLower(name), ".", ",dc=")
}

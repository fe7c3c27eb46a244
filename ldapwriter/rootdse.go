package ldapwriter

import (
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

// rootDSE is what a controller says about itself (MS-ADTS 3.1.1.3.2), read once per connection; the clock with every use.
type rootDSE struct {
	namingContext string // defaultNamingContext, as the server wrote it
	hints         string // OID of the policy-hints control; empty: none
	domainScope   bool   // the domain-scope control is known
	// identities are the SIDs in the token of whom the connection is bound as (tokenGroups of the rootDSE); nil: not told.
	identities []string
	service    string // dsServiceName, the object of the controller's own settings
	forest     string // configurationNamingContext
	schema     string // schemaNamingContext
	invocation string // invocation id, under which the controller makes its own writes; empty: not readable
	// anchorNotIndexed: the schema says that mS-DS-ConsistencyGuid has no index.
	anchorNotIndexed bool
	// keyNumberStuck: msDS-KeyVersionNumber does not count, as dSHeuristics demands.
	keyNumberStuck bool
}

// readOnlyCapability is LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID (MS-ADTS 3.1.1.3.4.3.5): a read-only controller.
const readOnlyCapability = "1.2.840.113556.1.4.1920"

func greetingAttributes() []string {
	return []string{
		"defaultNamingContext", "configurationNamingContext", "schemaNamingContext", "dsServiceName", "supportedControl", "supportedCapabilities",
		"currentTime", "tokenGroups",
	}
}

func readRoot(e *ldap.Entry) rootDSE {
	root := rootDSE{
		namingContext: e.GetEqualFoldAttributeValue("defaultNamingContext"),
		hints:         policyHintsOIDOf(e.GetEqualFoldAttributeValues("supportedControl")),
		domainScope:   slices.Contains(e.GetEqualFoldAttributeValues("supportedControl"), domainScopeOID),
		service:       e.GetEqualFoldAttributeValue("dsServiceName"),
		forest:        e.GetEqualFoldAttributeValue("configurationNamingContext"),
		schema:        e.GetEqualFoldAttributeValue("schemaNamingContext"),
	}
	for _, raw := range e.GetEqualFoldRawAttributeValues("tokenGroups") {
		if sid, err := sidString(raw); err == nil {
			root.identities = append(root.identities, sid)
		}
	}
	return root
}

// clock is one look at a controller's clock.
type clock struct{ theirs, ours time.Time }

// offset is by how much the controller's clock is ahead of ours.
func (c clock) offset() time.Duration { return c.theirs.Sub(c.ours) }

// greet reads the rootDSE after a bind and checks that the controller serves the configured domain.
func (s *session) greet(ctx context.Context, domain string) (clock, error) {
	var entry *ldap.Entry
	err := s.do(ctx, func(conn *ldap.Conn) (err error) {
		entry, err = s.readOne(conn, "", "(objectClass=*)", greetingAttributes())
		return err
	})
	if err != nil {
		return clock{}, err
	}
	s.root = readRoot(entry)
	if slices.Contains(entry.GetEqualFoldAttributeValues("supportedCapabilities"), readOnlyCapability) {
		return clock{}, unfit(errors.New("the controller is read-only"),
			"List only writable controllers in domains[].controllers: a read-only one (RODC) takes no passwords.")
	}
	served, err := NormalizeDN(s.root.namingContext)
	if err != nil || served != domainDN(domain) {
		return clock{}, unfit(fmt.Errorf("the controller serves %q, not %s", s.root.namingContext, domain),
			"List only controllers of the domain itself in domains[].controllers, and name the domain by its DNS name.")
	}
	if err := s.introduce(ctx); err != nil {
		return clock{}, err
	}
	return readClock(entry)
}

// introduce reads what else the controller and the forest say about themselves, all at the same time. What may not be read is no failure:
// less is concluded then.
func (s *session) introduce(ctx context.Context) error {
	root := s.root
	return s.do(ctx, func(conn *ldap.Conn) error {
		var wg sync.WaitGroup
		var failures [3]error
		for i, each := range []struct {
			base, attribute string
			use             func(*ldap.Entry)
		}{
			{root.service, "invocationId", func(e *ldap.Entry) { root.invocation = invocationOf(e) }},
			{anchorSchema + root.schema, "searchFlags", func(e *ldap.Entry) { root.anchorNotIndexed = notIndexed(e) }},
			{directoryService + root.forest, "dSHeuristics", func(e *ldap.Entry) { root.keyNumberStuck = stuckKeyNumber(e) }},
		} {
			wg.Go(func() {
				failures[i] = contained(func() error { return s.aside(conn, each.base, each.attribute, each.use) })
			})
		}
		wg.Wait()
		s.root = root // not before: the reads ask s.root for their controls
		return errors.Join(failures[:]...)
	})
}

// Names of objects below the naming contexts that the rootDSE gives.
const (
	anchorSchema     = "CN=ms-DS-Consistency-Guid," // MS-ADA2, attribute mS-DS-ConsistencyGuid
	directoryService = "CN=Directory Service,CN=Windows NT,CN=Services,"
)

// aside reads one attribute of an object that may be missing or unreadable.
func (s *session) aside(conn *ldap.Conn, base, attribute string, use func(*ldap.Entry)) error {
	entry, err := s.readOne(conn, base, "(objectClass=*)", []string{attribute})
	if err == nil {
		use(entry)
	}
	if answered(err) || errors.Is(err, errReferral) {
		return nil
	}
	return err
}

func invocationOf(e *ldap.Entry) string {
	raw := e.GetEqualFoldRawAttributeValue("invocationId")
	if len(raw) != len(writeback.GUID{}) {
		return ""
	}
	return writeback.GUID(raw).String()
}

// indexFlag is fATTINDEX of searchFlags (MS-ADTS 2.2.10).
const indexFlag = 1

func notIndexed(e *ldap.Entry) bool {
	flags, readable, err := integer(e, "searchFlags")
	return err == nil && readable && flags&indexFlag == 0
}

// stuckKeyNumber reads fKVNOEmuW2K, the 17th character of dSHeuristics (MS-ADTS 6.1.1.2.4.1.2): unless it is 0, msDS-KeyVersionNumber is
// always 1, as on Windows 2000.
func stuckKeyNumber(e *ldap.Entry) bool {
	const position = 17
	heuristics := e.GetEqualFoldAttributeValue("dSHeuristics")
	return len(heuristics) >= position && heuristics[position-1] != '0'
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

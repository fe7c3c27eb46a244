package adtest

import (
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/password-writeback/writeback/ldapwriter"
)

// Scopes (RFC 4511 section 4.5.1.2).
const (
	scopeBase    = 0
	scopeOne     = 1
	scopeSubtree = 2
)

// searchRequest is a decoded one.
type searchRequest struct {
	base       string
	scope      int64
	sizeLimit  int64
	filter     *ber.Packet
	attributes []string // lower case; empty or "*": all stored ones
}

func decodeSearch(op *ber.Packet) (searchRequest, bool) {
	if len(op.Children) != 8 {
		return searchRequest{}, false
	}
	scope, ok := op.Children[1].Value.(int64)
	limit, ok2 := op.Children[3].Value.(int64)
	r := searchRequest{base: text(op.Children[0]), scope: scope, sizeLimit: limit, filter: op.Children[6]}
	for _, attribute := range op.Children[7].Children {
		r.attributes = append(r.attributes, strings.ToLower(text(attribute)))
	}
	return r, ok && ok2 && scope >= scopeBase && scope <= scopeSubtree
}

// search returns the bytes of all responses.
func (c *session) search(m *message) []byte {
	finish := func(a answer) []byte { return envelope(m.id, a.packet(opSearchDone)) }
	r, ok := decodeSearch(m.op)
	switch {
	case !ok:
		return finish(malformedRequest())
	case r.base == "" && r.scope == scopeBase:
		return append(envelope(m.id, entryPacket("", selected(c.rootDSE(), r.attributes))), finish(done())...)
	case c.bound == nil:
		return finish(notBound())
	}
	d := c.server.dir
	d.mu.RLock()
	defer d.mu.RUnlock()
	c.scan(r)
	base := d.find(r.base)
	if base == nil || base.hidden {
		if _, err := ldapwriter.NormalizeDN(r.base); err != nil && !strings.HasPrefix(r.base, "<") {
			return finish(badName())
		}
		return finish(noObject())
	}
	return c.matches(m, r, base)
}

// matches answers with the entries that match, up to the size limit.
func (c *session) matches(m *message, r searchRequest, base *entry) []byte {
	var response []byte
	found := int64(0)
	for _, e := range c.server.dir.within(base, r.scope) {
		if e.hidden {
			continue
		}
		attributes := e.stored()
		for _, hidden := range c.server.options.Unreadable {
			deleteFold(attributes, hidden)
		}
		if !matches(r.filter, attributes) {
			continue
		}
		if found++; r.sizeLimit > 0 && found > r.sizeLimit {
			return append(response, envelope(m.id, answer{sizeLimitExceeded, ""}.packet(opSearchDone))...)
		}
		if r.scope == scopeBase {
			c.addConstructed(attributes, e)
		}
		c.addDescriptor(m, r, attributes, e)
		response = append(response, envelope(m.id, entryPacket(e.dn, selected(attributes, r.attributes)))...)
	}
	if _, scoped := c.has(m, domainScope); !scoped && r.scope == scopeSubtree && base.dn == c.server.dir.base {
		response = append(response, envelope(m.id, c.reference())...)
	}
	return append(response, envelope(m.id, done().packet(opSearchDone))...)
}

func (c *session) addConstructed(attributes map[string][]string, e *entry) {
	for name, values := range c.server.dir.constructed(e, c.bound, c.server.options.Clock()) {
		attributes[name] = values
	}
	for _, hidden := range c.server.options.Unreadable {
		deleteFold(attributes, hidden)
	}
}

// addDescriptor shows the access control list to whoever names the attribute, if it is asked for alone: nobody here may read the rest
// (LDAP_SERVER_SD_FLAGS_OID, MS-ADTS 3.1.1.3.4.1.11).
func (c *session) addDescriptor(m *message, r searchRequest, attributes map[string][]string, e *entry) {
	flags, asked := c.has(m, descriptorFlags)
	if e.account == nil || !asked || string(flags.value) != "\x30\x03\x02\x01\x04" || !slices.Contains(r.attributes, "ntsecuritydescriptor") {
		return
	}
	attributes["nTSecurityDescriptor"] = []string{c.server.dir.descriptor(e, c.server.options.Unreadable)}
	for _, hidden := range c.server.options.Unreadable {
		deleteFold(attributes, hidden)
	}
}

func deleteFold(attributes map[string][]string, name string) {
	for key := range attributes {
		if strings.EqualFold(key, name) {
			delete(attributes, key)
		}
	}
}

// within returns the entries of a scope.
func (d *directory) within(base *entry, scope int64) []*entry {
	if scope == scopeBase {
		return []*entry{base}
	}
	var inside []*entry
	for _, e := range d.entries {
		above, below := strings.CutSuffix(e.key, ","+base.key)
		direct := below && !strings.Contains(above, ",") // an escaped comma too: nobody here searches one level
		if (scope == scopeSubtree && (below || e == base)) || (scope == scopeOne && direct) {
			inside = append(inside, e)
		}
	}
	return inside
}

// rootDSE is what the controller says about itself, to anybody.
func (c *session) rootDSE() map[string][]string {
	base := c.server.dir.base
	all := map[string][]string{
		"defaultNamingContext":    {base},
		"rootDomainNamingContext": {base},
		"namingContexts":          {base, "CN=Configuration," + base, "DC=DomainDnsZones," + base},
		"currentTime":             {generalizedTime(c.server.options.Clock())},
		"dnsHostName":             {c.server.options.Host + "." + c.server.dir.domain.Name},
		"supportedControl":        c.known(),
		"supportedLDAPVersion":    {"3"},
		"isGlobalCatalogReady":    {"TRUE"},

		"configurationNamingContext": {"CN=Configuration," + base},
		"schemaNamingContext":        {schemaOf(base)},
		"dsServiceName":              {c.server.options.settings(base)},
		"supportedCapabilities":      {activeDirectory},
	}
	if c.server.options.ReadOnly {
		all["supportedCapabilities"] = append(all["supportedCapabilities"], partialSecrets)
	}
	if c.bound != nil {
		for _, sid := range c.bound.token() {
			all["tokenGroups"] = append(all["tokenGroups"], binarySID(sid))
		}
	}
	return all
}

// Capabilities (MS-ADTS 3.1.1.3.4.3).
const (
	activeDirectory = "1.2.840.113556.1.4.800"
	partialSecrets  = "1.2.840.113556.1.4.1920" // a read-only controller
)

// reference points to an application partition below the domain, as every search from its root ends without domain scope.
func (c *session) reference() *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opSearchReference, nil, "")
	p.AppendChild(octets("ldap://DomainDnsZones." + c.server.dir.domain.Name + "/DC=DomainDnsZones," + c.server.dir.base))
	return p
}

// selected keeps the attributes that were asked for. Values of attributes come in a fixed order, names sorted.
func selected(attributes map[string][]string, wanted []string) map[string][]string {
	if len(wanted) == 0 || slices.Contains(wanted, "*") {
		return attributes
	}
	kept := make(map[string][]string, len(wanted))
	for name, values := range attributes {
		if slices.Contains(wanted, strings.ToLower(name)) {
			kept[name] = values
		}
	}
	return kept
}

func entryPacket(dn string, attributes map[string][]string) *ber.Packet {
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	for name, values := range attributes {
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, value := range values {
			set.AppendChild(octets(value))
		}
		attribute := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
		attribute.AppendChild(octets(name))
		attribute.AppendChild(set)
		list.AppendChild(attribute)
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opSearchEntry, nil, "")
	p.AppendChild(octets(dn))
	p.AppendChild(list)
	return p
}

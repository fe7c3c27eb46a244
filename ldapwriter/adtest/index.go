package adtest

import (
	"crypto/sha256"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/password-writeback/writeback/internal/writeback"
)

// indexed reports whether a filter can be answered from an index that narrows it down. objectCategory has one too, but it holds everybody.
func (d *directory) indexed(f *ber.Packet) bool {
	switch f.Tag {
	case filterAnd:
		for _, part := range f.Children {
			if d.indexed(part) {
				return true
			}
		}
		return false
	case filterOr:
		for _, part := range f.Children {
			if !d.indexed(part) {
				return false
			}
		}
		return true
	case filterEqual:
		return len(f.Children) == 2 && d.hasIndex(text(f.Children[0]))
	}
	return false
}

// hasIndex knows the attributes whose searchFlags have fATTINDEX in the schema (MS-ADA1 to MS-ADA3).
func (d *directory) hasIndex(attribute string) bool {
	switch strings.ToLower(attribute) {
	case "objectguid", "objectsid", "samaccountname", "userprincipalname", "mail", "displayname", "cn":
		return true
	case "ms-ds-consistencyguid":
		return d.domain.AnchorIndexed
	}
	return false
}

// scan counts a search that has to look at every entry, and makes it slow.
func (c *session) scan(r searchRequest) {
	if r.scope == scopeBase || c.server.dir.indexed(r.filter) {
		return
	}
	c.server.scans.Add(1)
	if c.server.options.ScanDelay > 0 {
		c.pause(c.server.options.ScanDelay, nil)
	}
}

// Scans returns how many searches since the start could use no index.
func (s *Server) Scans() int { return int(s.scans.Load()) }

// addConfiguration adds what the forest and the controller say about themselves.
func (d *directory) addConfiguration(now time.Time) error {
	for _, object := range []struct {
		dn, class, attribute, value string
	}{
		{"CN=ms-DS-Consistency-Guid," + schemaOf(d.base), "attributeSchema", "searchFlags", anchorFlags(d.domain.AnchorIndexed)},
		{"CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration," + d.base, "nTDSService", "dSHeuristics", d.domain.Heuristics},
	} {
		e, err := d.addEntry(object.dn, "", now, "top", object.class)
		if err != nil {
			return err
		}
		if object.value != "" {
			e.set(object.attribute, object.value)
		}
	}
	return nil
}

// addController adds a controller's own object, with the id it writes under.
func (d *directory) addController(dn string, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.find(dn) != nil {
		return nil // two of one name are one that was started again
	}
	e, err := d.addEntry(dn, "", now, "top", "nTDSDSA")
	if err != nil {
		return err
	}
	id := invocationOf(dn)
	e.set("invocationId", string(id[:]))
	return nil
}

// invocationOf makes the invocation id of a controller of its name: fixtures may hard-code it.
func invocationOf(settings string) writeback.GUID {
	digest := sha256.Sum256([]byte("invocation of " + settings))
	return writeback.GUID(digest[:16])
}

func anchorFlags(indexed bool) string {
	if indexed {
		return "1"
	}
	return "0"
}

func schemaOf(base string) string { return "CN=Schema,CN=Configuration," + base }

func settingsOf(base string) string {
	return "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + base
}

package config

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// controllers checks where a domain's controllers are and what they must present.
func (c checker) controllers(path string, d *Domain) {
	list := member(path, "controllers")
	switch {
	case d.Discovery.Enabled && len(d.Controllers) > 0:
		c.add(list, "listed, and to be discovered too", "Remove the list, or write discovery.enabled: false.")
	case !d.Discovery.Enabled && len(d.Controllers) == 0:
		c.missing(list, "Name at least one domain controller, or write discovery.enabled: true.")
	}
	for i, controller := range d.Controllers {
		if problem, remedy := controllerProblem(controller, d.Transport); problem != "" {
			c.add(element(list, i), problem, remedy)
		}
	}
	unique(c, list, "", d.Controllers, strings.ToLower)
	c.discovery(member(path, "discovery"), d.Discovery)
	oneOf(c, member(path, "transport"), d.Transport, TransportLDAPS, TransportStartTLS)
	c.pins(member(path, "pins"), d.Pins)
}

func (c checker) discovery(path string, d Discovery) {
	if d.Site != "" && !siteRule().matches(d.Site) {
		c.add(member(path, "site"), "not the name of a site", siteRule().means)
	}
	servers := member(path, "dns_servers")
	for i, server := range d.DNSServers {
		_, plain := netip.ParseAddr(strings.Trim(server, "[]"))
		_, withPort := netip.ParseAddrPort(server)
		if plain != nil && withPort != nil {
			c.add(element(servers, i), "not an IP address", "Write the DNS server's address, with or without :port; a name would need another server to look it up.")
		}
	}
	unique(c, servers, "", d.DNSServers, strings.ToLower)
}

// siteRule is that of one label of a DNS name: sites are part of the names that are looked up.
func siteRule() rule {
	return rule{
		regexp.MustCompile(`^[\pL\pN_]([\pL\pN_-]{0,61}[\pL\pN_])?$`),
		"Write the site as Active Directory Sites and Services shows it: up to 63 letters, digits, hyphens and underscores.",
	}
}

func (c checker) pins(path string, pins []string) {
	for i, pin := range pins {
		encoded, prefixed := strings.CutPrefix(pin, "sha256/")
		digest, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !prefixed || err != nil || len(digest) != sha256.Size {
			c.add(element(path, i), "not a pin", "Write sha256/ and the base64 of the SHA-256 of the certificate's public key; docs/operations.md shows how to compute it.")
		}
	}
	unique(c, path, "", pins, func(pin string) string { return pin })
}

// suffixes checks that a UPN's suffix leads to one domain: neither another's suffix nor another's name, which is a suffix there by nature.
func (c checker) suffixes(domains []Domain) {
	seen := map[string]string{}
	for i, d := range domains {
		path := member(element("domains", i), "upn_suffixes")
		for j, suffix := range d.UPNSuffixes {
			where, key := element(path, j), strings.ToLower(suffix)
			c.name(where, suffix, dnsRule())
			if first, repeated := seen[key]; repeated {
				c.add(where, "the same as "+first, "Remove or correct one of them.")
				continue
			}
			seen[key] = where
			at := slices.IndexFunc(domains, func(other Domain) bool { return strings.EqualFold(other.Name, suffix) })
			if at >= 0 && at != i {
				c.add(where, "the name of "+element("domains", at), "Remove it: that domain's users have it too, and would not be looked for.")
			}
		}
	}
}

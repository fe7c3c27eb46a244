package config

import (
	"regexp"
	"strings"
)

// domainDN returns the distinguished name of a domain (RFC 2247): DC=corp,DC=example,DC=com.
func domainDN(dnsName string) string {
	return "DC=" + strings.ReplaceAll(dnsName, ".", ",DC=")
}

// splitDN cuts a distinguished name (RFC 4514) into its parts, in lower case and without spaces around them. It only serves to
// find mistakes; the names are normalised for comparisons by ldapwriter. ok is false where the text is no name.
func splitDN(name string) (parts []string, ok bool) {
	attribute := regexp.MustCompile(`^([a-z][a-z0-9-]*|[0-9]+(\.[0-9]+)+)$`)
	for _, part := range cutUnescaped(name) {
		kind, value, found := strings.Cut(part, "=")
		kind, value = strings.ToLower(strings.TrimSpace(kind)), strings.ToLower(strings.TrimSpace(value))
		if !found || value == "" || !attribute.MatchString(kind) {
			return nil, false
		}
		parts = append(parts, kind+"="+value)
	}
	return parts, true
}

// cutUnescaped cuts at the commas that no backslash precedes.
func cutUnescaped(name string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case ',':
			parts = append(parts, name[start:i])
			start = i + 1
		}
	}
	return append(parts, name[start:])
}

// isBelow reports whether the parts of a name end in those of another, or are equal to them.
func isBelow(parts, base []string) bool {
	if len(parts) < len(base) {
		return false
	}
	for i, part := range base {
		if parts[len(parts)-len(base)+i] != part {
			return false
		}
	}
	return true
}

package ldapwriter

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDNLength bounds what NormalizeDN reads, in bytes. AD limits a name to 255 components of 255 characters; no real one
// comes near this.
const maxDNLength = 16 << 10

// NormalizeDN returns a form of the distinguished name s in which equal names are equal strings, to compare scopes with
// accounts. It is not meant to be sent to a server: see trap "DNs" in the documentation of go-ldap's ParseDN(...).String().
//
// Reading follows RFC 4514: special characters must be escaped, as \c or \XX; hex escapes are bytes of UTF-8. Unescaped
// spaces around a separator carry no meaning (RFC 2253 section 4). The #hex form of a value and empty values are refused.
//
// In the result attribute types are lower case, well-known OIDs are names, values are folded by Unicode simple case
// folding and escaped in one way, and the parts of a multi-valued RDN are sorted. Nothing else is equated: not
// accents, not composed with decomposed characters, although AD may find such names equal. An allow rule therefore
// matches too little rather than too much.
func NormalizeDN(s string) (string, error) {
	rdns, err := splitDN(s)
	if err != nil {
		return "", fmt.Errorf("not a distinguished name: %w", err)
	}
	return strings.Join(rdns, ","), nil
}

// Ancestors returns the normalised names of everything above the object named s, nearest first.
func Ancestors(s string) ([]string, error) {
	rdns, err := splitDN(s)
	if err != nil {
		return nil, fmt.Errorf("not a distinguished name: %w", err)
	}
	var above []string
	for i := 1; i < len(rdns); i++ {
		above = append(above, strings.Join(rdns[i:], ","))
	}
	return above, nil
}

// splitDN returns the normalised RDNs of s.
func splitDN(s string) ([]string, error) {
	switch {
	case len(s) > maxDNLength:
		return nil, fmt.Errorf("longer than %d bytes", maxDNLength)
	case !utf8.ValidString(s):
		return nil, errors.New("not UTF-8")
	case strings.TrimSpace(s) == "":
		return nil, errors.New("empty")
	}
	p := dnParser{rest: s}
	var rdns, parts []string
	for {
		part, err := p.attribute()
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		separator := p.next()
		if separator == '+' {
			continue
		}
		slices.Sort(parts)
		rdns = append(rdns, strings.Join(slices.Compact(parts), "+"))
		parts = nil
		if separator == 0 {
			return rdns, nil
		}
	}
}

// dnParser reads one attribute type and value after the other.
type dnParser struct{ rest string }

// next takes the separator that ended the last value: ',' or '+', or 0 at the end.
func (p *dnParser) next() byte {
	if p.rest == "" {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *dnParser) attribute() (string, error) {
	name, rest, found := strings.Cut(p.rest, "=")
	if !found {
		return "", errors.New("a component without =")
	}
	p.rest = strings.TrimLeft(rest, " ")
	name = strings.ToLower(strings.Trim(name, " "))
	if !validAttributeType(name) {
		return "", fmt.Errorf("%q is not an attribute type", name)
	}
	value, err := p.value()
	if err != nil {
		return "", fmt.Errorf("value of %s: %w", name, err)
	}
	return shortName(name) + "=" + escapeValue(fold(value)), nil
}

// value reads up to the next unescaped separator.
func (p *dnParser) value() (string, error) {
	if strings.HasPrefix(p.rest, "#") {
		return "", errors.New("the #hex form is not accepted")
	}
	var value []byte
	kept := 0 // length up to the last byte that is not an unescaped space
	for p.rest != "" && p.rest[0] != ',' && p.rest[0] != '+' {
		c := p.rest[0]
		switch {
		case c == '\\':
			decoded, width, err := unescape(p.rest)
			if err != nil {
				return "", err
			}
			value = append(value, decoded)
			kept = len(value)
			p.rest = p.rest[width:]
			continue
		case strings.IndexByte("\";<>\x00", c) >= 0:
			return "", fmt.Errorf("%q must be escaped", c)
		}
		value = append(value, c)
		if c != ' ' {
			kept = len(value)
		}
		p.rest = p.rest[1:]
	}
	value = value[:kept]
	switch {
	case len(value) == 0:
		return "", errors.New("empty")
	case !utf8.Valid(value):
		return "", errors.New("not UTF-8")
	}
	return string(value), nil
}

// unescape decodes the escape s begins with and returns its width in s.
func unescape(s string) (decoded byte, width int, err error) {
	if len(s) >= 2 && strings.IndexByte(` "#+,;<=>\`, s[1]) >= 0 {
		return s[1], 2, nil
	}
	if len(s) >= 3 {
		var b [1]byte
		if _, err := hex.Decode(b[:], []byte(s[1:3])); err == nil {
			return b[0], 3, nil
		}
	}
	return 0, 0, errors.New("a backslash must stand before a special character or two hex digits")
}

// validAttributeType accepts a descriptor or a numeric OID (RFC 4512 section 1.4).
func validAttributeType(name string) bool {
	if name == "" {
		return false
	}
	if name[0] >= '0' && name[0] <= '9' {
		return strings.Trim(name, "0123456789.") == "" && !strings.Contains(name, "..") && !strings.HasSuffix(name, ".")
	}
	return name[0] >= 'a' && name[0] <= 'z' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// shortName turns the OIDs of the types AD names objects with into their names (RFC 4514 section 3).
func shortName(name string) string {
	switch name {
	case "2.5.4.3", "commonname":
		return "cn"
	case "2.5.4.10", "organizationname":
		return "o"
	case "2.5.4.11", "organizationalunitname":
		return "ou"
	case "0.9.2342.19200300.100.1.25", "domaincomponent":
		return "dc"
	}
	return name
}

// fold maps each rune to the smallest rune it is equal to under Unicode simple case folding, as strings.EqualFold compares.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r
		}
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		smallest := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			if next < smallest {
				smallest = next
			}
		}
		if 'A' <= smallest && smallest <= 'Z' {
			return smallest + ('a' - 'A')
		}
		return smallest
	}, s)
}

// escapeValue writes a value in the one way the normal form knows.
func escapeValue(value string) string {
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		edge := i == 0 || i == len(value)-1
		switch {
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%02x`, c)
		case strings.IndexByte(`"+,;<=>\`, c) >= 0, c == '#' && i == 0, c == ' ' && edge:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

package adtest

import (
	"strconv"
	"strings"
	"unicode"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Filter choices (RFC 4511 section 4.5.1): context tags.
const (
	filterAnd = iota
	filterOr
	filterNot
	filterEqual
	filterSubstrings
	filterGreater
	filterLess
	filterPresent
	filterApprox
	filterExtensible
)

// Bitwise matching rules (MS-ADTS 3.1.1.3.4.4).
const (
	ruleBitAnd = "1.2.840.113556.1.4.803"
	ruleBitOr  = "1.2.840.113556.1.4.804"
)

// matches evaluates a filter. What is not understood matches nothing, as Undefined does (RFC 4511 section 4.5.1.7).
func matches(f *ber.Packet, attributes map[string][]string) bool {
	switch f.Tag {
	case filterAnd:
		for _, part := range f.Children {
			if !matches(part, attributes) {
				return false
			}
		}
		return true
	case filterOr:
		for _, part := range f.Children {
			if matches(part, attributes) {
				return true
			}
		}
		return false
	case filterNot:
		return len(f.Children) == 1 && !matches(f.Children[0], attributes)
	case filterPresent:
		return len(valuesOf(attributes, text(f))) > 0 || strings.EqualFold(text(f), "objectClass")
	case filterExtensible:
		return extensible(f, attributes)
	}
	return compares(f, attributes)
}

// compares evaluates a filter of one attribute and one assertion.
func compares(f *ber.Packet, attributes map[string][]string) bool {
	if len(f.Children) != 2 {
		return false
	}
	name := text(f.Children[0])
	for _, value := range valuesOf(attributes, name) {
		switch f.Tag {
		case filterEqual, filterApprox:
			if equal(name, value, text(f.Children[1])) {
				return true
			}
		case filterSubstrings:
			if substrings(f.Children[1], strings.ToLower(value)) {
				return true
			}
		case filterGreater, filterLess:
			have, err := strconv.ParseInt(value, 10, 64)
			want, err2 := strconv.ParseInt(text(f.Children[1]), 10, 64)
			if err == nil && err2 == nil && ((f.Tag == filterGreater && have >= want) || (f.Tag == filterLess && have <= want)) {
				return true
			}
		}
	}
	return false
}

func valuesOf(attributes map[string][]string, name string) []string {
	for key, values := range attributes {
		if strings.EqualFold(key, name) {
			return values
		}
	}
	return nil
}

// equal compares by the attribute's syntax: octets exactly, text in either case, a category also by its short name.
func equal(name, value, asserted string) bool {
	switch strings.ToLower(name) {
	case "objectguid", "objectsid", "ms-ds-consistencyguid", "replpropertymetadata":
		return value == asserted
	case "objectcategory":
		category, _, _ := strings.Cut(value, ",")
		return strings.EqualFold(value, asserted) || strings.EqualFold(category, "CN="+asserted)
	}
	return loose(value) == loose(asserted)
}

// loose is a text as Windows compares it: case, diacritical marks and width do not count (MS-ADTS 6.5; seen in Samba's bug 14847, where
// "björn" finds "bjorn"). Only the letters that tests use are here.
func loose(text string) string {
	return strings.Map(func(r rune) rune {
		r = unicode.ToLower(r)
		switch plain, marked := plainLetters()[r]; {
		case marked:
			return plain
		case unicode.Is(unicode.Mn, r):
			return -1
		case r >= '！' && r <= '～': // the wide forms of ASCII
			return r - '！' + '!'
		}
		return r
	}, text)
}

func plainLetters() map[rune]rune {
	return map[rune]rune{'à': 'a', 'á': 'a', 'ä': 'a', 'é': 'e', 'ö': 'o', 'ø': 'o', 'ü': 'u', 'ı': 'i'}
}

// substrings matches initial, any and final pieces in order.
func substrings(pieces *ber.Packet, value string) bool {
	for _, piece := range pieces.Children {
		want := strings.ToLower(text(piece))
		switch piece.Tag {
		case 0:
			if !strings.HasPrefix(value, want) {
				return false
			}
			value = value[len(want):]
		case 1:
			_, rest, found := strings.Cut(value, want)
			if !found {
				return false
			}
			value = rest
		default:
			return strings.HasSuffix(value, want)
		}
	}
	return true
}

// extensible knows AD's bitwise rules.
func extensible(f *ber.Packet, attributes map[string][]string) bool {
	var rule, name, asserted string
	for _, part := range f.Children {
		switch part.Tag {
		case 1:
			rule = text(part)
		case 2:
			name = text(part)
		case 3:
			asserted = text(part)
		}
	}
	mask, err := strconv.ParseInt(asserted, 10, 64)
	if err != nil || (rule != ruleBitAnd && rule != ruleBitOr) {
		return false
	}
	for _, value := range valuesOf(attributes, name) {
		n, err := strconv.ParseInt(value, 10, 64)
		if err == nil && ((rule == ruleBitAnd && n&mask == mask) || (rule == ruleBitOr && n&mask != 0)) {
			return true
		}
	}
	return false
}

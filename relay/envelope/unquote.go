package envelope

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote decodes a JSON string into bytes the caller owns. They are allocated once, at the full length of the text, which decoding
// never exceeds: nothing grows, so no half-decoded copy of a password stays behind.
func unquote(quoted rawValue) ([]byte, error) {
	if len(quoted) < 2 || quoted[0] != '"' {
		return nil, errSyntax
	}
	text := quoted[1 : len(quoted)-1]
	decoded := make([]byte, 0, len(text))
	for len(text) > 0 {
		plain := bytes.IndexByte(text, '\\')
		if plain < 0 {
			return append(decoded, text...), nil
		}
		decoded = append(decoded, text[:plain]...)
		r, size, err := unescape(text[plain:])
		if err != nil {
			clear(decoded)
			return nil, err
		}
		decoded = utf8.AppendRune(decoded, r)
		text = text[plain+size:]
	}
	return decoded, nil
}

// unescape decodes the escape sequence that text begins with and returns how long it is.
func unescape(text []byte) (r rune, size int, err error) {
	if len(text) < 2 {
		return 0, 0, errSyntax
	}
	switch text[1] {
	case '"', '\\', '/':
		return rune(text[1]), 2, nil
	case 'b':
		return '\b', 2, nil
	case 'f':
		return '\f', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'u':
		return unescapeUnicode(text)
	}
	return 0, 0, errSyntax
}

// escapeSize returns how long the escape sequence is that text begins with; 0 where JSON has no such.
func escapeSize(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	}
	if _, ok := hexUnit(text); ok {
		return 6
	}
	return 0
}

// unescapeUnicode decodes \uXXXX, or two of them that make a surrogate pair.
func unescapeUnicode(text []byte) (r rune, size int, err error) {
	first, ok := hexUnit(text)
	if !ok {
		return 0, 0, errSyntax
	}
	if !utf16.IsSurrogate(first) {
		return first, 6, nil
	}
	second, ok := hexUnit(text[6:])
	if !ok {
		return 0, 0, errSurrogate
	}
	pair := utf16.DecodeRune(first, second)
	if pair == utf8.RuneError {
		return 0, 0, errSurrogate
	}
	return pair, 12, nil
}

// hexUnit reads the UTF-16 unit of a \uXXXX that text begins with.
func hexUnit(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	var unit rune
	for _, c := range text[2:6] {
		digit, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		unit = unit<<4 | digit
	}
	return unit, true
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case isDigit(c):
		return rune(c - '0'), true
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// appendQuoted appends text as a JSON string. It is the inverse of unquote, for bytes that must not become a Go string; a text of n
// bytes takes at most 6n+2.
func appendQuoted(to, text []byte) []byte {
	const hexDigits = "0123456789abcdef"
	to = append(to, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			to = append(to, '\\', c)
		case c < 0x20:
			to = append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		default:
			to = append(to, c)
		}
	}
	return append(to, '"')
}

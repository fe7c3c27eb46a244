package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Bounds of the JSON reader: no token of the protocol comes near them.
const (
	maxDepth    = 6
	maxElements = 64 // members of an object, elements of an array
	// usualMembers is room for all members of most objects of the protocol.
	usualMembers = 12
)

// faults of the JSON reader. None of them quotes the input, which may be a decrypted password.
var (
	errNotUTF8     = errors.New("not valid UTF-8")
	errSyntax      = errors.New("not valid JSON")
	errTrailing    = errors.New("data after the JSON object")
	errDuplicate   = errors.New("a JSON member stands twice")
	errTooDeep     = errors.New("JSON nested too deeply")
	errTooMany     = fmt.Errorf("more than %d members or elements", maxElements)
	errNotAnObject = errors.New("not a JSON object")
	errSurrogate   = errors.New("a JSON string holds half of a surrogate pair")
)

// rawValue is one JSON value whose syntax was checked. It aliases the text it was read from.
type rawValue []byte

// member is one name and value of an object.
type member struct {
	name  string
	value rawValue
}

// object holds an object's members in the order of the text; no name stands twice.
type object []member

// get returns the value of a member.
func (o object) get(name string) (rawValue, bool) {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

// stranger returns the first name that is not among the known ones.
func (o object) stranger(known ...string) (string, bool) {
	i := slices.IndexFunc(o, func(m member) bool { return !slices.Contains(known, m.name) })
	if i < 0 {
		return "", false
	}
	return o[i].name, true
}

// parseObject reads a text that is one JSON object (RFC 8259). encoding/json is not used because it takes the last of two members of one
// name, matches names in any case, replaces invalid UTF-8, and hands strings out only as Go strings, which cannot be zeroed.
func parseObject(text []byte) (object, error) {
	if !utf8.Valid(text) {
		return nil, errNotUTF8
	}
	s := scanner{text: text}
	s.space()
	if s.peek() != '{' {
		return nil, errNotAnObject
	}
	members, err := s.object(1)
	if err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(text) {
		return nil, errTrailing
	}
	return members, nil
}

// scanner walks over a JSON text and checks it.
type scanner struct {
	text []byte
	pos  int
}

// peek returns the next byte, 0 at the end: NUL is no valid byte of JSON syntax.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.text) && isSpace(s.text[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// take consumes c after white space.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// object reads from the opening brace to the closing one.
func (s *scanner) object(depth int) (object, error) {
	s.pos++
	if s.take('}') {
		return nil, nil
	}
	members := make(object, 0, usualMembers)
	for {
		m, err := s.member(depth)
		if err != nil {
			return nil, err
		}
		if _, twice := members.get(m.name); twice {
			return nil, errDuplicate
		}
		if members = append(members, m); len(members) > maxElements {
			return nil, errTooMany
		}
		if s.take('}') {
			return members, nil
		}
		if !s.take(',') {
			return nil, errSyntax
		}
	}
}

func (s *scanner) member(depth int) (member, error) {
	s.space()
	quoted, err := s.quoted()
	if err != nil {
		return member{}, err
	}
	name, err := unquote(quoted)
	if err != nil {
		return member{}, err
	}
	if !s.take(':') {
		return member{}, errSyntax
	}
	value, err := s.value(depth)
	return member{name: string(name), value: value}, err
}

// value reads any value, checks it to its depths and returns its text.
func (s *scanner) value(depth int) (rawValue, error) {
	s.space()
	start := s.pos
	var err error
	switch c := s.peek(); {
	case c == '{':
		if depth >= maxDepth {
			return nil, errTooDeep
		}
		_, err = s.object(depth + 1)
	case c == '[':
		_, err = s.array(depth)
	case c == '"':
		_, err = s.quoted()
	case c == '-' || isDigit(c):
		err = s.number()
	default:
		err = s.literal()
	}
	if err != nil {
		return nil, err
	}
	return s.text[start:s.pos], nil
}

// array reads from the opening bracket to the closing one.
func (s *scanner) array(depth int) ([]rawValue, error) {
	if depth >= maxDepth {
		return nil, errTooDeep
	}
	s.pos++
	var elements []rawValue
	if s.take(']') {
		return elements, nil
	}
	for {
		element, err := s.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if elements = append(elements, element); len(elements) > maxElements {
			return nil, errTooMany
		}
		if s.take(']') {
			return elements, nil
		}
		if !s.take(',') {
			return nil, errSyntax
		}
	}
}

func (s *scanner) literal() error {
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	return errSyntax
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return errSyntax
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return errSyntax
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return errSyntax
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// quoted reads a string and returns it with its quotes. Its escapes are checked here, so that a text nobody decodes is JSON, too; whether halves of
// surrogate pairs match is not a question of syntax, and left to unquote.
func (s *scanner) quoted() (rawValue, error) {
	start := s.pos
	if s.peek() != '"' {
		return nil, errSyntax
	}
	s.pos++
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return s.text[start:s.pos], nil
		case c < 0x20:
			return nil, errSyntax
		case c == '\\':
			size := escapeSize(s.text[s.pos:])
			if size == 0 {
				return nil, errSyntax
			}
			s.pos += size
		default:
			s.pos++
		}
	}
	return nil, errSyntax
}

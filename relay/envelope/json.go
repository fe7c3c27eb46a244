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
	// usualElements is room for all elements of most arrays.
	usualElements = 4
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
	errNotAnArray  = errors.New("is not an array")
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
	s := scanner{text: text, open: make(object, 0, usualMembers)}
	s.space()
	if s.peek() != '{' {
		return nil, errNotAnObject
	}
	if err := s.object(1); err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(text) {
		return nil, errTrailing
	}
	return s.open, nil
}

// parseArray reads the elements of a text that is one JSON array, whose syntax was checked.
func parseArray(text rawValue) ([]rawValue, error) {
	if len(text) == 0 || text[0] != '[' {
		return nil, errNotAnArray
	}
	s := scanner{text: text}
	elements := make([]rawValue, 0, usualElements)
	err := s.array(1, func(element rawValue) { elements = append(elements, element) })
	return elements, err
}

// scanner walks over a JSON text and checks it.
type scanner struct {
	text []byte
	pos  int
	// open holds the members of all objects that are open, one object behind the other, and at the end those of the outermost one. One list
	// serves the whole text: a hostile one of many small objects takes no more memory than its depth allows.
	open object
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

// object reads from the opening brace to the closing one, and leaves the members at the end of open.
func (s *scanner) object(depth int) error {
	s.pos++
	if s.take('}') {
		return nil
	}
	first := len(s.open)
	for {
		m, err := s.member(depth)
		if err != nil {
			return err
		}
		if _, twice := s.open[first:].get(m.name); twice {
			return errDuplicate
		}
		if s.open = append(s.open, m); len(s.open)-first > maxElements {
			return errTooMany
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
	}
}

func (s *scanner) member(depth int) (member, error) {
	s.space()
	quoted, err := s.quoted()
	if err != nil {
		return member{}, err
	}
	name, err := memberName(quoted)
	if err != nil {
		return member{}, err
	}
	if !s.take(':') {
		return member{}, errSyntax
	}
	value, err := s.value(depth)
	return member{name: name, value: value}, err
}

// memberName decodes a name, in most cases without a copy in between.
func memberName(quoted rawValue) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	name, err := unquote(quoted)
	return string(name), err
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
		err = s.nested(depth + 1)
	case c == '[':
		err = s.array(depth, func(rawValue) {})
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

// nested checks an object inside another value, and forgets its members.
func (s *scanner) nested(depth int) error {
	outer := len(s.open)
	err := s.object(depth)
	s.open = s.open[:outer]
	return err
}

// array reads from the opening bracket to the closing one, and hands out the elements.
func (s *scanner) array(depth int, found func(element rawValue)) error {
	if depth >= maxDepth {
		return errTooDeep
	}
	s.pos++
	if s.take(']') {
		return nil
	}
	for count := 1; ; count++ {
		element, err := s.value(depth + 1)
		if err != nil {
			return err
		}
		if count > maxElements {
			return errTooMany
		}
		found(element)
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
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

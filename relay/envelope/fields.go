package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode"

	"github.com/password-writeback/writeback/internal/secret"
)

// fields reads an object's members by name and type. The first fault stays, and what is read after it is zero, so that a list of
// members reads as a list; whoever reads looks at fault once, at the end.
type fields struct {
	members object
	fault   error
}

// errMissing is the fault of a member that must be there.
var errMissing = errors.New("is missing")

// fail keeps the first fault, with the name of the member it is about.
func (f *fields) fail(name string, err error) {
	if f.fault == nil {
		f.fault = fmt.Errorf("%s: %w", name, err)
	}
}

// has reports whether the member is there.
func (f *fields) has(name string) bool {
	_, ok := f.members.get(name)
	return ok
}

// value returns a member that must be there.
func (f *fields) value(name string) (rawValue, bool) {
	value, ok := f.members.get(name)
	if !ok {
		f.fail(name, errMissing)
	}
	return value, ok
}

// text reads a string whose form is checked.
func (f *fields) text(name string, form form) string {
	value, ok := f.value(name)
	if !ok {
		return ""
	}
	text, err := form.read(value)
	if err != nil {
		f.fail(name, err)
		return ""
	}
	return text
}

// seconds reads a whole number of seconds since 1970.
func (f *fields) seconds(name string) time.Time {
	value, ok := f.value(name)
	if !ok {
		return time.Time{}
	}
	number, err := whole(value)
	if err != nil {
		f.fail(name, err)
		return time.Time{}
	}
	return time.Unix(number, 0)
}

// optionalSeconds is seconds for a member that may be absent: the zero time.
func (f *fields) optionalSeconds(name string) time.Time {
	if !f.has(name) {
		return time.Time{}
	}
	return f.seconds(name)
}

// boolean reads true or false, or the default where the member is absent.
func (f *fields) boolean(name string, absent bool) bool {
	value, ok := f.members.get(name)
	switch {
	case !ok:
		return absent
	case string(value) == "true":
		return true
	case string(value) == "false":
		return false
	}
	f.fail(name, errors.New("is not true or false"))
	return false
}

// secret reads a string of at most limit bytes straight into a secret.
func (f *fields) secret(name string, limit int) secret.Value {
	value, ok := f.value(name)
	if !ok {
		return secret.Value{}
	}
	decoded, err := unquote(value)
	if err == nil && len(decoded) > limit {
		clear(decoded)
		err = fmt.Errorf("is longer than %d bytes", limit)
	}
	if err != nil {
		f.fail(name, err)
		return secret.Value{}
	}
	return secret.New(decoded)
}

// object reads a nested object.
func (f *fields) object(name string) *fields {
	value, ok := f.value(name)
	if !ok {
		return &fields{}
	}
	nested, err := parseObject(value)
	if err != nil {
		f.fail(name, err)
	}
	return &fields{members: nested}
}

// texts reads an array of one to limit different strings; nil where the member is absent.
func (f *fields) texts(name string, limit int, form form) []string {
	value, ok := f.members.get(name)
	if !ok {
		return nil
	}
	texts, err := readTexts(value, limit, form)
	if err != nil {
		f.fail(name, err)
		return nil
	}
	return texts
}

func readTexts(value rawValue, limit int, form form) ([]string, error) {
	elements, err := parseArray(value)
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 || len(elements) > limit {
		return nil, fmt.Errorf("does not hold 1 to %d strings", limit)
	}
	seen := make(map[string]bool, len(elements))
	texts := make([]string, 0, len(elements))
	for _, element := range elements {
		text, err := form.read(element)
		if err != nil {
			return nil, err
		}
		if seen[text] {
			return nil, errors.New("holds a string twice")
		}
		seen[text] = true
		texts = append(texts, text)
	}
	return texts, nil
}

// latestSecond is the end of the year 9999: later times have no RFC 3339 form, and sums with them overflow durations.
const latestSecond = 253402300799

// whole reads a whole, non-negative number without fraction or exponent.
func whole(value rawValue) (int64, error) {
	number, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || number < 0 || number > latestSecond || value[0] == '-' {
		return 0, errors.New("is not a whole number in range")
	}
	return number, nil
}

// form is what a string must look like: its length in bytes and the characters it may hold.
type form struct {
	min, max int
	allowed  func(text string) bool
}

// The forms of the protocol's strings.
func idForm() form         { return form{22, 64, areURLSafe} }             // at least 128 bits of base64url
func thumbprintForm() form { return form{43, 43, areURLSafe} }             // RFC 7638 with SHA-256
func nameForm() form       { return form{1, 128, areOfNames} }             // issuers, groups, agents, operations
func methodForm() form     { return form{1, 32, areOfNames} }              // RFC 8176 values and our own
func operatorForm() form   { return form{1, 256, arePrintable} }           // opaque ids of operators
func userForm() form       { return form{1, 1024, arePrintable} }          // however the directory names users
func tokenForm() form      { return form{1, maxSealedEntry, areOfTokens} } // a compact JWE

// The loops stand apart for each kind of character: a token is kilobytes long, and a call for each of them would be felt.

func areURLSafe(text string) bool {
	for i := range len(text) {
		if !isURLSafe(text[i]) {
			return false
		}
	}
	return true
}

func areOfTokens(text string) bool {
	for i := range len(text) {
		if c := text[i]; !isURLSafe(c) && c != '.' {
			return false
		}
	}
	return true
}

func areOfNames(text string) bool {
	for i := range len(text) {
		if c := text[i]; !isURLSafe(c) && c != '.' && c != ':' && c != '/' && c != '+' {
			return false
		}
	}
	return true
}

func arePrintable(text string) bool {
	for _, r := range text {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func isURLSafe(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// read decodes a JSON string and checks its form.
func (m form) read(value rawValue) (string, error) {
	if value[0] != '"' {
		return "", errors.New("is not a string")
	}
	if bytes.IndexByte(value, '\\') < 0 { // the usual case, without a copy in between
		text := string(value[1 : len(value)-1])
		return text, m.check(text)
	}
	decoded, err := unquote(value)
	if err != nil {
		return "", err
	}
	text := string(decoded)
	return text, m.check(text)
}

// check judges a string by its form.
func (m form) check(text string) error {
	if len(text) < m.min || len(text) > m.max {
		return fmt.Errorf("is not %d to %d bytes long", m.min, m.max)
	}
	if !m.allowed(text) {
		return errors.New("holds a character that is not allowed")
	}
	return nil
}

package logging

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/password-writeback/writeback/internal/secret"
)

// minNeedle is the length below which a secret is not looked for: masking it would blacken innocent text, and where it was masked
// would show it.
const minNeedle = 4

// Scrubber masks known secrets in what is written through it. It is the last line and not the first: secrets are kept in
// secret.Value, and what a scrubber has to mask is a mistake elsewhere. The zero Scrubber is ready to use and safe for many
// goroutines.
type Scrubber struct {
	mu      sync.RWMutex
	needles []needle // the longest first, so that no needle is cut up by a shorter one within it
}

// needle is one form of one secret.
type needle struct {
	owner *int // identifies the call of Add
	form  secret.Value
}

// Add makes the scrubber mask a secret in its usual forms: as it is; as Go, JSON and URLs quote it; in base64 and hex; and as
// UTF-16 in quotes, the value of unicodePwd. A secret shorter than four bytes is ignored. Of a connection string, add the key in it
// too. forget ends it and zeroes the copies.
func (s *Scrubber) Add(value secret.Value) (forget func()) {
	owner := new(int)
	s.mu.Lock()
	defer s.mu.Unlock()
	value.Use(func(plain []byte) {
		if len(plain) < minNeedle {
			return
		}
		for _, form := range forms(string(plain)) {
			s.needles = append(s.needles, needle{owner, secret.NewString(form)})
		}
	})
	slices.SortStableFunc(s.needles, func(a, b needle) int { return cmp.Compare(b.form.Len(), a.form.Len()) })
	return func() { s.forget(owner) }
}

func (s *Scrubber) forget(owner *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.needles = slices.DeleteFunc(s.needles, func(n needle) bool {
		if n.owner == owner {
			n.form.Destroy()
		}
		return n.owner == owner
	})
}

// Scrub returns p with every known secret replaced by [secret.Redacted]. p itself is not changed.
func (s *Scrubber) Scrub(p []byte) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, n := range s.needles {
		n.form.Use(func(form []byte) {
			if bytes.Contains(p, form) {
				p = bytes.ReplaceAll(p, form, []byte(secret.Redacted))
			}
		})
	}
	return p
}

// Writer returns a writer that scrubs and passes on to w. A secret that is spread over two Writes is not seen: loggers made by [New]
// write each entry at once.
func (s *Scrubber) Writer(w io.Writer) io.Writer { return scrubbing{s, w} }

type scrubbing struct {
	scrubber *Scrubber
	next     io.Writer
}

// Write implements io.Writer. On success it reports the length of p, whatever was written in its place.
func (s scrubbing) Write(p []byte) (int, error) {
	if _, err := s.next.Write(s.scrubber.Scrub(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// forms returns the ways in which a secret turns up in texts, none twice and none too short.
func forms(plain string) []string {
	quotedUTF16 := utf16LE(`"` + plain + `"`)
	all := []string{
		plain,
		inner(strconv.Quote(plain)), inner(strconv.QuoteToASCII(plain)),
		url.QueryEscape(plain), url.PathEscape(plain),
		utf16LE(plain), quotedUTF16,
	}
	for _, binary := range []string{plain, utf16LE(plain), quotedUTF16} {
		raw := []byte(binary)
		all = append(all,
			base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
			hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)))
	}
	// The formatter neutralises each of them; and each may then be quoted once more, by the text or the JSON format.
	for _, form := range slices.Clone(all) {
		all = append(all, neutral(form))
	}
	for _, form := range slices.Clone(all) {
		all = append(all, inner(strconv.Quote(form)), jsonString(form, true), jsonString(form, false))
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(form string) bool { return len(form) < minNeedle })
}

// jsonString returns text as it stands between the quotes of a JSON string.
func jsonString(text string, escapeHTML bool) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(escapeHTML)
	if err := encoder.Encode(text); err != nil {
		return text // cannot happen: a string always encodes
	}
	return inner(strings.TrimSuffix(out.String(), "\n"))
}

// inner removes the quotes around a quoted text.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

func utf16LE(text string) string {
	var out strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		out.WriteByte(byte(unit))
		out.WriteByte(byte(unit >> 8))
	}
	return out.String()
}

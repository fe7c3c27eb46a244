package trace

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// maxText is how much of a text is shown.
const maxText = 200

// line is a line in the making: words and key=value pairs with a space in front of each.
type line struct{ strings.Builder }

func (w *line) word(s string) {
	w.WriteByte(' ')
	w.WriteString(s)
}

func (w *line) number(key string, n uint64) { w.word(key + "=" + strconv.FormatUint(n, 10)) }

func (w *line) optional(key string, n *uint32) {
	if n != nil {
		w.number(key, uint64(*n))
	}
}

func (w *line) flag(name string, set bool) {
	if set {
		w.word(name)
	}
}

// text shows what came from outside: quoted where it is not plain, cut where it is long, hidden where it looks like a
// token in a place where none belongs.
func (w *line) text(key, s string) {
	switch {
	case looksSecret(s):
		s = hidden(len(s))
	case len(s) > maxText:
		s = strconv.QuoteToASCII(s[:maxText]) + "..."
	case !plain(s):
		s = strconv.QuoteToASCII(s)
	}
	w.word(key + "=" + s)
}

func hidden(size int) string { return "token(" + strconv.Itoa(size) + " bytes)" }

// looksSecret finds shared access signatures, bearer tokens and connection strings.
func looksSecret(s string) bool {
	lower := strings.ToLower(s)
	for _, sign := range []string{"sharedaccess", "sig=", "bearer "} {
		if strings.Contains(lower, sign) {
			return true
		}
	}
	return strings.Contains(s, "eyJ") // how base64 of a JSON object, and so every JWT, begins
}

func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/$@", r))
	})
}

// value shows an identifier, which may have one of four types.
func (w *line) value(key string, v any) {
	switch v := v.(type) {
	case string:
		w.text(key, v)
	case uint64:
		w.number(key, v)
	case amqp.UUID:
		w.text(key, v.String())
	case []byte:
		w.bytes(key, v)
	}
}

func (w *line) bytes(key string, b []byte) {
	const most = 32 // the longest delivery tag there is
	w.word(key + "=" + hex.EncodeToString(b[:min(len(b), most)]))
}

func (w *line) failure(e *amqp.Error) {
	if e == nil {
		return
	}
	w.text("error", string(e.Condition))
	if e.Description != "" {
		w.text("description", e.Description)
	}
}

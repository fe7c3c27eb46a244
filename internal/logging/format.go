package logging

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
)

// formatter makes an entry harmless before another formatter writes it. Much of what is logged comes from outside: names from
// the queue, diagnostic texts of controllers (which end in a NUL).
type formatter struct{ inner logrus.Formatter }

// Format implements logrus.Formatter.
func (f formatter) Format(entry *logrus.Entry) ([]byte, error) {
	clean := entry.Dup()
	clean.Time = entry.Time.UTC()
	clean.Level = entry.Level
	clean.Caller = entry.Caller
	clean.Message = neutral(entry.Message)
	clean.Data = make(logrus.Fields, len(entry.Data))
	for key, value := range entry.Data {
		clean.Data[neutralKey(key)] = neutralValue(value)
	}
	return f.inner.Format(clean)
}

// neutralValue turns everything but numbers and truth values into harmless text.
func neutralValue(value any) any {
	switch v := value.(type) {
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, nil:
		return v
	case time.Time:
		return v.UTC().Format(timeFormat)
	case []byte:
		return neutral(string(v))
	case []string:
		return neutral(strings.Join(v, " "))
	}
	return neutral(fmt.Sprint(value))
}

// neutralKey makes a key that needs no quotes: the text format writes keys as they are.
func neutralKey(key string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '=' || r == '"' {
			return '_'
		}
		return picture(r)
	}, key)
}

// neutral replaces what could end the line, move the cursor or turn the reading direction, after cutting off what commonly
// trails: line ends and the NUL of controllers' diagnostic texts.
func neutral(text string) string {
	return strings.Map(picture, strings.TrimRight(text, "\x00\r\n"))
}

// picture returns a visible character in place of an invisible one. Pictures need no backslash, which the formats would escape a
// second time.
func picture(r rune) rune {
	switch {
	case r < ' ':
		return '\u2400' + r // SYMBOL FOR NULL and the 31 that follow
	case r == 0x7f:
		return '\u2421' // SYMBOL FOR DELETE
	case r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return unicode.ReplacementChar
	}
	return r
}

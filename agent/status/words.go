package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/health"
)

// foreign takes the escape character out of a text that is not ours, before colours are added.
func foreign(text string) string { return strings.ReplaceAll(text, "\x1b", "?") }

// word names a severity as people say it.
func word(severity health.Severity) string {
	if severity == health.OK {
		return "healthy"
	}
	return foreign(string(severity))
}

// paint colours a text by severity: green, yellow, red. All codes have the same length, which keeps columns aligned.
func (t *table) paint(severity health.Severity, text string) string {
	if !t.color {
		return text
	}
	code := "31"
	switch severity {
	case health.OK:
		code = "32"
	case health.Degraded:
		code = "33"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// when says a time and how long ago it was.
func (t *table) when(at time.Time) string {
	if at.IsZero() {
		return "(unknown)"
	}
	return at.UTC().Format("2006-01-02 15:04:05") + "Z (" + ago(t.now.Sub(at)) + ")"
}

// day says a time to come.
func day(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05") + "Z" }

// ago says a duration in its two largest units at most.
func ago(d time.Duration) string {
	seconds := int64(d / time.Second)
	switch {
	case seconds < 0:
		return "in the future"
	case seconds < 60:
		return fmt.Sprintf("%d s ago", seconds)
	case seconds < 60*60:
		return fmt.Sprintf("%d min ago", seconds/60)
	case seconds < 24*60*60:
		return fmt.Sprintf("%d h %d min ago", seconds/3600, seconds/60%60)
	}
	return fmt.Sprintf("%d d %d h ago", seconds/86400, seconds/3600%24)
}

// requests says a number of requests.
func requests(n int) string {
	switch n {
	case 0:
		return "no request"
	case 1:
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}

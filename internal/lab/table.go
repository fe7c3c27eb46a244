package lab

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Style says how to write for people. The zero Style is plain text, for files and pipes.
type Style struct {
	// Colours marks good and bad, for terminals.
	Colours bool
	// Progress shows what is being waited for when it takes over two seconds, on a line that is wiped afterwards.
	Progress bool
}

// The control sequences of ECMA-48 that are used.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
	wipe  = "\r\x1b[K"
)

// screen writes a demonstration for a person, row by row.
type screen struct {
	out   io.Writer
	style Style

	mu  sync.Mutex
	err error // the first one of out
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintf(s.out, format, args...); s.err == nil {
		s.err = err
	}
}

func (s *screen) paint(code, text string) string {
	if !s.style.Colours {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// mark shows at a glance whether something ended as it should.
func (s *screen) mark(fault string) string {
	if fault != "" {
		return s.paint(red, "✗")
	}
	return s.paint(green, "✓")
}

func (s *screen) title(text string) { s.printf("\n%s\n", s.paint(bold, text)) }

// The widths of the table's columns.
const (
	requestWidth = 45
	verdictWidth = 12
	reasonWidth  = 32
)

func (s *screen) head() {
	s.printf("%s\n", s.paint(faint, "     #  "+pad("request", requestWidth)+pad("outcome", verdictWidth)+pad("reason", reasonWidth)+"     ms"))
}

func (s *screen) row(row Row) {
	verdict, reason := string(row.Outcome), string(row.Reason)
	if row.Silent {
		verdict, reason = "silence", "(none is sent)"
	}
	s.printf("  %s %2d  %s%s%s%7d\n", s.mark(row.Fault), row.Number,
		pad(row.Request, requestWidth), pad(verdict, verdictWidth), pad(reason, reasonWidth), row.Milliseconds)
	if row.Person != "" {
		s.note("“" + row.Person + "”" + remark(row))
	}
	if row.Differs != "" {
		s.note("on Windows: " + row.Differs)
	}
	s.fault(row.Fault)
}

// remark is what the columns do not say.
func remark(row Row) string {
	switch {
	case row.Replayed:
		return " — answered from memory"
	case len(row.Possible) > 0:
		return " — possible: " + strings.Join(row.Possible, ", ")
	}
	return ""
}

func (s *screen) proof(proof Proof) {
	s.printf("  %s %s: %s\n", s.mark(proof.Fault), proof.Claim, proof.Seen)
	s.fault(proof.Fault)
}

func (s *screen) note(text string) { s.printf("        %s\n", s.paint(faint, text)) }

func (s *screen) fault(text string) {
	if text != "" {
		s.printf("        %s\n", s.paint(red, text))
	}
}

// pad fills text up to width characters; longer text keeps one blank behind it.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 1))
}

// The rhythm of progress: it appears when something takes long, and counts the seconds.
const (
	progressAfter = 2 * time.Second
	progressEvery = time.Second
)

// waiting shows what is being waited for until done is called. It does nothing where nobody watches.
func (s *screen) waiting(what string) (done func()) {
	if !s.style.Progress {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		s.count(what, stop)
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

func (s *screen) count(what string, stop <-chan struct{}) {
	started := time.Now()
	next := time.NewTimer(progressAfter)
	defer next.Stop()
	shown := false
	for {
		select {
		case <-next.C:
			shown = true
			s.printf("%s        %s", wipe, s.paint(faint, fmt.Sprintf("%s … %.0f s", what, time.Since(started).Seconds())))
			next.Reset(progressEvery)
		case <-stop:
			if shown {
				s.printf("%s", wipe)
			}
			return
		}
	}
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json` and, for the build's own lines, `go help buildjson`.
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	ImportPath string
}

// test names a test within the run; an empty name stands for the package itself.
type test struct{ pkg, name string }

// summary counts tests and subtests, each once, and keeps the output of those that still may fail.
type summary struct {
	out                     *bufio.Writer
	passed, failed, skipped int
	output                  map[test][]string
	skips                   map[string]int // reason -> tests
	failedIn                map[string]int // package -> failed tests
}

func newSummary(out *bufio.Writer) *summary {
	return &summary{
		out:      out,
		output:   make(map[test][]string),
		skips:    make(map[string]int),
		failedIn: make(map[string]int),
	}
}

// errNoEvents means that nothing was tested: go test did not start, or its output went elsewhere.
var errNoEvents = errors.New("no test events in the input")

// readAll handles every line. Lines that are no events (a tool's own complaint) are passed on as they are.
func (s *summary) readAll(in io.Reader) error {
	lines := bufio.NewReader(in)
	events := 0
	for {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case json.Unmarshal([]byte(line), &e) == nil && e.Action != "":
			events++
			s.handle(e)
		case line != "":
			s.print(line)
		}
		switch {
		case err == io.EOF && events == 0:
			return errNoEvents
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (s *summary) handle(e event) {
	id := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		s.print(e.Output)
	case "output":
		s.output[id] = append(s.output[id], e.Output)
	case "pass":
		s.finish(id, &s.passed, false)
	case "fail":
		s.finish(id, &s.failed, true)
	case "skip":
		s.finish(id, &s.skipped, false)
		if id.name != "" {
			s.skips[skipReason(s.output[id])]++
		}
	}
	if terminal := e.Action == "pass" || e.Action == "fail" || e.Action == "skip"; terminal {
		delete(s.output, id)
	}
}

// finish counts a test, or closes a package. A package that fails without a failed test counts as one failure: it did
// not build, panicked, or ran out of time.
func (s *summary) finish(id test, count *int, failed bool) {
	if id.name != "" {
		*count++
		if failed {
			s.failedIn[id.pkg]++
			s.print(s.output[id]...)
		}
		return
	}
	if failed && s.failedIn[id.pkg] == 0 {
		s.failed++
		s.printUnfinished(id.pkg)
	}
	for _, line := range s.output[id] {
		if failed || isVerdict(line) {
			s.print(line)
		}
	}
	_ = s.out.Flush() // progress: one package at a time
}

// printUnfinished shows the output of tests that never ended: what they said before the panic or the time-out.
func (s *summary) printUnfinished(pkg string) {
	for _, id := range slices.SortedFunc(maps.Keys(s.output), func(a, b test) int { return strings.Compare(a.name, b.name) }) {
		if id.pkg == pkg && id.name != "" {
			s.print(s.output[id]...)
			delete(s.output, id)
		}
	}
}

// isVerdict recognises go test's own closing line of a package.
func isVerdict(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "?   \t") || strings.HasPrefix(line, "FAIL\t")
}

// skipReason extracts the text of t.Skip from a test's output: "    file_test.go:12: reason".
func skipReason(output []string) string {
	for _, line := range slices.Backward(output) {
		if at, reason, found := strings.Cut(strings.TrimSpace(line), ": "); found && strings.Contains(at, ".go:") {
			return reason
		}
	}
	return "no reason given"
}

// close prints the skipped, then the closing line.
func (s *summary) close(notRun []string) {
	for _, reason := range slices.Sorted(maps.Keys(s.skips)) {
		s.print(fmt.Sprintf("skipped %d: %s\n", s.skips[reason], reason))
	}
	for _, check := range notRun {
		s.skipped++
		s.print(fmt.Sprintf("not run: %s\n", check))
	}
	s.print(fmt.Sprintf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped))
}

func (s *summary) print(lines ...string) {
	for _, line := range lines {
		_, _ = s.out.WriteString(line) // an error stays in the writer until Flush, which run checks
	}
}

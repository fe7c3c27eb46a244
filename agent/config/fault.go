package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	Path    string `json:"path,omitempty"` // field, e.g. "domains[0].bind.password_file"; empty: the file as a whole
	Line    int    `json:"line,omitempty"` // in the file, from 1; 0: unknown. For a missing field, the line of what it is missing from
	Problem string `json:"problem"`
	Remedy  string `json:"remedy,omitempty"` // what to do, one sentence
}

// Faults is the error of [Load]: everything that is wrong with one file, in the order of its lines.
type Faults struct {
	File string
	List []Fault
}

// Error returns one line for the file, and for each fault its place with the problem and the remedy below it.
func (f *Faults) Error() string {
	var out strings.Builder
	plural := "s"
	if len(f.List) == 1 {
		plural = ""
	}
	fmt.Fprintf(&out, "%s: %d fault%s", f.File, len(f.List), plural)
	for _, fault := range f.List {
		out.WriteString("\n  " + fault.String())
	}
	return out.String()
}

// String returns the place and the problem, and the remedy on a line of its own.
func (f Fault) String() string {
	text := f.Problem
	if f.Path != "" {
		text = f.Path + ": " + text
	}
	if f.Line > 0 {
		text = fmt.Sprintf("line %d: %s", f.Line, text)
	}
	if f.Remedy != "" {
		text += "\n      " + f.Remedy
	}
	return text
}

// report collects faults and knows on which line each field stands.
type report struct {
	faults []Fault
	lines  map[string]int
	// broken fields could not be read. What follows from that (they seem missing) is not reported as well.
	broken map[string]bool
}

func newReport() *report {
	return &report{lines: map[string]int{}, broken: map[string]bool{}}
}

// add records a fault of the field at path, unless the field is already known to be broken.
func (r *report) add(path, problem, remedy string) {
	if r.isBroken(path) {
		return
	}
	r.faults = append(r.faults, Fault{Path: path, Line: r.line(path), Problem: problem, Remedy: remedy})
}

// spoil records that the field could not be read.
func (r *report) spoil(path, problem, remedy string) {
	r.add(path, problem, remedy)
	r.broken[path] = true
}

func (r *report) isBroken(path string) bool {
	for ; path != ""; path = parent(path) {
		if r.broken[path] {
			return true
		}
	}
	return r.broken[""]
}

// line returns the line of the field, or of the nearest thing around it that stands in the file. The whole file has no line.
func (r *report) line(path string) int {
	if path == "" {
		return r.lines[""]
	}
	for ; path != ""; path = parent(path) {
		if line, known := r.lines[path]; known {
			return line
		}
	}
	return 0
}

// inFile reports whether the file has a value for the field itself, even if an empty one.
func (r *report) inFile(path string) bool {
	_, found := r.lines[path]
	return found
}

// all returns the faults in the order of their lines, those without a line last; nil when there are none.
func (r *report) all(file string) *Faults {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return &Faults{File: file, List: slices.CompactFunc(r.faults, func(a, b Fault) bool { return a == b })}
}

// parent returns the path of what the field is part of.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

func element(path string, index int) string { return fmt.Sprintf("%s[%d]", path, index) }

func member(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

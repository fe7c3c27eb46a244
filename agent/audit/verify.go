package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Fault says what is wrong with a place in the log.
type Fault string

// The faults.
const (
	FaultChanged   Fault = "changed"   // the line's content is not what was written
	FaultRemoved   Fault = "removed"   // lines are missing before this one
	FaultReordered Fault = "reordered" // the line stands in the wrong place, or twice
	FaultTruncated Fault = "truncated" // lines are missing at the end
	FaultTorn      Fault = "torn"      // the last line is unfinished: written at this moment, or cut off
	FaultUnknown   Fault = "unknown"   // the line is intact, but of a version this agent does not know
)

// Finding is one fault and its place.
type Finding struct {
	Fault    Fault
	File     string // base name
	Line     int    // 1 is the first line of the file; 0: the file as a whole
	Sequence uint64 // of the line as far as it could be read
	Text     string
}

// String returns "file:line: fault: text".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Fault, f.Text)
}

// maxFindings bounds a report: one broken file says enough with the first.
const maxFindings = 100

// Report is what [Verify] found.
type Report struct {
	Files    int
	Lines    int
	First    uint64   // sequence of the first line; 0: there is none
	Last     Position // of the last line that could be read
	Findings []Finding
	Omitted  int // findings beyond the first hundred
}

// Intact reports whether nothing was found.
func (r Report) Intact() bool { return len(r.Findings) == 0 }

// Verify reads the whole log and compares every line with its hash, with the line before it and with its place. The error
// is about reading; what is wrong with the log stands in the report. A log whose first files were moved to an archive is
// reported as [FaultRemoved]: put them back to verify the whole.
func Verify(ctx context.Context, dir string) (Report, error) {
	v := &verifier{expected: Position{Hash: firstPrevious()}}
	var headErr error
	v.head, headErr = readHead(dir) // before the lines: those added while we read are behind it
	names, err := list(dir)
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	for i, name := range names {
		if err := v.file(ctx, dir, name, i == len(names)-1); err != nil {
			return v.report, err
		}
	}
	if len(names) > 0 || headErr == nil {
		v.end(headErr)
	}
	v.report.Files = len(names)
	return v.report, nil
}

type verifier struct {
	report   Report
	expected Position // the line before the one to come; an empty hash: it could not be read
	head     Position
	atHead   string // the hash of the line the head names, once it was seen
	gaps     []gap
	name     string
	number   int
}

// gap is a finding of removed lines that may turn out to have been moved.
type gap struct {
	first, last uint64
	missing     uint64
	finding     int
}

func (v *verifier) find(fault Fault, sequence uint64, format string, args ...any) {
	if len(v.report.Findings) == maxFindings {
		v.report.Omitted++
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{
		Fault: fault, File: v.name, Line: v.number, Sequence: sequence, Text: fmt.Sprintf(format, args...),
	})
}

func (v *verifier) file(ctx context.Context, dir, name string, last bool) error {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer file.Close()
	v.name, v.number = name, 0
	reader := newLineReader(file)
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		text, err := reader.next()
		v.number = reader.number
		switch {
		case errors.Is(err, io.EOF):
			return v.fileEnd(last)
		case errors.Is(err, errUnfinished) && last:
			v.find(FaultTorn, v.expected.Sequence+1, "the last line is unfinished (%d bytes)", len(text))
		case errors.Is(err, errUnfinished), errors.Is(err, errTooLong):
			v.find(FaultChanged, v.expected.Sequence+1, "%v", err)
			v.expected = Position{Sequence: v.expected.Sequence + 1}
		case err != nil:
			return fmt.Errorf("audit: %w", err)
		default:
			v.line(text)
		}
	}
}

// fileEnd notices an empty file in the middle; at the end it is what a crash right after a rotation leaves.
func (v *verifier) fileEnd(last bool) error {
	if v.number == 0 && !last {
		v.find(FaultRemoved, v.expected.Sequence+1, "the file is empty")
	}
	return nil
}

func (v *verifier) line(text []byte) {
	l, err := parse(text)
	v.report.Lines++
	switch {
	case errors.Is(err, errNoHash):
		v.find(FaultChanged, v.expected.Sequence+1, "%v", err)
		v.expected = Position{Sequence: v.expected.Sequence + 1}
		return
	case errors.Is(err, errWrongHash):
		v.find(FaultChanged, v.expected.Sequence+1, "%v", err)
		// The stored hash is what the next line continues, so that one changed line makes one finding.
		v.expected = Position{Sequence: v.expected.Sequence + 1, Hash: l.Hash}
		return
	case err != nil:
		v.find(FaultUnknown, l.Sequence, "%v", err)
	}
	if v.report.First == 0 {
		v.report.First = l.Sequence
	}
	if l.Sequence == v.head.Sequence {
		v.atHead = l.Hash
	}
	if v.place(l) {
		v.expected, v.report.Last = l.position(), l.position()
	}
}

// place compares a line with the one before it, and reports whether the log goes on from it: not from one that stands too
// late or twice.
func (v *verifier) place(l line) bool {
	first, _ := firstOf(v.name)
	want := v.expected.Sequence + 1
	switch {
	case l.Sequence < want:
		v.misplaced(l.Sequence, want)
		return false
	case l.Sequence > want:
		v.find(FaultRemoved, l.Sequence, "lines %d to %d are missing before it", want, l.Sequence-1)
		v.gaps = append(v.gaps, gap{first: want, last: l.Sequence - 1, missing: l.Sequence - want, finding: len(v.report.Findings) - 1})
	case v.expected.Hash != "" && l.Previous != v.expected.Hash:
		// An empty expected hash means that the line before could not be read, which was said already.
		v.find(FaultChanged, l.Sequence, "it does not continue the line before it: one of the two was replaced")
	case v.number == 1 && first != l.Sequence:
		v.find(FaultReordered, l.Sequence, "the file's name promises line %d first", first)
	}
	return true
}

// misplaced reports a line that stands too late. When it fills a gap that was taken for removed lines, that finding is
// corrected.
func (v *verifier) misplaced(sequence, want uint64) {
	v.find(FaultReordered, sequence, "it is line %d of the log and stands where %d should", sequence, want)
	for i := range v.gaps {
		g := &v.gaps[i]
		if sequence < g.first || sequence > g.last || g.missing == 0 {
			continue
		}
		if g.missing--; g.missing == 0 && g.finding < maxFindings {
			found := &v.report.Findings[g.finding]
			found.Fault = FaultReordered
			found.Text = fmt.Sprintf("it stands before lines %d to %d", g.first, g.last)
		}
	}
}

// end compares the end of the log with the head file.
func (v *verifier) end(headErr error) {
	v.number = 0
	if headErr != nil {
		v.name = headName
		v.find(FaultTruncated, 0, "lines missing at the end cannot be noticed: %v", headErr)
		return
	}
	switch {
	case v.expected.Sequence < v.head.Sequence:
		v.find(FaultTruncated, v.expected.Sequence+1, "lines %d to %d are missing at the end", v.expected.Sequence+1, v.head.Sequence)
	case v.atHead != "" && v.atHead != v.head.Hash:
		v.find(FaultChanged, v.head.Sequence, "line %d is not the one that was written", v.head.Sequence)
	}
}

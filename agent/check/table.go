package check

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report as a person reads it: a line for each result, its remedy on the next, the figures at the end. color adds terminal colours.
func (r Report) WriteTable(w io.Writer, color bool) error {
	var lines strings.Builder
	tabs := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	for _, result := range r.Results {
		// Tabs end cells, so none may come from outside.
		fmt.Fprintf(tabs, "%s\t%s\t%s\t%s\n", result.Verdict, visible(result.Component), visible(result.Target), visible(result.Detail))
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	// The remedies are put in afterwards: they would widen a column.
	at := 0
	for line := range strings.Lines(lines.String()) {
		result := r.Results[at]
		at++
		if _, err := io.WriteString(w, paint(strings.TrimRight(line, " \n"), result.Verdict, color)+"\n"); err != nil {
			return err
		}
		if result.Remedy == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "      %s\n", visible(result.Remedy)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%d passed, %d to look at, %d failed, %d skipped\n", r.Count(Pass), r.Count(Warn), r.Count(Fail), r.Count(Skip))
	return err
}

// visible keeps texts from outside (a broker's error, a name in a certificate) from breaking the lines and the terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029':
			return '?'
		}
		return r
	}, text)
}

func paint(line string, verdict Verdict, color bool) string {
	code := map[Verdict]string{Pass: "32", Warn: "33", Fail: "31", Skip: "90"}[verdict]
	if !color || code == "" {
		return line
	}
	return "\x1b[" + code + "m" + string(verdict) + "\x1b[0m" + strings.TrimPrefix(line, string(verdict))
}

package lab_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
)

// TestJudge: only what was expected, all of it, passes.
func TestJudge(t *testing.T) {
	t.Parallel()
	written := writeback.Outcome{Verdict: writeback.Written, Reason: writeback.ReasonOK}
	replayed := written
	replayed.Replayed = true
	refused := writeback.Outcome{
		Verdict: writeback.NotWritten, Reason: writeback.PasswordRefused, Detail: writeback.Detail{Possible: []string{"in_history", "filter"}},
	}
	wantWritten := lab.Want{Verdict: writeback.Written, Reason: writeback.ReasonOK}
	wantReplayed := wantWritten
	wantReplayed.Replayed = true
	wantHistory := lab.Want{Verdict: writeback.NotWritten, Reason: writeback.PasswordRefused, Possible: "in_history"}
	wantOther := wantHistory
	wantOther.Possible = "something else"
	for name, test := range map[string]struct {
		want  lab.Want
		got   lab.Got
		fault string // empty: as expected
	}{
		"as expected":             {wantWritten, lab.Got{Outcome: written}, ""},
		"another reason":          {wantWritten, lab.Got{Outcome: refused}, "expected written ok, but saw not_written password.refused"},
		"another verdict":         {wantWritten, lab.Got{Outcome: writeback.Outcome{Verdict: writeback.Unknown, Reason: writeback.ReasonOK}}, "but saw unknown ok"},
		"from memory":             {wantReplayed, lab.Got{Outcome: replayed}, ""},
		"not from memory":         {wantReplayed, lab.Got{Outcome: written}, "expected written ok, from memory, but saw written ok"},
		"from memory by surprise": {wantWritten, lab.Got{Outcome: replayed}, "but saw written ok, from memory"},
		"silence":                 {lab.Want{Silent: true}, lab.Got{Silent: true}, ""},
		"an answer to a forgery":  {lab.Want{Silent: true}, lab.Got{Outcome: written}, "expected no answer, but saw written ok"},
		"no answer":               {wantWritten, lab.Got{Err: errors.New("nobody there")}, "expected written ok: nobody there"},
		"the right possibility":   {wantHistory, lab.Got{Outcome: refused}, ""},
		"another possibility":     {wantOther, lab.Got{Outcome: refused}, "possibly something else, but saw not_written password.refused"},
		"answered, but too late":  {wantWritten, lab.Got{Outcome: written, Err: errors.New("stopped")}, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := lab.Judge(test.want, test.got)
			if test.fault == "" && row.Fault != "" || !strings.Contains(row.Fault, test.fault) {
				t.Errorf("fault %q, want %q", row.Fault, test.fault)
			}
		})
	}
}

func TestRowShowsWhatThePersonReads(t *testing.T) {
	t.Parallel()
	row := lab.Judge(lab.Want{}, lab.Got{Took: 1234567 * time.Microsecond, Outcome: writeback.Outcome{
		Verdict: writeback.NotWritten, Reason: writeback.PasswordTooShort, Detail: writeback.Detail{MinLength: 12, HistoryLength: 24},
	}})
	want := writeback.Lookup(writeback.PasswordTooShort).Person + " (At least 12 characters.) (The last 24 are remembered.)"
	if row.Person != want {
		t.Errorf("the person reads %q, want %q", row.Person, want)
	}
	if row.Milliseconds != 1234 {
		t.Errorf("it took %d ms, want 1234", row.Milliseconds)
	}
}

func TestReportNamesEveryFault(t *testing.T) {
	t.Parallel()
	good := lab.Report{Rows: []lab.Row{{Number: 1}}, Proofs: []lab.Proof{{Claim: "fine"}}}
	if err := good.Verdict(); err != nil || !good.OK {
		t.Errorf("a report without faults is judged %v, %v", good.OK, err)
	}
	bad := lab.Report{
		OK:     true,
		Rows:   []lab.Row{{Number: 1}, {Number: 2, Request: "ping", Fault: "no answer"}},
		Proofs: []lab.Proof{{Claim: "ada", Fault: "the old password logs on"}},
	}
	err := bad.Verdict()
	if err == nil || bad.OK {
		t.Fatalf("a report with faults is judged %v, %v", bad.OK, err)
	}
	for _, text := range []string{"request 2 (ping): no answer", "proof (ada): the old password logs on"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		row  lab.Row
		want []string
	}{
		"good": {
			lab.Row{Number: 3, Request: "reset", Outcome: writeback.Written, Reason: writeback.ReasonOK, Person: "Done.", Milliseconds: 12},
			[]string{"✓  3  reset ", " written ", " ok ", "     12\n", "“Done.”\n"},
		},
		"silent":   {lab.Row{Number: 4, Request: "forged", Silent: true}, []string{"✓  4  forged", "silence", "(none is sent)"}},
		"replayed": {lab.Row{Number: 5, Replayed: true, Person: "Done."}, []string{"“Done.” — answered from memory"}},
		"possible": {lab.Row{Number: 6, Person: "No.", Possible: []string{"in_history", "filter"}}, []string{"“No.” — possible: in_history, filter"}},
		"fault":    {lab.Row{Number: 12, Request: "ping", Fault: "expected ok"}, []string{"✗ 12  ping", "        expected ok\n"}},
		"wide": {
			lab.Row{Number: 13, Request: strings.Repeat("x", 60), Outcome: writeback.Written},
			[]string{strings.Repeat("x", 60) + " written"},
		},
	}
	for name, test := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var plain, coloured bytes.Buffer
			lab.NewScreen(&plain, lab.Style{}).Row(test.row)
			lab.NewScreen(&coloured, lab.Style{Colours: true}).Row(test.row)
			for _, text := range test.want {
				if !strings.Contains(plain.String(), text) {
					t.Errorf("%q lacks %q", plain.String(), text)
				}
			}
			if strings.Contains(plain.String(), "\x1b") {
				t.Errorf("plain text holds control sequences: %q", plain.String())
			}
			if !strings.Contains(coloured.String(), "\x1b[3") || !strings.Contains(coloured.String(), "\x1b[0m") {
				t.Errorf("colours are missing: %q", coloured.String())
			}
		})
	}
}

func TestProofIsShownWithItsFault(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	screen := lab.NewScreen(&out, lab.Style{})
	screen.Proof(lab.Proof{Claim: "ada", Seen: "as it should be"})
	screen.Proof(lab.Proof{Claim: "ben", Seen: "not as it should be", Fault: "the old password logs on"})
	want := "  ✓ ada: as it should be\n  ✗ ben: not as it should be\n        the old password logs on\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestProgress: nothing for two seconds, then a line that counts, and nothing left of it in the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		style lab.Style
		takes time.Duration
		want  string
	}{
		"quick":          {lab.Style{Progress: true}, 1900 * time.Millisecond, ""},
		"slow":           {lab.Style{Progress: true}, 3500 * time.Millisecond, "\r\x1b[K        ping … 2 s\r\x1b[K        ping … 3 s\r\x1b[K"},
		"nobody watches": {lab.Style{}, time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				done := lab.NewScreen(&out, test.style).Waiting("ping")
				time.Sleep(test.takes)
				done()
				if out.String() != test.want {
					t.Errorf("got %q, want %q", out.String(), test.want)
				}
			})
		})
	}
}

// TestScreenKeepsTheFirstError: a demonstration nobody could read must not end well.
func TestScreenKeepsTheFirstError(t *testing.T) {
	t.Parallel()
	screen := lab.NewScreen(&brokenPipe{fails: 1}, lab.Style{})
	screen.Proof(lab.Proof{Claim: "first"})
	screen.Proof(lab.Proof{Claim: "second"})
	if !errors.Is(screen.Err(), errBroken) {
		t.Errorf("got %v, want the pipe's error", screen.Err())
	}
}

var errBroken = errors.New("broken pipe")

// brokenPipe fails a number of times.
type brokenPipe struct{ fails int }

func (p *brokenPipe) Write(b []byte) (int, error) {
	if p.fails--; p.fails >= 0 {
		return 0, errBroken
	}
	return len(b), nil
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/tmp/lab-1/config.yaml":  "/tmp/lab-1/config.yaml",
		"/tmp/my lab/config.yaml": "'/tmp/my lab/config.yaml'",
		"/tmp/o'brien":            `'/tmp/o'\''brien'`,
		"/tmp/$HOME;x":            "'/tmp/$HOME;x'",
		"/tmp/größe":              "'/tmp/größe'",
	} {
		if got := lab.ShellWord(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

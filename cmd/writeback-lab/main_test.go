package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/lab"
)

// TestCommandLine runs the program as it is typed. Its context has ended: what would run until interrupted ends at once.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no-agent")
	for name, test := range map[string]struct {
		args           []string
		code           int
		stdout, stderr []string
	}{
		"nothing":            {nil, exitOK, []string{"demo", "serve", "Usage:"}, nil},
		"help":               {[]string{"--help"}, exitOK, []string{"demo", "serve"}, nil},
		"version":            {[]string{"--version"}, exitOK, []string{"writeback-lab version development"}, nil},
		"help of demo":       {[]string{"demo", "--help"}, exitOK, []string{"--agent program", "--json", "--keep", "--verbose", "Exit code"}, nil},
		"help of serve":      {[]string{"serve", "--help"}, exitOK, []string{"--queue-addr host:port", "--directory-addr", "--folder"}, nil},
		"unknown command":    {[]string{"dem"}, exitUsage, nil, []string{`unknown command "dem"`, `did you mean "demo"?`, `See "writeback-lab --help"`}},
		"help names command": {[]string{"serve", "--fuzz"}, exitUsage, nil, []string{"unknown flag: --fuzz", `See "writeback-lab serve --help"`}},
		"unknown flag":       {[]string{"demo", "--fast"}, exitUsage, nil, []string{"--fast"}},
		"argument of demo":   {[]string{"demo", "now"}, exitUsage, nil, []string{`"now"`}},
		"argument of serve":  {[]string{"serve", "now"}, exitUsage, nil, []string{`"now"`}},
		"missing agent":      {[]string{"demo", "--agent", missing}, exitFailure, nil, []string{missing, "--agent"}},
		"not on loopback":    {[]string{"serve", "--queue-addr", "0.0.0.0:0"}, exitFailure, nil, []string{"0.0.0.0:0", "loopback"}},
		"serve, interrupted": {[]string{"serve"}, exitOK, []string{"writeback-agent run --config", "Stopped."}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			code := run(ctx, test.args, &stdout, &stderr)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, text := range test.stdout {
				if !strings.Contains(stdout.String(), text) {
					t.Errorf("the standard output lacks %q:\n%s", text, stdout.String())
				}
			}
			for _, text := range test.stderr {
				if !strings.Contains(stderr.String(), text) {
					t.Errorf("the standard error lacks %q:\n%s", text, stderr.String())
				}
			}
			if (stderr.Len() > 0) != (code != exitOK) {
				t.Errorf("exit code %d with the standard error %q", code, stderr.String())
			}
		})
	}
}

// TestStyle: colours and progress are for terminals, and a file is none.
func TestStyle(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	environment := func(string) string { return "" }
	if style := styleOf(file, environment); style != (lab.Style{}) {
		t.Errorf("a file is written to with %+v", style)
	}
	if style := styleOf(new(bytes.Buffer), environment); style != (lab.Style{}) {
		t.Errorf("a buffer is written to with %+v", style)
	}
}

// TestStyleOnATerminal needs one of its own: a pseudo terminal.
func TestStyleOnATerminal(t *testing.T) {
	t.Parallel()
	terminal := openTerminal(t)
	for name, test := range map[string]struct {
		environment map[string]string
		want        lab.Style
	}{
		"plain":    {nil, lab.Style{Colours: true, Progress: true}},
		"no color": {map[string]string{"NO_COLOR": "1"}, lab.Style{Progress: true}},
		"dumb":     {map[string]string{"TERM": "dumb"}, lab.Style{}},
	} {
		if style := styleOf(terminal, func(name string) string { return test.environment[name] }); style != test.want {
			t.Errorf("%s: got %+v, want %+v", name, style, test.want)
		}
	}
}

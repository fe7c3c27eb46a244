package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/password-writeback/writeback/internal/writeback"
)

func TestASecretOnTheStandardInput(t *testing.T) {
	for name, c := range map[string]struct {
		from          io.Reader
		want, problem string
	}{
		"one line":          {from: strings.NewReader("n33dle"), want: "n33dle"},
		"its end stays":     {from: strings.NewReader("n33dle\r\n"), want: "n33dle\r\n"},
		"bytes":             {from: strings.NewReader("\x05\x02\x00\n"), want: "\x05\x02\x00\n"},
		"byte by byte":      {from: iotest.OneByteReader(strings.NewReader("n33dle")), want: "n33dle"},
		"at the bound":      {from: strings.NewReader(strings.Repeat("x", 32<<10)), want: strings.Repeat("x", 32<<10)},
		"beyond the bound":  {from: strings.NewReader(strings.Repeat("x", 32<<10+1)), problem: "the secret is longer than 32768 bytes"},
		"nothing":           {from: strings.NewReader(""), problem: "the secret is empty"},
		"only a line end":   {from: strings.NewReader("\r\n"), problem: "the secret is empty"},
		"a broken pipe":     {from: io.MultiReader(strings.NewReader("n33dle"), iotest.ErrReader(io.ErrClosedPipe)), problem: "the secret cannot be read: "},
		"broken from start": {from: iotest.ErrReader(io.ErrClosedPipe), problem: "the secret cannot be read: "},
	} {
		got, err := wholeSecret(c.from)
		expectProblem(t, name, err, c.problem)
		if plain := string(got.Reveal()); plain != c.want {
			t.Errorf("%s: %d bytes, want %d", name, len(plain), len(c.want))
		}
	}
}

func TestASecretIsTypedTwice(t *testing.T) {
	for name, c := range map[string]struct {
		lines         []string
		want, problem string
	}{
		"the same":         {lines: []string{"n33dle", "n33dle"}, want: "n33dle"},
		"a slip":           {lines: []string{"n33dle", "n33dl"}, problem: "the two secrets differ"},
		"nothing":          {lines: []string{"", ""}, problem: "the secret is empty"},
		"the end":          {problem: "the secret cannot be read: EOF"},
		"the end, halfway": {lines: []string{"n33dle"}, problem: "the secret cannot be read: EOF"},
	} {
		var prompt bytes.Buffer
		got, err := typedTwice(&prompt, func() ([]byte, error) {
			if len(c.lines) == 0 {
				return nil, io.EOF
			}
			line := []byte(c.lines[0])
			c.lines = c.lines[1:]
			return line, nil
		})
		expectProblem(t, name, err, c.problem)
		if plain := string(got.Reveal()); plain != c.want {
			t.Errorf("%s: %d bytes, want %d", name, len(plain), len(c.want))
		}
		if !strings.HasPrefix(prompt.String(), "Secret: \n") || strings.Contains(prompt.String(), "n33") {
			t.Errorf("%s: prompted %q", name, prompt.String())
		}
	}
}

// expectProblem checks that an error begins with the problem, which never shows the secret, and has a remedy; "" means none.
func expectProblem(t *testing.T, name string, err error, problem string) {
	t.Helper()
	var typed *writeback.Error
	switch {
	case problem == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case problem == "":
	case !errors.As(err, &typed) || typed.Hint == "" || !strings.HasPrefix(typed.Cause.Error(), problem) || strings.Contains(err.Error(), "n33"):
		t.Errorf("%s: %v, want %s", name, err, problem)
	}
}

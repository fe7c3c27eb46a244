package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// goTest runs the real go command on a small module, so that the tests notice when its output changes.
func goTest(t *testing.T, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/m\n\ngo 1.26\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}

func TestRealRuns(t *testing.T) {
	const head = "package p\n\nimport \"testing\"\n\n"
	tests := map[string]struct {
		files  map[string]string
		notRun []string
		code   int
		want   []string // in the output
		last   string
		absent string
	}{
		"all passed": {
			files: map[string]string{"p_test.go": head + `func TestA(t *testing.T) { t.Log("chatter"); t.Run("sub", func(t *testing.T) {}) }`},
			code:  0, want: []string{"ok  \texample.com/m"}, last: "2 passed, 0 failed, 0 skipped", absent: "chatter",
		},
		"one failed": {
			files: map[string]string{"p_test.go": head + `func TestA(t *testing.T) {}
func TestB(t *testing.T) { t.Error("wrong answer") }`},
			code: 1, want: []string{"wrong answer", "--- FAIL: TestB", "FAIL\texample.com/m"}, last: "1 passed, 1 failed, 0 skipped",
		},
		"skips are counted by reason": {
			files: map[string]string{"p_test.go": head + `func TestA(t *testing.T) { t.Skip("needs a moon: new") }
func TestB(t *testing.T) { t.Skip("needs a moon: new") }
func TestC(t *testing.T) { t.SkipNow() }`},
			notRun: []string{"lint: no network"},
			code:   0,
			want:   []string{"skipped 2: needs a moon: new", "skipped 1: no reason given", "not run: lint: no network"},
			last:   "0 passed, 0 failed, 4 skipped",
		},
		"does not build": {
			files: map[string]string{"p_test.go": head + "func TestA(t *testing.T) { undefined() }"},
			code:  1, want: []string{"undefined: undefined", "[build failed]"}, last: "0 passed, 1 failed, 0 skipped",
		},
		"panics": {
			files: map[string]string{"p_test.go": head + `func TestA(t *testing.T) { t.Log("before"); go func() { panic("boom") }(); select {} }`},
			code:  1, want: []string{"boom"}, last: "0 passed, 1 failed, 0 skipped",
		},
		"exits early": {
			files: map[string]string{"p_test.go": "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(*testing.M) { os.Exit(3) }"},
			code:  1, want: []string{"exit status 3"}, last: "0 passed, 1 failed, 0 skipped",
		},
		"a package without tests": {
			files: map[string]string{"p.go": "package p\n", "q/q_test.go": "package q\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n"},
			code:  0, want: []string{"no test files"}, last: "1 passed, 0 failed, 0 skipped",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(bytes.NewReader(goTest(t, test.files)), &out, test.notRun)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in the output", want)
				}
			}
			if test.absent != "" && strings.Contains(out.String(), test.absent) {
				t.Errorf("%q in the output", test.absent)
			}
			if !strings.HasSuffix(out.String(), "\n"+test.last+"\n") {
				t.Errorf("the last line is not %q", test.last)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

// A pipe that brings nothing must not look like success.
func TestNoEventsIsAnError(t *testing.T) {
	for name, input := range map[string]string{"empty": "", "a complaint": "go: no modules were found\n"} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if code := run(strings.NewReader(input), &out, nil); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.HasPrefix(out.String(), input) {
				t.Errorf("output %q does not pass on the input", out.String())
			}
		})
	}
}

func TestReadErrorIsReported(t *testing.T) {
	var out bytes.Buffer
	if code := run(iotest.ErrReader(errors.New("pipe broke")), &out, nil); code != 2 || !strings.Contains(out.String(), "pipe broke") {
		t.Errorf("exit code %d, output %q", code, out.String())
	}
}

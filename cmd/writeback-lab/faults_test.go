package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// interrupted runs the program with a context that has ended, so that a lab stops as soon as it is up.
func interrupted(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaint bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code = run(ctx, args, &out, &complaint)
	return code, out.String(), complaint.String()
}

func TestServeWithFaults(t *testing.T) {
	t.Parallel()
	code, out, complaint := interrupted(t, "serve", "--fault", "op=settle,drop=after,nth=3", "--fault", "probability=0.5,delay=2s",
		"--fault-seed", "7", "--clock-skew", "-10m")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, complaint)
	}
	before, after, _ := strings.Cut(out, "A lab is running")
	for _, want := range []string{"misbehave", "  op=settle,nth=3,drop=after\n", "  probability=0.5,delay=2s\n", "wrong by -10m0s"} {
		if !strings.Contains(before, want) {
			t.Errorf("the start lacks %q:\n%s", want, before)
		}
	}
	for _, want := range []string{"op=settle,nth=3,drop=after  hit 0 of 0", "probability=0.5,delay=2s    hit 0 of 0"} {
		if !strings.Contains(after, want) {
			t.Errorf("the end lacks %q:\n%s", want, after)
		}
	}
}

// TestServeWithoutFaults does not mention them.
func TestServeWithoutFaults(t *testing.T) {
	t.Parallel()
	if _, out, _ := interrupted(t, "serve"); strings.Contains(out, "misbehave") || strings.Contains(out, "Faults") {
		t.Errorf("no faults were asked for:\n%s", out)
	}
}

func TestWrongFaultsAreWrongCommandLines(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--fault", "op=setle,drop=after"}, {"--fault", "drop=after,nth=0"}, {"--fault", ""},
		{"--fault-seed", "-1"}, {"--clock-skew", "5"},
	} {
		code, out, complaint := interrupted(t, append([]string{"serve"}, args...)...)
		if code != exitUsage || out != "" || !strings.Contains(complaint, args[0]) || !strings.Contains(complaint, args[1]) {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, complaint)
		}
	}
}

// TestHelpOfServeShowsFaultsThatWork: the examples are typed in as they stand.
func TestHelpOfServeShowsFaultsThatWork(t *testing.T) {
	t.Parallel()
	_, help, _ := interrupted(t, "serve", "--help")
	args := []string{"serve"}
	for line := range strings.Lines(help) {
		words := strings.Fields(line)
		for i := 0; i+1 < len(words) && words[i] == "--fault" && strings.Contains(words[i+1], "="); i += 2 {
			args = append(args, words[i], words[i+1])
		}
	}
	const examples = 7
	if code, _, complaint := interrupted(t, args...); code != exitOK || len(args) != 1+2*examples {
		t.Errorf("%d examples (want %d), exit code %d: %s", len(args)/2, examples, code, complaint)
	}
}

func TestTraceFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "trace.log")
	for _, where := range []string{name, name, "-"} {
		if code, _, complaint := interrupted(t, "serve", "--trace", where); code != exitOK {
			t.Fatalf("--trace %s: exit code %d: %s", where, code, complaint)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v: want a file of its owner only", info, err)
	}
	if code, _, complaint := interrupted(t, "serve", "--trace", filepath.Join(name, "no-folder")); code != exitFailure || !strings.Contains(complaint, name) {
		t.Errorf("exit code %d: %s", code, complaint)
	}
}

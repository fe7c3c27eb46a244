package interop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// language is an interpreter that runs programs of ours which outsiders can read or copy.
type language struct {
	name     string
	variable string   // by which test/run.sh names the interpreter, or, with _LEFT_OUT, why there is none
	usual    []string // where to look without test/run.sh
	probe    []string // arguments with which it ends well if it has all that is needed
}

func languages() map[string]language {
	return map[string]language{
		"python": {"Python with python3-cryptography", "WRITEBACK_PYTHON", []string{"/usr/bin/python3", "python3"}, []string{"-c", "import cryptography"}},
		"node":   {"Node 18", "WRITEBACK_NODE", []string{"node"}, []string{"-e", "process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)"}},
		"java":   {"a JDK 17", "WRITEBACK_JAVA", []string{"java"}, []string{"-m", "jdk.compiler/com.sun.tools.javac.Main", "-version"}},
	}
}

// interpreter finds a language's interpreter. Where the set-up named one it must work; where there is none the test skips and says why.
func interpreter(t *testing.T, name string) string {
	t.Helper()
	l := languages()[name]
	if reason := os.Getenv(l.variable + "_LEFT_OUT"); reason != "" {
		t.Skipf("needs %s: %s", l.name, reason)
	}
	if named := os.Getenv(l.variable); named != "" {
		return named
	}
	for _, usual := range l.usual {
		if found, err := exec.LookPath(usual); err == nil && exec.CommandContext(t.Context(), found, l.probe...).Run() == nil {
			return found
		}
	}
	t.Skipf("needs %s; `make test` installs it", l.name)
	return ""
}

// runScript runs a script that prints TAP in its folder below test, and returns its steps. faults is what is wrong with the run itself.
func runScript(t *testing.T, interpreter, dir string, environment []string, args ...string) (steps []tapStep, faults error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longestRun)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, interpreter, args...) // killed when the time is over
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1") // the sources stay as they are
	cmd.Env = append(cmd.Env, environment...)
	err := cmd.Run()
	steps, faults = parseTAP(&stdout)
	if ctx.Err() != nil {
		faults = errors.Join(faults, fmt.Errorf("not finished after %s", longestRun))
	}
	if faults = errors.Join(faults, err); faults != nil {
		faults = fmt.Errorf("%w\nstandard error:\n%s", faults, &stderr)
	}
	return steps, faults
}

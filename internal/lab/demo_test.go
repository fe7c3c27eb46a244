package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/lab"
)

// demo runs the demonstration with a script in the agent's place, and a folder of its own for everything temporary.
func demo(ctx context.Context, t *testing.T, script string, change func(*lab.DemoOptions)) (stdout string, folders []string, err error) {
	t.Helper()
	program := play(t, script)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	options := lab.DemoOptions{Agent: program.Path, Stdout: &out, Stderr: &out, Log: quiet(t)}
	if change != nil {
		change(&options)
	}
	err = lab.Demo(ctx, options)
	folders, globErr := filepath.Glob(filepath.Join(temporary, "*"))
	check(t, globErr)
	return out.String(), folders, err
}

const keyless = `echo "the disk is full" >&2; exit 1`

func TestDemoFailsWithTheAgentsWords(t *testing.T) {
	out, folders, err := demo(t.Context(), t, keyless, nil)
	if err == nil || !strings.Contains(err.Error(), "keys new") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v, want the command and its complaint", err)
	}
	if strings.Contains(out, "as they should") || strings.Contains(out, "Kept") {
		t.Errorf("the output should not speak of success or of a folder:\n%s", out)
	}
	if len(folders) > 0 {
		t.Errorf("left behind: %v", folders)
	}
}

func TestDemoKeepsItsFolder(t *testing.T) {
	out, folders, err := demo(t.Context(), t, keyless, func(o *lab.DemoOptions) { o.Keep = true })
	if err == nil {
		t.Error("a failure was taken for a success")
	}
	if len(folders) != 1 || !strings.Contains(out, "Kept: "+folders[0]+"\n") {
		t.Fatalf("kept %v, but said:\n%s", folders, out)
	}
	if info, err := os.Stat(folders[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder with the secrets has the mode %v, %v, want 0700", info.Mode(), err)
	}
}

func TestDemoReportsAFailureAsJSON(t *testing.T) {
	out, _, err := demo(t.Context(), t, keyless, func(o *lab.DemoOptions) { o.JSON = true })
	if err == nil {
		t.Error("a failure was taken for a success")
	}
	var report lab.Report
	check(t, json.Unmarshal([]byte(out), &report))
	if report.OK {
		t.Errorf("a failure is reported as good: %s", out)
	}
}

func TestDemoShowsTheLogOfAnAgentThatDoesNotStart(t *testing.T) {
	keys, err := os.ReadFile(agentKeys(t))
	check(t, err)
	script := `case "$1 $2" in "keys export") echo '` + string(keys) + `';; run*) echo "the ledger is locked" >&2; exit 1;; status*) exit 2;; esac`
	_, folders, err := demo(t.Context(), t, script, nil)
	if err == nil || !strings.Contains(err.Error(), "the ledger is locked") {
		t.Errorf("got %v, want the end of the agent's log", err)
	}
	if len(folders) > 0 {
		t.Errorf("left behind: %v", folders)
	}
}

func TestDemoSaysThatItWasInterrupted(t *testing.T) {
	keys, err := os.ReadFile(agentKeys(t))
	check(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("somebody pressed Ctrl-C")
	// An agent that is healthy and answers nothing: the demonstration waits for the first answer.
	script := `if [ "$1 $2" = "keys export" ]; then echo '` + string(keys) + `'; exit; fi; [ "$1" = keys ] && exit; ` + serving
	_, folders, err := demo(ctx, t, script, func(o *lab.DemoOptions) { o.Stdout = onText{"reason", func() { cancel(reason) }} })
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), "stopped at request 1") {
		t.Errorf("got %v, want where it was stopped, and why", err)
	}
	if len(folders) > 0 {
		t.Errorf("left behind: %v", folders)
	}
}

// onText calls back when a text is written.
type onText struct {
	text string
	call func()
}

func (o onText) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(o.text)) {
		o.call()
	}
	return len(b), nil
}

// agentKeys is a file with the public keys of some agent.
func agentKeys(t *testing.T) string {
	t.Helper()
	site := &lab.Site{Folder: t.TempDir()}
	check(t, os.MkdirAll(filepath.Join(site.Folder, "state"), 0o700))
	check(t, site.MakeKeys())
	return filepath.Join(site.Folder, "portal", "agents.jwks")
}

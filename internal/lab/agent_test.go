package lab_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
)

// play makes a program out of a shell script: what an agent could do, and does not. "$1" is the command.
func play(t *testing.T, script string) lab.Program {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a Unix shell")
	}
	path := filepath.Join(t.TempDir(), "agent")
	// A process forked meanwhile would hold the file open for writing, and such a file cannot be executed (ETXTBSY).
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700)
	syscall.ForkLock.RUnlock()
	check(t, err)
	program, err := lab.FindProgram(path, &lab.Site{Folder: t.TempDir()})
	check(t, err)
	return program
}

const healthy = `{"version":1,"overall":"ok","relay":{"connected":true,"intake":"open"},"domains":[{"name":"corp","health":"ok"}],
"reasons":{"ok":2},"discarded":{"envelope.malformed":3}}`

func TestFindProgram(t *testing.T) {
	t.Parallel()
	_, err := lab.FindProgram(filepath.Join(t.TempDir(), "nothing-here"), nil)
	if err == nil || !strings.Contains(err.Error(), "--agent") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	program := play(t, `echo "out $1 $2"; echo "complaint" >&2; [ "$1" = good ] || exit 3`)
	out, code, err := program.Output(t.Context(), "good")
	if err != nil || code != 0 || string(out) != "out good --config\n" {
		t.Errorf("got %q, %d, %v", out, code, err)
	}
	out, code, err = program.Output(t.Context(), "bad")
	if err == nil || !strings.Contains(err.Error(), "complaint") || code != 3 || string(out) != "out bad --config\n" {
		t.Errorf("got %q, %d, %v, want code 3 and the complaint", out, code, err)
	}
}

func TestStatusIsReadWhateverTheExitCode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		ready  bool
		fails  bool
	}{
		"healthy":        {"echo '" + healthy + "'", true, false},
		"degraded":       {"echo '" + strings.Replace(healthy, `"ok"`, `"degraded"`, 1) + "'; exit 1", true, false},
		"down":           {"echo '" + strings.Replace(healthy, `"ok"`, `"down"`, 1) + "'; exit 2", false, false},
		"no queue":       {"echo '" + strings.Replace(healthy, "true", "false", 1) + "'; exit 2", false, false},
		"no directory":   {"echo '" + strings.Replace(healthy, `"health":"ok"`, `"health":"down"`, 1) + "'", false, false},
		"intake closed":  {"echo '" + strings.Replace(healthy, "open", "closed", 1) + "'", false, false},
		"not running":    {"echo 'no answer from an agent' >&2; exit 2", false, true},
		"something else": {"echo hello", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, err := play(t, test.script).Status(t.Context())
			if (err != nil) != test.fails || status.Ready() != test.ready {
				t.Errorf("got ready %v, %v; want ready %v, an error %v", status.Ready(), err, test.ready, test.fails)
			}
			if err == nil && (status.Count("ok") != 2 || status.Count("envelope.malformed") != 3 || status.Count("request.expired") != 0) {
				t.Errorf("the counts are wrong: %+v", status)
			}
		})
	}
}

// serving is a script that runs until it is interrupted.
const serving = `if [ "$1" = status ]; then echo '` + healthy + `'; exit; fi
trap 'echo stopped >&2; exit 0' INT; echo "agent running" >&2; while :; do sleep 0.05; done`

func TestAgentIsStoppedGently(t *testing.T) {
	t.Parallel()
	program := play(t, serving)
	var log bytes.Buffer
	agent, err := program.Start(t.Context(), &log)
	check(t, err)
	check(t, agent.Ready(t.Context()))
	untilLog(t, program, "agent running")
	check(t, agent.Stop())
	if !strings.HasSuffix(log.String(), "stopped\n") {
		t.Errorf("the copy of the log is %q", log.String())
	}
	check(t, agent.Stop()) // once more changes nothing
}

func TestAgentIsKilled(t *testing.T) {
	t.Parallel()
	program := play(t, strings.Replace(serving, "exit 0", "true", 1))
	agent, err := program.Start(t.Context(), nil)
	check(t, err)
	untilLog(t, program, "agent running")
	check(t, agent.Kill())
	select {
	case <-agent.Ended():
	default:
		t.Error("Kill returned before the process had ended")
	}
	if text, err := os.ReadFile(program.Site.LogPath()); err != nil || strings.Contains(string(text), "stopped") {
		t.Errorf("the log is %q, %v: a killed process has no last words", text, err)
	}
}

// TestAgentEndsWithItsContext: an interrupted demonstration leaves nothing behind.
func TestAgentEndsWithItsContext(t *testing.T) {
	t.Parallel()
	program := play(t, serving)
	ctx, cancel := context.WithCancel(t.Context())
	agent, err := program.Start(ctx, nil)
	check(t, err)
	untilLog(t, program, "agent running")
	cancel()
	<-agent.Ended()
	check(t, agent.Stop())
}

// TestNotReady: an agent that ends at once is not waited for, and its last words are shown.
func TestNotReady(t *testing.T) {
	t.Parallel()
	agent, err := play(t, `echo "the ledger is locked" >&2; exit 1`).Start(t.Context(), nil)
	check(t, err)
	err = agent.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the ledger is locked") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the agent's last words", err)
	}
}

func TestUntilEndsWithItsContext(t *testing.T) {
	t.Parallel()
	program := play(t, serving)
	agent, err := program.Start(t.Context(), nil)
	check(t, err)
	defer func() { check(t, agent.Stop()) }()
	untilLog(t, program, "agent running")
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("somebody lost patience")
	err = agent.Until(ctx, func(lab.Status) bool { cancel(reason); return false })
	if !errors.Is(err, reason) {
		t.Errorf("got %v, want the reason why it was given up", err)
	}
}

// untilLog waits for a line in the agent's log.
func untilLog(t *testing.T, program lab.Program, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		text, err := os.ReadFile(program.Site.LogPath())
		if err == nil && strings.Contains(string(text), line) {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("the log lacks %q: %s, %v", line, text, err)
		}
	}
}

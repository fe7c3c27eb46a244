package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
)

// testServe follows the guide of "writeback-lab serve" as a newcomer does, with nothing but the three programs.
func testServe(t *testing.T, built programs) {
	folder := filepath.Join(shortFolder(t), "lab")
	guide := startLab(t, built, folder)
	config, profile := shown(t, guide, `run --config (\S+)`), shown(t, guide, `ping --profile (\S+)`)
	if !strings.Contains(guide, built.agent+" run") || !strings.Contains(guide, built.send+" ping") {
		t.Errorf("the commands should name the programs that were built:\n%s", guide)
	}
	start(t, exec.Command(built.agent, "run", "--config", config), nopCloser{io.Discard})

	// The sender waits in the queue until the agent is there.
	run(t, secret.Value{}, built.send, "ping", "--profile", profile)
	run(t, newPassword("New-"), built.send, "reset", "--upn", "ada@corp.example.com", "--profile", profile, "--password-fd", "0")
	run(t, secret.Value{}, built.send, "unlock", "--upn", "finn@corp.example.com", "--profile", profile)
	status := run(t, secret.Value{}, built.agent, "status", "--config", config)
	if !strings.Contains(status, "healthy") {
		t.Errorf("the agent should be healthy:\n%s", status)
	}
}

// startLab runs "serve" and returns what it prints until it is up.
func startLab(t *testing.T, built programs, folder string) string {
	t.Helper()
	reader, writer := io.Pipe()
	start(t, exec.Command(built.lab, "serve", "--folder", folder), writer)
	var guide strings.Builder
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		guide.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "does not exist") { // the last line
			go func() { _, _ = io.Copy(io.Discard, reader) }()
			return guide.String()
		}
	}
	t.Fatalf("the lab ended:\n%s", guide.String())
	return ""
}

// start runs a program until the end of the test, which interrupts it and wants it to end well.
func start(t *testing.T, cmd *exec.Cmd, stdout io.WriteCloser) {
	t.Helper()
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &complaint
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		_ = stdout.Close() // whoever reads sees the end
		ended <- err
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			_ = cmd.Process.Kill()
		}
		select {
		case err := <-ended:
			if err != nil || t.Failed() {
				t.Errorf("%s: %v\n%s", filepath.Base(cmd.Path), err, complaint.String())
			}
		case <-time.After(patience):
			t.Errorf("%s does not end when it is interrupted", filepath.Base(cmd.Path))
			_ = cmd.Process.Kill()
		}
	})
}

// run runs a program to its end with a secret on its standard input, wants exit code 0, and returns what it printed.
func run(t *testing.T, input secret.Value, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(input.Reveal())
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", filepath.Base(program), args[0], err, output)
	}
	return string(output)
}

// shown returns what the guide shows in the parentheses of pattern.
func shown(t *testing.T, guide, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(guide)
	if found == nil {
		t.Fatalf("the guide does not show %q:\n%s", pattern, guide)
	}
	return found[1]
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

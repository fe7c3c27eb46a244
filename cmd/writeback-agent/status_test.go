package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

// reports answers on a socket like an agent that is as bad as severity says, and returns the socket.
func reports(t *testing.T, severity health.Severity) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "wb") //nolint:usetesting // t.TempDir's names can be too long for a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := filepath.Join(folder, "agent.sock")
	listener, err := status.Listen(socket, 0o600, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	server, ended := &status.Server{Source: func() status.Report { return reportOf(severity) }}, make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

func reportOf(severity health.Severity) status.Report {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	report := status.Report{
		Time: at.Add(time.Minute), Overall: severity, Agent: status.Agent{Group: "corp", ID: "a1", Version: "1.2.3", Since: at},
		Reasons: map[writeback.Reason]uint64{writeback.ReasonOK: 12, writeback.UserNotFound: 3},
	}
	if severity != health.OK {
		report.Conditions = []health.Condition{{Name: health.Relay, Severity: severity, Since: at, Message: "it hurts", Remedy: "Heal it."}}
	}
	return report
}

func TestStatusShowsAReportAndEndsWithItsCode(t *testing.T) {
	for severity, want := range map[health.Severity]int{health.OK: 0, health.Degraded: 1, health.Down: 2} {
		t.Run(string(severity), func(t *testing.T) {
			socket := reports(t, severity)
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"status", "--socket", socket}, &stdout, &stderr); code != want || stderr.Len() > 0 {
				t.Errorf("exit code %d, want %d; %s", code, want, stderr.String())
			}
			text := stdout.String()
			for part, wanted := range map[string]bool{
				"corp/a1, version 1.2.3": true, "running since 2030-01-02 03:04:05Z": true, "user.not_found": true,
				"it hurts": severity != health.OK, "Heal it.": severity != health.OK, "\x1b": false,
			} {
				if strings.Contains(text, part) != wanted {
					t.Errorf("%q is in the table: %t, want %t\n%s", part, !wanted, wanted, text)
				}
			}

			stdout.Reset()
			if code := run(t.Context(), []string{"status", "--json", "--socket", socket}, &stdout, &stderr); code != want || stderr.Len() > 0 {
				t.Errorf("--json: exit code %d, want %d; %s", code, want, stderr.String())
			}
			var report status.Report
			if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || report.Overall != severity || report.Reasons[writeback.ReasonOK] != 12 {
				t.Errorf("--json: %v, %+v", err, report)
			}
		})
	}
}

func TestStatusOfWhatIsNoAgent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"status", "--socket", file}, &stdout, &stderr); code != status.ExitDown || stdout.Len() > 0 {
		t.Errorf("exit code %d, %s", code, stdout.String())
	}
	if lines := strings.Split(strings.TrimSpace(stderr.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "  ") || !strings.HasSuffix(lines[1], ".") {
		t.Errorf("not a sentence with its remedy: %q", lines)
	}
}

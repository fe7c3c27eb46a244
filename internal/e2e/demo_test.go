package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/writeback"
)

// testDemo runs the demonstration in both of its forms.
func testDemo(t *testing.T, built programs) {
	t.Run("Table", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		if err := lab.Demo(t.Context(), lab.DemoOptions{Agent: built.agent, Stdout: &out, Stderr: &out, Log: quiet(t)}); err != nil {
			t.Errorf("the demonstration failed: %v", err)
		}
		for _, text := range []string{
			"reset, by UPN, password beyond ASCII", "password.too_short", "possible: in_history", "policy.protected_user", "policy.out_of_scope",
			"request.expired", "envelope.not_for_us", "answered from memory", "silence",
			"the new password is right and must be changed (773)", "kira's token was sent twice and written once: the directory counts 1",
			"writeback-agent status", "ended as they should",
		} {
			if !strings.Contains(out.String(), text) {
				t.Errorf("the output lacks %q", text)
			}
		}
		if strings.Contains(out.String(), "✗") || strings.Contains(out.String(), "\x1b") || t.Failed() {
			t.Errorf("no fault and no control sequence should be in:\n%s", out.String())
		}
	})
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		var out, log bytes.Buffer
		check(t, lab.Demo(t.Context(), lab.DemoOptions{
			Agent: built.agent, JSON: true, Keep: true, Verbose: true, Stdout: &out, Stderr: &log, Log: quiet(t),
		}))
		var report lab.Report
		check(t, json.Unmarshal(out.Bytes(), &report))
		wantKept(t, report.Folder, log.String())
		if !report.OK || len(report.Rows) < 12 || len(report.Proofs) < 6 || len(report.Status) == 0 {
			t.Errorf("the report should be good and complete:\n%s", out.String())
		}
		written := 0
		for _, row := range report.Rows {
			if row.Outcome == writeback.Written && !row.Replayed {
				written++
			}
		}
		if written < 6 {
			t.Errorf("%d requests were written, want at least 6:\n%s", written, out.String())
		}
	})
}

// testDemoSamba tells the same story on the real controller; the people are reserved for it.
func testDemoSamba(t *testing.T, built programs) {
	samba := sambalab.Open(t)
	var out bytes.Buffer
	err := lab.Demo(t.Context(), lab.DemoOptions{Agent: built.agent, Samba: samba, Stdout: &out, Stderr: &out, Log: quiet(t)})
	for _, text := range []string{
		"a Samba domain controller", "password.in_history", "on Windows: password.refused", "directory.policy_hints_missing",
		"no refused request wrote anything: the directory counts 0", "All 18 requests and 9 proofs ended as they should",
	} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the output lacks %q", text)
		}
	}
	if err != nil || t.Failed() {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// wantKept compares what was kept with what was shown, and removes it.
func wantKept(t *testing.T, folder, log string) {
	t.Helper()
	if folder == "" {
		t.Fatal("the report does not name the folder that was kept")
	}
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	kept, err := os.ReadFile(filepath.Join(folder, "agent.log"))
	check(t, err)
	if log == "" || string(kept) != log {
		t.Errorf("the log that was kept and the one that was shown differ:\n%s\n%s", kept, log)
	}
	for _, name := range []string{"config.yaml", "state/ledger.db", "state/audit", "portal/profile.json"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Errorf("not kept: %v", err)
		}
	}
}

// testBrokenAgent gives the demonstration a program that fails: it must say so and must not call that a success.
func testBrokenAgent(t *testing.T, _ programs) {
	broken, err := exec.LookPath("false")
	if err != nil {
		t.Skip("needs the program \"false\"")
	}
	var out bytes.Buffer
	err = lab.Demo(t.Context(), lab.DemoOptions{Agent: broken, Stdout: &out, Stderr: &out, Log: quiet(t)})
	if err == nil || !strings.Contains(err.Error(), "keys new") {
		t.Errorf("got %v, want an error that names the command that failed", err)
	}
	if strings.Contains(out.String(), "ended as they should") {
		t.Errorf("a failure must not look like a success:\n%s", out.String())
	}
}

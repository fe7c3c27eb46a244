package app_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// key returns the access key in a connection string.
func key(t *testing.T, connection secret.Value) string {
	t.Helper()
	_, key, found := strings.Cut(string(connection.Reveal()), "SharedAccessKey=")
	if !found {
		t.Fatal("no key in the connection string")
	}
	key, _, _ = strings.Cut(key, ";")
	return key
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	in := install(t)
	bind := in.path("secrets/bind-password")
	right, err := os.ReadFile(bind)
	check(t, err)
	check(t, os.WriteFile(bind, []byte("not-the-Bind-password"), 0o600))

	agent := in.start(t)
	report := agent.status(t, "the bind is refused", func(r status.Report) bool {
		return r.Relay.Connected && strings.Contains(condition(r, health.Domain("corp.example.com")).Message, "52e")
	})
	if report.ExitCode() != status.ExitDown {
		t.Errorf("exit code %d, want down", report.ExitCode())
	}
	portal, refused, written := in.portal(t), newPassword(), newPassword()
	wantOutcome(t, in.reset(t, portal, "emil", refused), writeback.NotWritten, writeback.DirectoryAccessDenied)

	// A rotated password needs no restart.
	check(t, os.WriteFile(bind, right, 0o600))
	wantOutcome(t, in.reset(t, portal, "emil", written), writeback.Written, writeback.ReasonOK)
	agent.ready(t)

	secrets := map[string]string{
		"the bind password": string(right), "the wrong bind password": "not-the-Bind-password",
		"the agent's key": key(t, in.namespace.AgentConnection()), "the portal's key": key(t, in.namespace.PortalConnection()),
		"a refused password": string(refused.Reveal()), "a new password": string(written.Reveal()),
		"an old password": string(in.directory.First("emil").Reveal()),
	}
	if log := in.log.String(); !strings.Contains(log, "agent running") {
		t.Fatalf("nothing was logged: %s", log)
	}
	check(t, agent.stop())
	for what, value := range secrets {
		if strings.Contains(in.log.String(), value) {
			t.Errorf("the log shows %s", what)
		}
	}
}

// A mistake elsewhere must not show what the agent has read.
func TestTheLogMasksWhatTheAgentKnows(t *testing.T) {
	t.Parallel()
	in := install(t)
	agent := in.start(t)
	agent.ready(t)
	connection, err := os.ReadFile(in.path("secrets/relay-connection-string"))
	check(t, err)
	for what, value := range map[string]string{
		"the connection string": string(connection), "its key": key(t, secret.New(bytes.Clone(connection))),
		"the bind password": string(in.directory.First("svc-writeback").Reveal()),
	} {
		app.LogOf(agent.agent).WithField("value", value).Error("a mistake: ", value)
		log := in.log.String()
		if strings.Contains(log, value) || strings.Count(log, secret.Redacted) < 2 {
			t.Errorf("%s: %s", what, log[strings.LastIndex(log, "a mistake"):])
		}
	}
}

func TestABindPasswordIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(path, []byte("first-one\n"), 0o600))
	var out bytes.Buffer
	read, masked, forget := app.BindPassword(path, &out)
	first, err := read(t.Context())
	check(t, err)
	same, err := read(t.Context())
	check(t, err)
	check(t, os.WriteFile(path, []byte("second-one\n"), 0o600))
	second, err := read(t.Context())
	check(t, err)
	if string(same.Reveal()) != "first-one" || string(second.Reveal()) != "second-one" || first.Empty() {
		t.Error("not what the file says, or the first one is gone while somebody may bind with it")
	}
	_, err = fmt.Fprint(masked, "first-one second-one")
	check(t, err)
	check(t, forget())
	if !first.Empty() || !second.Empty() {
		t.Error("not destroyed at the end")
	}
	_, err = fmt.Fprint(masked, " second-one")
	check(t, err)
	if got, want := out.String(), "[redacted] [redacted] second-one"; got != want {
		t.Errorf("written: %q, want %q", got, want)
	}
	check(t, os.Remove(path))
	if _, err := read(t.Context()); err == nil || strings.Contains(err.Error(), path) {
		t.Errorf("a file that is gone: %v", err)
	}
}

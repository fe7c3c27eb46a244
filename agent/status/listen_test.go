package status_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/status"
)

func TestALivingAgentIsNotPushedAside(t *testing.T) {
	path := socketPath(t)
	serve(t, &status.Server{Source: healthy}, path)
	_, err := status.Listen(path, 0o660, "")
	if err == nil || !strings.Contains(err.Error(), "another agent answers") || remedyOf(err) == "" {
		t.Errorf("Listen: %v", err)
	}
	if _, err := status.Fetch(t.Context(), path); err != nil {
		t.Errorf("the living agent no longer answers: %v", err)
	}
}

func TestTheSocketOfADeadAgentIsReplaced(t *testing.T) {
	path := socketPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as after a crash
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	serve(t, &status.Server{Source: healthy}, path)
	if _, err := status.Fetch(t.Context(), path); err != nil {
		t.Errorf("Fetch: %v", err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	path := socketPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := status.Listen(path, 0o660, ""); err == nil || remedyOf(err) == "" {
		t.Errorf("Listen on a file: %v", err)
	}
	if content, _ := os.ReadFile(path); string(content) != "precious" {
		t.Errorf("the file holds %q", content)
	}
	if _, err := status.Listen(filepath.Dir(path), 0o660, ""); err == nil {
		t.Error("listens on a folder")
	}
}

func TestClosingLeavesTheSuccessorsSocket(t *testing.T) {
	path := socketPath(t)
	old := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	serve(t, &status.Server{Source: healthy}, path)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := status.Fetch(t.Context(), path); err != nil {
		t.Errorf("the successor no longer answers: %v", err)
	}
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := status.Listen(filepath.Join(file, "agent.sock"), 0o660, ""); remedyOf(err) == "" {
		t.Errorf("Listen: %v", err)
	}
}

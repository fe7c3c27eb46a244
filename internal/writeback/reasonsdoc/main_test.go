package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheDocumentationIsUpToDate(t *testing.T) {
	published, err := os.ReadFile("../../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(published), string(markdown())); diff != "" {
		t.Errorf("docs/reasons.md is stale, run go generate ./internal/writeback (-published +table):\n%s", diff)
	}
}

func TestRunWritesTheFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "reasons.md")
	var stderr bytes.Buffer
	if code := run([]string{"-out", out}, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(written), "### `policy.protected_user`") {
		t.Error("the file lacks a reason")
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	var stderr bytes.Buffer
	if code := run([]string{"-out", filepath.Join(t.TempDir(), "absent", "x.md")}, &stderr); code != 1 || stderr.Len() == 0 {
		t.Errorf("exit %d, stderr %q, want 1 and an explanation", code, stderr.String())
	}
	if code := run([]string{"-nonsense"}, &stderr); code != 2 {
		t.Errorf("exit %d for an unknown flag, want 2", code)
	}
}

package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// Every word that narrows a reason, or warns, is explained: they are constants named Hint... or Warning..., or stand in a Detail.
func TestEveryHintAndWarningIsExplained(t *testing.T) {
	words := wordsInSource(t, "../../..")
	for _, well := range []string{"identifier", "lock_duration", "policy_unreadable", "immutable_id_not_indexed"} {
		if !slices.Contains(words, well) {
			t.Errorf("%q was not found in the source: the test looks in the wrong place", well)
		}
	}
	text := string(markdown())
	for _, word := range words {
		if !regexp.MustCompile("(hint |Hints: |, |`)" + word + `\b`).MatchString(text) {
			t.Errorf("docs/reasons.md does not explain the word %q", word)
		}
	}
}

// wordsInSource collects the words of the packages that judge requests.
func wordsInSource(t *testing.T, root string) []string {
	t.Helper()
	constant := regexp.MustCompile(`(?m)^\s*(?:const )?(?:Hint|Warning|warning)[A-Z]\w*\s*=\s*"(\w+)"`)
	literal := regexp.MustCompile(`Detail\{Hint: "(\w+)"\}`)
	var words []string
	for _, room := range []string{"agent", "internal/app", "internal/writeback", "ldapwriter"} {
		files := os.DirFS(filepath.Join(root, room))
		err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := fs.ReadFile(files, path)
			for _, pattern := range []*regexp.Regexp{constant, literal} {
				for _, match := range pattern.FindAllStringSubmatch(string(source), -1) {
					words = append(words, match[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return words
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

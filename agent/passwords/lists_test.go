package passwords_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/passwords"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// open opens lists that have no faults.
func open(t *testing.T, words, breached string) *passwords.Lists {
	t.Helper()
	return passwords.Open(words, breached, func(field string, err error) { t.Fatalf("%s: %v", field, err) })
}

// judged compares what is said of a password.
func judged(t *testing.T, l *passwords.Lists, password string, reason writeback.Reason, hint string) {
	t.Helper()
	value := secret.NewString(password)
	err := l.Check(t.Context(), value)
	if got := writeback.ReasonOf(err); got != reason || writeback.DetailOf(err).Hint != hint {
		t.Errorf("%s: %v with hint %q, want %s with %q", password, err, writeback.DetailOf(err).Hint, reason, hint)
	}
	if err != nil && strings.Contains(err.Error(), password) {
		t.Errorf("the password is in the error: %v", err)
	}
	if string(value.Reveal()) != password {
		t.Errorf("%s was changed", password)
	}
}

// replace puts another file in the place of one, in one step.
func replace(t *testing.T, path, content string) {
	t.Helper()
	fresh := filepath.Join(filepath.Dir(path), "fresh")
	check(t, os.WriteFile(fresh, []byte(content), 0o600))
	check(t, os.Rename(fresh, path))
}

func TestNoListsRefuseNothing(t *testing.T) {
	l := open(t, "", "")
	judged(t, l, "password", writeback.ReasonOK, "")
	if err := l.Problem(); err != nil {
		t.Error(err)
	}
}

func TestBothListsCount(t *testing.T) {
	l := open(t, put(t, "contoso\n"), put(t, list("\n", "known-1", "contoso")))
	judged(t, l, "C0ntoso12", writeback.PasswordBanned, "")
	judged(t, l, "contoso", writeback.PasswordBanned, "")
	judged(t, l, "known-1", writeback.PasswordBanned, passwords.HintBreached)
	judged(t, l, "known-2", writeback.ReasonOK, "")
}

func TestAListIsReadAnewWhenItChanges(t *testing.T) {
	words, breached := put(t, "contoso\n"), put(t, list("\n", "known-1"))
	l := open(t, words, breached)
	replace(t, words, "fabrikam\n")
	replace(t, breached, list("\n", "known-2", "known-3"))
	for password, want := range map[string]writeback.Reason{
		"contoso1": writeback.ReasonOK, "fabrikam1": writeback.PasswordBanned, "known-1": writeback.ReasonOK,
	} {
		judged(t, l, password, want, "")
	}
	judged(t, l, "known-2", writeback.PasswordBanned, passwords.HintBreached)
}

// TestABrokenListWhileItRuns: the words stay as they were, the breached passwords stop everything, and both mend.
func TestABrokenListWhileItRuns(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"gone":     func(t *testing.T, path string) { check(t, os.Remove(path)) },
		"broken":   func(t *testing.T, path string) { replace(t, path, "\xff\xff\xff\xff\n") },
		"a folder": func(t *testing.T, path string) { check(t, os.Remove(path)); check(t, os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			words, breached := put(t, "contoso\n"), put(t, list("\n", "known-1"))
			l := open(t, words, breached)
			spoil(t, words)
			judged(t, l, "contoso1", writeback.PasswordBanned, "")
			judged(t, l, "known-1", writeback.PasswordBanned, passwords.HintBreached)
			judged(t, l, "known-2", writeback.ReasonOK, "")
			if err := l.Problem(); err == nil || !strings.Contains(err.Error(), passwords.FieldWords) || strings.Contains(err.Error(), passwords.FieldBreached) {
				t.Errorf("problem: %v", err)
			}
			spoil(t, breached)
			for range 2 { // also when it was seen before
				judged(t, l, "known-2", writeback.AgentMisconfigured, passwords.HintList)
			}
			judged(t, l, "contoso1", writeback.PasswordBanned, "")
			if err := l.Problem(); err == nil || !strings.Contains(err.Error(), passwords.FieldBreached) {
				t.Errorf("problem: %v", err)
			}
			check(t, os.RemoveAll(words))
			check(t, os.RemoveAll(breached))
			check(t, os.WriteFile(words, []byte("fabrikam\n"), 0o600))
			check(t, os.WriteFile(breached, []byte(list("\n", "known-2")), 0o600))
			judged(t, l, "contoso1", writeback.ReasonOK, "")
			judged(t, l, "known-2", writeback.PasswordBanned, passwords.HintBreached)
			if err := l.Problem(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAListThatOnlyLooksRight is searched only after it was looked at: out of order, a password in it could be missed.
func TestAListThatOnlyLooksRight(t *testing.T) {
	breached := put(t, list("\n", "known-1"))
	l := open(t, "", breached)
	lines := strings.SplitAfter(list("\n", "known-1", "known-2"), "\n")
	replace(t, breached, lines[1]+lines[0])
	judged(t, l, "known-3", writeback.AgentMisconfigured, passwords.HintList)
}

// TestAFolderMendsWithoutANewFile: its own time does not change then.
func TestAFolderMendsWithoutANewFile(t *testing.T) {
	dir := ranges(t, ".txt", "known-1")
	first := filepath.Join(dir, "00000.txt")
	good, err := os.ReadFile(first)
	check(t, err)
	l := open(t, "", dir)
	check(t, os.WriteFile(first, []byte("<html>\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o600))
	judged(t, l, "known-1", writeback.AgentMisconfigured, passwords.HintList)
	check(t, os.WriteFile(first, good, 0o600))
	judged(t, l, "known-1", writeback.PasswordBanned, passwords.HintBreached)
}

func TestListsThatCannotBeUsedAreFaults(t *testing.T) {
	faults := map[string]error{}
	passwords.Open(put(t, "ab\n"), put(t, ""), func(field string, err error) { faults[field] = err })
	for _, field := range []string{passwords.FieldWords, passwords.FieldBreached} {
		var typed *writeback.Error
		if !errors.As(faults[field], &typed) || typed.Reason != writeback.AgentMisconfigured || typed.Hint == "" {
			t.Errorf("%s: %v", field, faults[field])
		}
	}
}

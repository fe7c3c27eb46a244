package app_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestBannedWordsTravelThroughTheAgent(t *testing.T) {
	t.Parallel()
	in := install(t)
	check(t, os.WriteFile(in.path("words.txt"), []byte("fabrikam\n"), 0o600))
	in.edit(t, "config.yaml", "policy:\n", "policy:\n  banned_words_file: words.txt\n")
	agent := in.start(t)
	agent.ready(t)
	portal := in.portal(t)
	weak := secret.NewString("F@brikam7-x")
	wantOutcome(t, in.reset(t, portal, "ada", weak), writeback.NotWritten, writeback.PasswordBanned)
	wantOutcome(t, in.reset(t, portal, "ada", newPassword()), writeback.Written, writeback.ReasonOK)
	check(t, os.WriteFile(in.path("words.txt"), []byte("somethingelse\n"), 0o600))
	wantOutcome(t, in.reset(t, portal, "ben", weak), writeback.Written, writeback.ReasonOK)
}

func TestListsThatCannotBeUsedAreFaultsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	in := install(t)
	check(t, os.WriteFile(in.path("words.txt"), []byte("ab\n"), 0o600))
	check(t, os.WriteFile(in.path("pwned.txt"), []byte("hello\n"), 0o600))
	in.edit(t, "config.yaml", "policy:\n", "policy:\n  banned_words_file: words.txt\n  breached_passwords_file: pwned.txt\n")
	_, err := app.Load(in.site.ConfigPath())
	var faults *config.Faults
	if !errors.As(err, &faults) || len(faults.List) != 2 {
		t.Fatalf("%v", err)
	}
	for i, field := range []string{"policy.banned_words_file", "policy.breached_passwords_file"} {
		if f := faults.List[i]; f.Path != field || f.Problem == "" || f.Remedy == "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestAListThatIsLostShows(t *testing.T) {
	board := health.New(time.Now)
	dir := t.TempDir()
	path := dir + "/words.txt"
	check(t, os.WriteFile(path, []byte("fabrikam\n"), 0o600))
	judge := app.NewListJudge(board, config.Policy{BannedWordsFile: path})
	judge.Lists()
	if found := board.Snapshot(); len(found) != 0 {
		t.Errorf("before: %+v", found)
	}
	check(t, os.Remove(path))
	judge.Lists()
	if found := board.Snapshot(); len(found) != 1 || found[0].Name != health.Passwords || found[0].Severity != health.Degraded ||
		!strings.Contains(found[0].Message, "banned_words_file") || found[0].Remedy == "" {
		t.Errorf("lost: %+v", found)
	}
	check(t, os.WriteFile(path, []byte("fabrikam\n"), 0o600))
	judge.Lists()
	if found := board.Snapshot(); len(found) != 0 {
		t.Errorf("after: %+v", found)
	}
}

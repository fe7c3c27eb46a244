package config_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

// A protected file is never taken for a secret that happens to look like one, wherever it is brought.
func TestAProtectedFileThatDoesNotOpenHasARemedy(t *testing.T) {
	foreign := "the secret file is protected for a Windows host (DPAPI)"
	remedy := "credential:NAME"
	if runtime.GOOS == "windows" {
		foreign, remedy = "the protected secret file does not open: ", "secrets protect FILE"
	}
	for name, c := range map[string]struct{ content, problem, remedy string }{
		"another host's":     {"writeback-dpapi-1:bjMzZGxl\r\n", foreign, remedy},
		"nothing behind it":  {"writeback-dpapi-1:", "the protected secret file (DPAPI) is damaged", "secrets protect FILE"},
		"a character behind": {"writeback-dpapi-1:n33dle!", "the protected secret file (DPAPI) is damaged", "secrets protect FILE"},
	} {
		dir := installation(t)
		path := put(t, dir, "bind.secret", c.content, 0o600)
		for kind, read := range map[string]func(string) (secret.Value, error){"secret": config.ReadSecret, "keytab": config.ReadKeytab} {
			if got, err := read(path); !strings.HasPrefix(text(err), c.problem) || err == nil || !got.Empty() {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
		_, err := load(t, dir, minimal)
		faults := faultsOf(t, err)
		if len(faults) != 1 || faults[0].Path != "domains[0].bind.password_file" || !strings.Contains(faults[0].Remedy, c.remedy) {
			t.Errorf("%s: Load: %v", name, err)
		}
		if strings.Contains(text(err), "n33dle") {
			t.Errorf("%s: the fault shows the content: %v", name, err)
		}
	}
}

func TestOnlyTheHeaderAtTheStartCounts(t *testing.T) {
	for _, plain := range []string{"writeback-dpapi-1", " writeback-dpapi-1:AQID", "writeback-dpapi-2:AQID"} {
		got, err := config.ReadSecret(put(t, t.TempDir(), "secret", plain+"\n", 0o600))
		if err != nil || !got.Equal(secret.NewString(plain)) {
			t.Errorf("%q: %v", plain, err)
		}
	}
}

// Each reading opens the file anew, so that a replaced one counts without a restart.
func TestProtectedSecretsAreRead(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skip("DPAPI exists on Windows only")
	}
	path := put(t, t.TempDir(), "secret", "plain", 0o600)
	for _, c := range []struct{ written, line, whole string }{
		{"f1rst\r\n", "f1rst", "f1rst\r\n"}, {"s3cond", "s3cond", "s3cond"}, {"\x05\x02\x00\n", "\x05\x02\x00", "\x05\x02\x00\n"},
	} {
		if err := dpapi.WriteFile(path, secret.NewString(c.written), dpapi.Configuration); err != nil {
			t.Fatal(err)
		}
		line, err := config.ReadSecret(path)
		if err != nil || !line.Equal(secret.NewString(c.line)) {
			t.Errorf("ReadSecret: another one than was written: %v", err)
		}
		whole, err := config.ReadKeytab(path)
		if err != nil || !whole.Equal(secret.NewString(c.whole)) {
			t.Errorf("ReadKeytab: another one than was written: %v", err)
		}
	}
	if err := dpapi.WriteFile(path, secret.NewString("\r\n"), dpapi.Configuration); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret(path); text(err) != "the secret file is empty" {
		t.Errorf("an empty one: %v", err)
	}
}

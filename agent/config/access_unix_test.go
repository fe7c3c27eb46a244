//go:build !windows

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/password-writeback/writeback/agent/config"
)

func TestSecretsMustBePrivate(t *testing.T) {
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o620: false, 0o601: false, 0o666: false} {
		dir := installation(t)
		put(t, dir, "bind.secret", "x", mode)
		_, err := load(t, dir, minimal)
		faults := faultsOf(t, err)
		if want && err != nil {
			t.Errorf("mode %04o is refused: %v", mode, err)
		}
		if !want && (len(faults) != 1 || faults[0].Path != "domains[0].bind.password_file" || !strings.Contains(faults[0].Remedy, "chmod 0600")) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestCredentialsOfSystemdMayShowAGroup(t *testing.T) {
	dir := t.TempDir()
	inside := put(t, dir, "bind", "x", 0o440)
	if _, err := config.ReadSecret(inside); err == nil {
		t.Error("read although the group may read it")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir+"/")
	if _, err := config.ReadSecret(inside); err != nil {
		t.Errorf("a credential is refused: %v", err)
	}
	if _, err := config.ReadSecret(put(t, dir, "sub/bind", "x", 0o440)); err == nil {
		t.Error("a file elsewhere counts as a credential")
	}
	if _, err := config.ReadSecret(put(t, dir, "open", "x", 0o444)); err == nil {
		t.Error("a credential everybody may read is accepted")
	}
}

func TestWhatIsTrustedMustNotBeWritableByEverybody(t *testing.T) {
	for file, path := range map[string]string{"config.yaml": "", "portal.jwk": "issuers[0].keys[0]", "root.pem": "domains[0].ca_file"} {
		dir := installation(t)
		put(t, dir, "config.yaml", with(t, "    bind:\n", "    ca_file: root.pem\n    bind:\n"), 0o644)
		if err := os.Chmod(filepath.Join(dir, file), 0o664); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(filepath.Join(dir, "config.yaml")); err != nil {
			t.Errorf("%s, writable by its group: %v", file, err)
		}
		if err := os.Chmod(filepath.Join(dir, file), 0o646); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(filepath.Join(dir, "config.yaml"))
		if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Path != path || !strings.Contains(faults[0].Problem, "changed by everybody") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestListsMustNotBeWritableByEverybody(t *testing.T) {
	dir := installation(t)
	put(t, dir, "words.txt", "contoso", 0o644)
	if err := os.Chmod(filepath.Join(dir, "words.txt"), 0o646); err != nil { // past the umask
		t.Fatal(err)
	}
	_, err := load(t, dir, minimal+"policy: {banned_words_file: words.txt}\n")
	if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Path != "policy.banned_words_file" || !strings.Contains(faults[0].Remedy, "chmod o-w") {
		t.Errorf("faults: %v", faults)
	}
}

func TestAPipeDoesNotHangTheLoader(t *testing.T) {
	dir := installation(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret(pipe); text(err) != "not a regular file" {
		t.Errorf("ReadSecret: %v", err)
	}
}

func TestTwoNamesOfOneKeyFile(t *testing.T) {
	dir := installation(t)
	if err := os.Link(filepath.Join(dir, "portal.jwk"), filepath.Join(dir, "copy.jwk")); err != nil {
		t.Fatal(err)
	}
	_, err := load(t, dir, with(t, "keys: [portal.jwk]", "keys: [portal.jwk, copy.jwk]"))
	if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Path != "issuers[0].keys[1]" {
		t.Errorf("Load: %v", err)
	}
}

func TestTheSocketsGroupMustExist(t *testing.T) {
	if _, err := load(t, installation(t), with(t, `group: ""`, "group: root")); err != nil {
		t.Errorf("group root: %v", err)
	}
}

func TestAFileThatMayNotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := installation(t)
	put(t, dir, "portal.jwk", "{}", 0o000)
	_, err := load(t, dir, minimal)
	if faults := faultsOf(t, err); len(faults) != 1 || !strings.Contains(faults[0].Remedy, "uid ") {
		t.Errorf("Load: %v", err)
	}
}

package config_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/config"
)

// Each method takes just the files it needs.
func TestBindMethods(t *testing.T) {
	const file = "      password_file: bind.secret"
	service := []string{"domains[0].bind.method: works on Windows only"}
	if runtime.GOOS == "windows" {
		service = nil
	}
	for name, c := range map[string]struct {
		replacement string
		want        []string
	}{
		"simple, written out":     {"      method: simple\n" + file, nil},
		"unknown":                 {"      method: ntlm\n" + file, []string{"domains[0].bind.method: unknown value", "domains[0].bind.password_file: is not used with this bind method"}},
		"no password":             {"      method: simple", []string{"domains[0].bind.password_file: is missing"}},
		"password and keytab":     {file + "\n      keytab_file: svc.keytab", []string{"domains[0].bind.keytab_file: is not used with this bind method"}},
		"password and krb5.conf":  {file + "\n      krb5_conf_file: krb5.conf", []string{"domains[0].bind.krb5_conf_file: is not used with this bind method"}},
		"Kerberos":                {"      method: kerberos\n      keytab_file: svc.keytab", nil},
		"Kerberos with krb5.conf": {"      method: kerberos\n      keytab_file: svc.keytab\n      krb5_conf_file: krb5.conf", nil},
		"Kerberos with nothing":   {"      method: kerberos", []string{"domains[0].bind.keytab_file: is missing"}},
		"Kerberos with password":  {"      method: kerberos\n      keytab_file: svc.keytab\n" + file, []string{"domains[0].bind.password_file: is not used with this bind method"}},
		"empty keytab":            {"      method: kerberos\n      keytab_file: empty.keytab", []string{"domains[0].bind.keytab_file: the keytab is empty"}},
		"keytab that is gone":     {"      method: kerberos\n      keytab_file: no.keytab", []string{"domains[0].bind.keytab_file: the file does not exist"}},
		"service":                 {"      method: service", service},
		"service with password":   {"      method: service\n" + file, append(service, "domains[0].bind.password_file: is not used with this bind method")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := installation(t)
			put(t, dir, "svc.keytab", "\x05\x02\n", 0o600)
			put(t, dir, "empty.keytab", "", 0o600)
			put(t, dir, "krb5.conf", "[libdefaults]\n", 0o644)
			_, err := load(t, dir, with(t, file, c.replacement))
			var got []string
			for _, fault := range faultsOf(t, err) {
				got = append(got, fault.Path+": "+fault.Problem)
				if fault.Remedy == "" {
					t.Errorf("%s: no remedy", fault.Path)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// A keytab is not text: what looks like a line end at its end belongs to it.
func TestReadKeytab(t *testing.T) {
	path := put(t, t.TempDir(), "svc.keytab", "\x05\x02key\r\n", 0o600)
	got, err := config.ReadKeytab(path)
	if err != nil || string(got.Reveal()) != "\x05\x02key\r\n" {
		t.Errorf("%d bytes, %v", got.Len(), err)
	}
	if _, err := config.ReadKeytab(filepath.Join(t.TempDir(), "none")); text(err) != "the file does not exist" {
		t.Errorf("error %v", err)
	}
}

func TestCredentialsOfSystemd(t *testing.T) {
	const file = "password_file: bind.secret"
	handed := t.TempDir()
	put(t, handed, "bind-password", "handed over\n", 0o400)
	for name, c := range map[string]struct{ folder, value, want string }{
		"handed over":  {handed, "credential:bind-password", ""},
		"none":         {"", "credential:bind-password", "systemd handed no credentials to this process"},
		"not there":    {handed, "credential:other", "the file does not exist"},
		"without name": {handed, "'credential:'", "not the name of a credential"},
		"a path":       {handed, "credential:../bind-password", "not the name of a credential"},
		"its parent":   {handed, "credential:..", "not the name of a credential"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CREDENTIALS_DIRECTORY", c.folder)
			loaded, err := load(t, installation(t), with(t, file, "password_file: "+c.value))
			var problems []string
			for _, fault := range faultsOf(t, err) {
				problems = append(problems, fault.Path+": "+fault.Problem)
			}
			if c.want != "" {
				if diff := cmp.Diff([]string{"domains[0].bind.password_file: " + c.want}, problems); diff != "" {
					t.Errorf("faults (-want +got):\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.ReadSecret(loaded.Domains[0].Bind.PasswordFile)
			if err != nil || string(got.Reveal()) != "handed over" {
				t.Errorf("read %d bytes, %v", got.Len(), err)
			}
		})
	}
	t.Setenv("CREDENTIALS_DIRECTORY", handed)
	_, err := load(t, installation(t), with(t, "connection_string_file: relay.secret", "connection_string_file: credential:n33dle"))
	if err == nil || strings.Contains(err.Error(), "n33dle") {
		t.Errorf("a fault shows what may be a secret in the wrong place: %v", err)
	}
}

package sambalab

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
)

// complete returns an environment that announces a whole lab.
func complete(t *testing.T) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("Initial"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"WRITEBACK_SAMBA_ADDR":                  "127.0.0.10:636",
		"WRITEBACK_SAMBA_HOST":                  "dc1.corp.example.com",
		"WRITEBACK_SAMBA_CA":                    "/lab/ca.crt",
		"WRITEBACK_SAMBA_BASE_DN":               "DC=corp,DC=example,DC=com",
		"WRITEBACK_SAMBA_REALM":                 "CORP.EXAMPLE.COM",
		"WRITEBACK_SAMBA_KRB5_CONFIG":           "/lab/krb5.conf",
		"WRITEBACK_SAMBA_SERVICE_USER":          "writeback-svc@corp.example.com",
		"WRITEBACK_SAMBA_SERVICE_PASSWORD_FILE": file,
		"WRITEBACK_SAMBA_USER_PASSWORD_FILE":    file,
	}
}

func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestOpenReadsTheEnvironment(t *testing.T) {
	lab, reason, err := open(lookup(complete(t)), "WRITEBACK_SAMBA")
	if err != nil || reason != "" {
		t.Fatalf("open: reason %q, error %v", reason, err)
	}
	if lab.Addr != "127.0.0.10:636" || lab.Host != "dc1.corp.example.com" {
		t.Errorf("lab at %s (%s)", lab.Addr, lab.Host)
	}
	if !lab.UserPassword.Equal(secret.NewString("Initial")) {
		t.Error("the users' password is not the file's content")
	}
	if got := lab.UPN("alice"); got != "alice@corp.example.com" {
		t.Errorf("UPN %q", got)
	}
	if got := lab.StaffDN(); got != "OU=Staff,DC=corp,DC=example,DC=com" {
		t.Errorf("StaffDN %q", got)
	}
}

func TestOpenSaysWhyThereIsNoLab(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing set": {nil, "not running"},
		"left out":    {map[string]string{"WRITEBACK_SAMBA_LEFT_OUT": "this is not Debian"}, "this is not Debian"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, reason, err := open(lookup(test.env), "WRITEBACK_SAMBA")
			if err != nil || !strings.Contains(reason, test.want) {
				t.Errorf("reason %q, error %v; want a reason with %q", reason, err, test.want)
			}
		})
	}
}

func TestOpenRefusesHalfALab(t *testing.T) {
	for name := range complete(t) {
		if name == "WRITEBACK_SAMBA_ADDR" { // without it there is no lab at all
			continue
		}
		t.Run(name, func(t *testing.T) {
			env := complete(t)
			delete(env, name)
			_, _, err := open(lookup(env), "WRITEBACK_SAMBA")
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v does not name %s", err, name)
			}
		})
	}
	t.Run("unreadable password", func(t *testing.T) {
		env := complete(t)
		env["WRITEBACK_SAMBA_USER_PASSWORD_FILE"] = filepath.Join(t.TempDir(), "absent")
		if _, _, err := open(lookup(env), "WRITEBACK_SAMBA"); !os.IsNotExist(unwrapAll(err)) {
			t.Errorf("error %v, want not-exist", err)
		}
	})
}

func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if os.IsNotExist(err) {
			return err
		}
		err = inner.Unwrap()
	}
}

// The controller presents a certificate that Go verifies by its DNS name, with the lab's authority as the only root.
func TestControllerProvesItsName(t *testing.T) {
	lab := Open(t)
	config := &tls.Config{RootCAs: lab.Roots(t), ServerName: lab.Host, MinVersion: tls.VersionTLS12}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", lab.Addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	config.ServerName = "dc9.corp.example.com"
	if conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", lab.Addr); err == nil {
		_ = conn.Close()
		t.Error("a certificate for another name was accepted")
	}
}

// Seeded people can log in; a wrong password, a person who must change, and one who is locked are told apart.
func TestKinit(t *testing.T) {
	lab := Open(t)
	tests := []struct {
		login    string
		password secret.Value
		want     string // part of the error; empty for success
	}{
		{"u00000", lab.UserPassword, ""},
		{"u00001", secret.NewString("not it"), "Password incorrect"},
		{"locked4", lab.UserPassword, "revoked"},
		{"disabled1", lab.UserPassword, "revoked"},
		{"nobody", lab.UserPassword, "not found"},
	}
	for _, test := range tests {
		t.Run(test.login, func(t *testing.T) {
			err := lab.Kinit(t, test.login, test.password)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

package app_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// secondConnection names a file with a connection string for results.
const secondConnection = "relay:\n  results_connection_string_file: secrets/results\n"

func TestLoadHasEveryRoomJudgeWhatItWillUse(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*testing.T, *installation)
		want  map[string]string // by field: part of the problem
	}{
		"nothing": {func(*testing.T, *installation) {}, nil},
		"a connection string for another queue": {
			func(t *testing.T, in *installation) {
				in.write(t, "secrets/relay-connection-string", connectionString(";EntityPath=elsewhere"))
			},
			map[string]string{"relay.connection_string_file": "another queue"},
		},
		"a broken connection string for results": {
			func(t *testing.T, in *installation) {
				in.edit(t, "config.yaml", "relay:\n", secondConnection)
				in.write(t, "secrets/results", "Endpoint=sb://corp.example.com")
			},
			map[string]string{"relay.results_connection_string_file": "is missing"},
		},
		"two broken connection strings": {
			func(t *testing.T, in *installation) {
				in.edit(t, "config.yaml", "relay:\n", secondConnection)
				in.write(t, "secrets/relay-connection-string", "SharedAccessKey=k")
				in.write(t, "secrets/results", connectionString(";EntityPath=one")+";nonsense")
			},
			map[string]string{"relay.connection_string_file": "is missing", "relay.results_connection_string_file": "not a known Key=value"},
		},
		"an issuer's key that is none": {
			func(t *testing.T, in *installation) { in.write(t, "issuers/portal.jwk", "ssh-ed25519 AAAA") },
			map[string]string{"issuers[0].keys[0]": "portal.jwk"},
		},
		"an issuer's key that seals": {
			func(t *testing.T, in *installation) {
				in.write(t, "issuers/portal.jwk", publicKey(t, envelope.GenerateSealingKey))
			},
			map[string]string{"issuers": `for use "enc"`},
		},
		"a key of two issuers": {
			func(t *testing.T, in *installation) {
				pinned, err := os.ReadFile(in.path("issuers/portal.jwk"))
				check(t, err)
				in.write(t, "issuers/copy.jwk", string(pinned))
				in.edit(t, "config.yaml", "issuers:\n", "issuers:\n  - {id: other, keys: [issuers/copy.jwk]}\n")
			},
			map[string]string{"issuers": "is pinned to the issuers"},
		},
		"a key of two issuers, revoked": { // which one it is, and what is kept of it elsewhere, must not hide the fault
			func(t *testing.T, in *installation) {
				pinned, err := os.ReadFile(in.path("issuers/portal.jwk"))
				check(t, err)
				in.write(t, "issuers/copy.jwk", string(pinned))
				in.edit(t, "config.yaml", "issuers:\n", "issuers:\n  - {id: other, keys: [issuers/copy.jwk]}\n")
				trust, err := envelope.OpenTrustStore(in.path("state/trust"))
				check(t, err)
				check(t, trust.Revoke(in.site.PortalKey.KeyID(), time.Now(), ""))
			},
			map[string]string{"issuers": "is pinned to the issuers"},
		},
		"keys that others may read": {
			func(t *testing.T, in *installation) { in.openToAll(t, "state/keys") },
			map[string]string{"keys_dir": "others than its owner can use it"},
		},
		"no keys": {
			func(t *testing.T, in *installation) { check(t, os.RemoveAll(in.path("state/keys"))) },
			map[string]string{"keys_dir": "no keys yet"},
		},
		"no signing key": {
			func(t *testing.T, in *installation) { in.removeKey(t, envelope.UseSign) },
			map[string]string{"keys_dir": "no signing key"},
		},
		"no sealing key": {
			func(t *testing.T, in *installation) { in.removeKey(t, envelope.UseSeal) },
			map[string]string{"keys_dir": "no sealing key"},
		},
		"a portal without a key": {
			func(t *testing.T, in *installation) {
				in.edit(t, "config.yaml", "issuers:\n", "issuers:\n  - {id: other}\n")
			},
			map[string]string{"issuers[0].keys": "no key of this portal is known"},
		},
		"a name that only looks like one": {
			func(t *testing.T, in *installation) { in.edit(t, "config.yaml", `"OU=Staff,`, `"OU=St\\zz,`) },
			map[string]string{"domains[0].scope.include[0]": "a backslash must stand before"},
		},
		"faults of the file and of a key": {
			func(t *testing.T, in *installation) {
				in.edit(t, "config.yaml", "relay:\n", "relay:\n  concurency: 3\n")
				in.write(t, "issuers/portal.jwk", "{}")
			},
			map[string]string{"relay.concurency": "unknown field", "issuers[0].keys[0]": "portal.jwk"},
		},
		"a file that cannot be read at all": {
			func(t *testing.T, in *installation) {
				in.write(t, "config.yaml", "version: 99\n")
				in.write(t, "issuers/portal.jwk", "{}")
			},
			map[string]string{"version": "99"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			c.spoil(t, in)
			before := in.files(t)
			cfg, err := app.Load(in.site.ConfigPath())
			if diff := cmp.Diff(before, in.files(t)); diff != "" {
				t.Errorf("it changed the host (-before +after):\n%s", diff)
			}
			if c.want == nil {
				check(t, err)
				return
			}
			var faults *config.Faults
			if cfg != nil || !errors.As(err, &faults) || faults.File != in.site.ConfigPath() {
				t.Fatalf("configuration %v, %T: %v", cfg, err, err)
			}
			wantFaults(t, faults.List, c.want)
		})
	}
}

// wantFaults wants each field with its problem, and no other field. Every fault has a remedy.
func wantFaults(t *testing.T, got []config.Fault, want map[string]string) {
	t.Helper()
	fields := map[string]bool{}
	for _, fault := range got {
		fields[fault.Path] = true
		if problem, wanted := want[fault.Path]; !wanted || !strings.Contains(fault.Problem, problem) || fault.Remedy == "" || strings.Contains(fault.Remedy, "config validate") {
			t.Errorf("%+v", fault)
		}
	}
	for field := range want {
		if !fields[field] {
			t.Errorf("nothing is said about %s", field)
		}
	}
}

func TestLoadOfAFileThatIsNotThere(t *testing.T) {
	_, err := app.Load(filepath.Join(t.TempDir(), "config.yaml"))
	var faults *config.Faults
	if !errors.As(err, &faults) || len(faults.List) != 1 || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v", err)
	}
}

// A file may become unreadable between the check and the start.
func TestFilesThatAreGoneAfterTheCheckAreNamed(t *testing.T) {
	for file, field := range map[string]string{
		"secrets/relay-connection-string": "relay.connection_string_file", "ca.pem": "domains[0].ca_file",
		"issuers/portal.jwk": "issuers[0].keys[0]", "secrets/results": "relay.results_connection_string_file",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			in.edit(t, "config.yaml", "relay:\n", secondConnection)
			in.write(t, "secrets/results", connectionString(""))
			cfg := in.config(t)
			check(t, os.Remove(in.path(file)))
			_, err := newAgent(t, cfg, in.log)
			if writeback.ReasonOf(err) != writeback.AgentMisconfigured || !strings.Contains(err.Error(), field) {
				t.Errorf("%v", err)
			}
		})
	}
}

// files lists what is in the site.
func (in *installation) files(t *testing.T) (names []string) {
	t.Helper()
	check(t, fs.WalkDir(os.DirFS(in.site.Folder), ".", func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}

func (in *installation) write(t *testing.T, name, content string) {
	t.Helper()
	check(t, os.WriteFile(in.path(name), []byte(content), 0o600))
}

func (in *installation) removeKey(t *testing.T, use envelope.Use) {
	t.Helper()
	for _, key := range in.public {
		if key.Use() == use {
			name := map[envelope.Use]string{envelope.UseSeal: "sealing-", envelope.UseSign: "signing-"}[use]
			check(t, os.Remove(in.path("state/keys/"+name+key.KeyID()+".jwk")))
		}
	}
}

func connectionString(end string) string {
	return "Endpoint=sb://corp.servicebus.windows.net/;SharedAccessKeyName=agent;SharedAccessKey=a2V5" + end
}

func publicKey(t *testing.T, generate func() (envelope.PrivateKey, error)) string {
	t.Helper()
	key, err := generate()
	check(t, err)
	text, err := envelope.EncodePublicKey(key.Public())
	check(t, err)
	return string(text)
}

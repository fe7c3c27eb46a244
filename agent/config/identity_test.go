package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/password-writeback/writeback/agent/config"
)

func TestLoadIdentity(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		path    string // of the fault; "-": none
	}{
		"keys come before everything else": {"version: 1\ngroup: corp\nagent: host1\nstate_dir: state\nissuers: [{id: portal, keys: [absent.jwk]}]\n", "-"},
		"its own fields are checked":       {"version: 1\ngroup: not a group!\nagent: host1\n", "group"},
		"a newer format":                   {"version: 99\n", "version"},
		"not YAML":                         {"group: [", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.LoadIdentity(path)
			if c.path == "-" {
				if err != nil {
					t.Fatal(err)
				}
				if want := filepath.Join(filepath.Dir(path), "state", "keys"); cfg.Group != "corp" || cfg.Agent != "host1" || cfg.KeysDir != want {
					t.Errorf("group %q, agent %q, keys %q; want corp, host1, %s", cfg.Group, cfg.Agent, cfg.KeysDir, want)
				}
				return
			}
			var faults *config.Faults
			if !errors.As(err, &faults) || len(faults.List) != 1 || faults.List[0].Path != c.path {
				t.Errorf("error %v, want one fault at %q", err, c.path)
			}
		})
	}
}

package lab_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet(t *testing.T) logrus.FieldLogger {
	t.Helper()
	log, err := logging.New(new(bytes.Buffer), logging.Options{Level: "error", Format: "text"})
	check(t, err)
	return log
}

func openNamespace(t *testing.T) *lab.Namespace {
	t.Helper()
	namespace, err := lab.OpenNamespace(t.Context(), "127.0.0.1:0", quiet(t))
	check(t, err)
	t.Cleanup(func() { check(t, namespace.Close()) })
	return namespace
}

func openDirectory(t *testing.T) *lab.Directory {
	t.Helper()
	directory, err := lab.OpenDirectory("")
	check(t, err)
	t.Cleanup(func() { check(t, directory.Close()) })
	return directory
}

// strange is a domain whose names need care in a YAML file.
func strange(t *testing.T) lab.Domain {
	t.Helper()
	d := openDirectory(t).Domain()
	d.BindUser = `CORP\svc: "writeback" #1`
	d.Password = secret.NewString("bind-secret: '\"\\ and a blank ")
	d.Include = []string{"OU=Staff,DC=corp,DC=example,DC=com", `OU=A\, B,DC=corp,DC=example,DC=com`}
	d.Exclude = []string{`OU=#x,OU=Staff,DC=corp,DC=example,DC=com`}
	d.Hints = "warn"
	return d
}

// TestConfigurationIsWhatWasAskedFor lets the agent's own loader judge the file.
func TestConfigurationIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	domain := strange(t)
	site, err := lab.NewSite(t.TempDir(), openNamespace(t), domain)
	check(t, err)
	cfg, err := config.Load(site.ConfigPath())
	check(t, err)
	type view struct {
		Group, Agent, Requests, Results, Domain, NetBIOS, User string
		Controllers, Include, Exclude                          []string
		Hints                                                  config.HintsRule
		Drain                                                  time.Duration
	}
	got := view{
		cfg.Group, cfg.Agent, cfg.Relay.RequestsQueue, cfg.Issuers[0].ResultsQueue, cfg.Domains[0].Name, cfg.Domains[0].NetBIOSName,
		cfg.Domains[0].Bind.User, cfg.Domains[0].Controllers, cfg.Domains[0].Scope.Include, cfg.Domains[0].Scope.Exclude,
		cfg.Policy.Hints, cfg.Relay.Drain,
	}
	want := view{
		lab.Group, lab.AgentName, lab.RequestsQueue, lab.ResultsQueue, domain.Name, domain.NetBIOSName,
		domain.BindUser, []string{domain.Controller}, domain.Include, domain.Exclude,
		config.HintsWarn, 5 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// TestSecretsStayInTheirFiles: nothing is open to others, and no secret is anywhere but in its own file.
func TestSecretsStayInTheirFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs Unix modes")
	}
	domain, namespace := strange(t), openNamespace(t)
	site, err := lab.NewSite(t.TempDir(), namespace, domain)
	check(t, err)
	check(t, site.MakeKeys())
	holders := map[string]string{
		"secrets/bind-password":           string(domain.Password.Reveal()),
		"secrets/relay-connection-string": string(namespace.AgentConnection().Reveal()),
		"portal/connection-string":        string(namespace.PortalConnection().Reveal()),
	}
	found := map[string]bool{}
	files := os.DirFS(site.Folder)
	check(t, fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		check(t, err)
		info, err := entry.Info()
		check(t, err)
		if name != "." && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %o", name, info.Mode().Perm())
		}
		if entry.IsDir() {
			return nil
		}
		content, err := fs.ReadFile(files, name)
		check(t, err)
		for holder, value := range holders {
			if bytes.Contains(content, []byte(value)) {
				found[holder] = true
				if name != holder {
					t.Errorf("%s holds the secret of %s", name, holder)
				}
			}
		}
		return nil
	}))
	if len(found) != len(holders) {
		t.Errorf("only %v hold their secrets", found)
	}
}

// TestPortalFilesFitTogether reads the profile as a sender does.
func TestPortalFilesFitTogether(t *testing.T) {
	t.Parallel()
	site, err := lab.NewSite(t.TempDir(), openNamespace(t), openDirectory(t).Domain())
	check(t, err)
	check(t, site.MakeKeys())
	folder := filepath.Join(site.Folder, "portal")
	text, err := os.ReadFile(filepath.Join(folder, "profile.json"))
	check(t, err)
	var profile struct {
		Issuer, Group, Key string
		Agents             []string
		ConnectionString   string `json:"connection_string_file"`
	}
	check(t, json.Unmarshal(text, &profile))
	key, err := envelope.LoadKey(filepath.Join(folder, profile.Key))
	check(t, err)
	pinned, err := envelope.LoadPublicKeys(filepath.Join(site.Folder, "issuers", "portal.jwk"))
	check(t, err)
	if len(pinned) != 1 || pinned[0].KeyID() != key.KeyID() {
		t.Errorf("the agent pins %v, the portal signs with %s", pinned, key.KeyID())
	}
	agents, err := envelope.LoadPublicKeys(filepath.Join(folder, profile.Agents[0]))
	check(t, err)
	uses := map[envelope.Use]int{}
	for _, agent := range agents {
		uses[agent.Use()]++
		if agent.Agent() != lab.Group+"/"+lab.AgentName {
			t.Errorf("the key %s says it is of %q", agent, agent.Agent())
		}
	}
	if uses[envelope.UseSeal] != 1 || uses[envelope.UseSign] != 1 {
		t.Errorf("the agent has keys for %v, want one of each use", uses)
	}
	if _, err := os.Stat(filepath.Join(folder, profile.ConnectionString)); err != nil || profile.Issuer != lab.Issuer || profile.Group != lab.Group {
		t.Errorf("profile %+v: %v", profile, err)
	}
}

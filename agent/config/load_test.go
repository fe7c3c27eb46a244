package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestLoadFillsInTheDefaults(t *testing.T) {
	dir := installation(t)
	got, err := load(t, dir, minimal)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Version, want.Group, want.Agent = 1, "corp", "a1"
	want.KeysDir, want.Audit.Dir = filepath.Join(want.StateDir, "keys"), filepath.Join(want.StateDir, "audit")
	want.Relay.ConnectionStringFile = filepath.Join(dir, "relay.secret")
	want.Status.Group = ""
	want.Domains = []config.Domain{{
		Name: "corp.example.com", NetBIOSName: "CORP", SearchBase: "DC=corp,DC=example,DC=com", Connections: 4, Transport: config.TransportLDAPS,
		EnabledFor:  config.EnabledForAll,
		Controllers: []string{"dc1.corp.example.com:636"},
		Bind:        config.Bind{Method: config.BindSimple, User: "svc@corp.example.com", PasswordFile: filepath.Join(dir, "bind.secret")},
		Scope:       config.Scope{Include: []string{"OU=Staff,DC=corp,DC=example,DC=com"}},
	}}
	want.Issuers = []config.Issuer{{
		ID: "portal", Keys: []string{filepath.Join(dir, "portal.jwk")}, ResultsQueue: "writeback-results-portal",
		Operations: []writeback.Operation{"reset", "unlock", "check", "ping"}, Rate: config.Rate{Requests: 20000, Per: time.Hour},
		Actors:      []writeback.ActorKind{"self"},
		Identifiers: []writeback.IdentifierKind{"sid", "guid", "upn", "sam", "immutable_id"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	got := config.Default()
	want := config.Policy{
		Hints: config.HintsRequire, MaxRequestLife: 2 * time.Minute, ClockSkew: 30 * time.Second,
		WriteTimeout: 5 * time.Second, ControllerSearch: 10 * time.Second, UserBudget: config.UserBudget{Failures: 5, Per: time.Hour},
	}
	if diff := cmp.Diff(want, got.Policy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if got.Relay.Concurrency != 16 || got.Relay.Drain != 20*time.Second {
		t.Errorf("relay = %+v", got.Relay)
	}
}

func TestWrittenValuesReplaceTheDefaults(t *testing.T) {
	dir := installation(t)
	got, err := load(t, dir, minimal+`
state_dir: state
policy: {hints: warn, max_request_life: 1m, clock_skew: 1s, user_budget: {failures: 3, per: 10m}}
audit: {max_file_size: 1GiB}
log: {level: debug, format: json}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Policy{Hints: config.HintsWarn, MaxRequestLife: time.Minute, ClockSkew: time.Second, WriteTimeout: 5 * time.Second, ControllerSearch: 10 * time.Second,
		UserBudget: config.UserBudget{Failures: 3, Per: 10 * time.Minute}}
	if diff := cmp.Diff(want, got.Policy); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	paths := []string{got.StateDir, got.KeysDir, got.Audit.Dir}
	if diff := cmp.Diff([]string{dir + "/state", dir + "/state/keys", dir + "/state/audit"}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	if got.Audit.MaxFileSize != config.GiB || got.Log != (config.Log{Level: "debug", Format: "json"}) {
		t.Errorf("audit = %+v, log = %+v", got.Audit, got.Log)
	}
}

func TestAnIssuersListsReplaceTheDefaults(t *testing.T) {
	text := with(t, "    keys: [portal.jwk]", "    keys: [portal.jwk]\n    operations: [ping]\n    identifiers: [mail]\n    actors: [admin]")
	got, err := load(t, installation(t), text)
	if err != nil {
		t.Fatal(err)
	}
	issuer := got.Issuers[0]
	if diff := cmp.Diff([]writeback.Operation{writeback.OpPing}, issuer.Operations); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if issuer.Identifiers[0] != writeback.ByMail || issuer.Actors[0] != writeback.ActorAdmin {
		t.Errorf("identifiers = %v, actors = %v", issuer.Identifiers, issuer.Actors)
	}
}

func TestTheAgentIsNamedAfterItsHostWithoutTellingIt(t *testing.T) {
	dir := installation(t)
	text := []byte(strings.Replace(minimal, "agent: a1\n", "", 1))
	named := func(name string, err error) func() (string, error) {
		return func() (string, error) { return name, err }
	}
	got, err := config.Parse(text, dir+"/config.yaml", named("DC-Agent7.Corp.Example.com", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got.Agent != "agent-bad9f9b6" {
		t.Errorf("agent = %q", got.Agent)
	}
	for name, hostname := range map[string]func() (string, error){
		"unknown": named("", errors.New("no name")), "empty": named("", nil),
	} {
		_, err := config.Parse(text, dir+"/config.yaml", hostname)
		if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Path != "agent" || !strings.Contains(faults[0].Problem, "host name") {
			t.Errorf("%s host name: %v", name, err)
		}
	}
}

func TestControllersGetTheLDAPSPort(t *testing.T) {
	text := with(t, "controllers: [dc1.corp.example.com]", `controllers: [dc1.corp.example.com, "dc2:10636", "192.0.2.1", "[2001:db8::1]", "[2001:db8::2]:1636"]`)
	got, err := load(t, installation(t), text)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"dc1.corp.example.com:636", "dc2:10636", "192.0.2.1:636", "[2001:db8::1]:636", "[2001:db8::2]:1636"}
	if diff := cmp.Diff(want, got.Domains[0].Controllers); diff != "" {
		t.Errorf("controllers (-want +got):\n%s", diff)
	}
}

func TestEveryFaultInOneRun(t *testing.T) {
	const text = `gruop: corp
relay:
  connection_string_file: missing.secret
  concurrency: lots
  drain: 20
domains:
  - name: corp.example.com
    controllers: dc1
    bind: {user: "", password_file: bind.secret, password: x}
    scope: {include: ["OU=Staff"]}
issuers:
  - id: portal
    keys: [missing.jwk]
    operations: [fly]
  - id: portal
    keys: []
log:
  level: loud
  level: info
status: {group: ""}
`
	_, err := load(t, installation(t), text)
	var got []string
	for _, fault := range faultsOf(t, err) {
		got = append(got, strings.SplitN(fault.String(), "\n", 2)[0])
		if fault.Remedy == "" {
			t.Errorf("%s has no remedy", fault.Path)
		}
	}
	want := []string{
		"line 1: gruop: unknown field",
		"line 3: relay.connection_string_file: the file does not exist",
		"line 4: relay.concurrency: must be a whole number",
		"line 5: relay.drain: must be a time with its unit",
		"line 8: domains[0].controllers: must be a list",
		"line 9: domains[0].bind.password: unknown field",
		"line 9: domains[0].bind.user: is missing",
		"line 10: domains[0].scope.include[0]: not in a configured domain",
		"line 13: issuers[0].keys[0]: ", // the path follows
		"line 14: issuers[0].operations[0]: unknown value",
		"line 15: issuers[1].id: the same as issuers[0].id",
		"line 15: issuers[1].results_queue: the same as issuers[0].results_queue",
		"line 18: log.level: unknown value",
		"line 19: log.level: stands twice, first on line 18",
		"version: is missing",
		"group: is missing",
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b string) bool {
		return a == b || strings.HasSuffix(a, "keys[0]: ") && strings.HasPrefix(b, a)
	})); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestTheErrorIsReadable(t *testing.T) {
	dir := installation(t)
	_, err := load(t, dir, "gruop: x\n"+minimal)
	want := filepath.Join(dir, "config.yaml") + ": 1 fault\n  line 1: gruop: unknown field\n      Did you mean group?"
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
}

func TestFilesThatCannotBeAConfiguration(t *testing.T) {
	dir := installation(t)
	cases := map[string]struct {
		text    string
		line    int
		problem string
	}{
		"empty":           {"", 0, "the file is empty"},
		"only comments":   {"# nothing\n", 0, "the file is empty"},
		"null":            {"~\n", 0, "the file is empty"},
		"syntax":          {"version: 1\ngroup: [a\n", 2, "not valid YAML: did not find expected ',' or ']'"},
		"tab":             {"version: 1\nrelay:\n\tconcurrency: 1\n", 3, "not valid YAML: found character that cannot start any token"},
		"not UTF-8":       {"group: \xff\n", 0, "not valid YAML: invalid"},
		"two documents":   {minimal + "---\nversion: 1\n", 19, "the file holds more than one YAML document"},
		"a list":          {"- version: 1\n", 1, "must be a set of fields"},
		"a newer version": {"version: 2\nnew_feature: 1\n", 1, "the file has format version 2, this agent reads up to 1"},
		"larger than any": {strings.Repeat("# filling\n", 120_000), 0, "the file is larger than 1MiB"},
	}
	for name, c := range cases {
		_, err := load(t, dir, c.text)
		faults := faultsOf(t, err)
		if len(faults) == 0 || faults[0].Line != c.line || !strings.HasPrefix(faults[0].Problem, c.problem) {
			t.Errorf("%s: %v, want line %d: %s", name, err, c.line, c.problem)
		}
	}
}

func TestAConfigurationThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"absent": filepath.Join(dir, "none.yaml"), "a folder": dir} {
		_, err := config.Load(path)
		if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Remedy == "" || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheDefaultPathIsAbsolute(t *testing.T) {
	if path := config.DefaultPath(); !filepath.IsAbs(path) || filepath.Base(path) != "config.yaml" {
		t.Errorf("DefaultPath() = %s", path)
	}
}

func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{minimal, string(text), "", "[", "a: &x [*x]", "version: 1\nversion: 9", "? [a]\n: b", "domains: [~, {}, 1]", "\xef\xbb\xbfversion: 1", "!!binary x"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		loaded, err := config.Parse(content, filepath.Join(dir, "config.yaml"), os.Hostname)
		if (err == nil) == (loaded == nil) {
			t.Fatalf("config %v with error %v", loaded, err)
		}
		for _, fault := range faultsOf(t, err) {
			if fault.Problem == "" || fault.Remedy == "" {
				t.Fatalf("a fault without problem or remedy: %+v", fault)
			}
		}
	})
}

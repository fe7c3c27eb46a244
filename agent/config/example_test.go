package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/password-writeback/writeback/agent/config"
)

// example returns the text of config.example.yaml, with the only value that depends on the host taken out, and a folder with
// the files it names.
func example(t *testing.T) (text, dir string) {
	t.Helper()
	content, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const group = "group: writeback-agent # default"
	if !strings.Contains(string(content), group) {
		t.Fatalf("%q is not in the example", group)
	}
	dir = t.TempDir()
	put(t, dir, "secrets/relay-connection-string", "Endpoint=sb://localhost/", 0o600)
	put(t, dir, "secrets/bind-password", "bind-password", 0o600)
	put(t, dir, "ca/corp-root.pem", certificate(t), 0o644)
	put(t, dir, "issuers/portal.jwk", "{}", 0o644)
	return strings.Replace(string(content), group, `group: ""`, 1), dir
}

func TestTheExampleLoads(t *testing.T) {
	text, dir := example(t)
	loaded, err := load(t, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	domain := loaded.Domains[0]
	got := []any{loaded.Group, domain.Controllers, domain.SearchBase, domain.CAFile, loaded.Issuers[0].Keys, loaded.Audit.MaxFileSize}
	want := []any{
		"corp",
		[]string{"dc1.corp.example.com:636", "dc2.corp.example.com:636"},
		"DC=corp,DC=example,DC=com",
		filepath.Join(dir, "ca/corp-root.pem"),
		[]string{filepath.Join(dir, "issuers/portal.jwk")},
		64 * config.MiB,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the example means something else (-want +got):\n%s", diff)
	}
}

func TestTheExampleShowsEveryField(t *testing.T) {
	text, _ := example(t)
	var tree any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	missingFrom(t, tree, reflect.TypeFor[config.Config](), "")
}

// missingFrom reports every field of a structure that the tree does not have.
func missingFrom(t *testing.T, tree any, typ reflect.Type, path string) {
	switch {
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
		list, ok := tree.([]any)
		if !ok || len(list) == 0 {
			t.Errorf("%s is not a list with an element", path)
			return
		}
		missingFrom(t, list[0], typ.Elem(), path+"[0]")
	case typ.Kind() == reflect.Struct:
		members, _ := tree.(map[string]any)
		for field := range typ.Fields() {
			name := field.Tag.Get("yaml")
			if name == "" {
				t.Errorf("%s.%s has no yaml tag", typ, field.Name)
				continue
			}
			value, found := members[name]
			if !found {
				t.Errorf("%s.%s is not in the example", path, name)
				continue
			}
			missingFrom(t, value, field.Type, path+"."+name)
		}
	}
}

// Leaving out every line the example marks as a default must change nothing.
func TestTheExampleTellsTheTruthAboutDefaults(t *testing.T) {
	text, dir := example(t)
	full, err := load(t, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	marked := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, ": ") && strings.Contains(line, " # default") {
			marked++
			continue
		}
		kept = append(kept, line)
	}
	if marked < 15 {
		t.Fatalf("only %d lines are marked as defaults", marked)
	}
	// A section whose every line is a default must not be left as an empty one.
	short, err := load(t, dir, strings.Join(kept, ""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, short); diff != "" {
		t.Errorf("a value marked as default is not (-example +without):\n%s", diff)
	}
}

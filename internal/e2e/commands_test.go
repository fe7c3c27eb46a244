package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandInTheDocumentsExists asks the programs themselves for the help of every command that a document, the example
// configuration or a remedy in the source names, and looks for the flags named with it.
func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	t.Parallel()
	programs := build(t)
	named := namedCommands(t)
	if len(named) < 20 {
		t.Fatalf("only %d commands were found: the test looks in the wrong place", len(named))
	}
	paths := map[string]string{"agent": programs.agent, "send": programs.send, "lab": programs.lab}
	for line, places := range named {
		if fault := wrongCommand(t, paths, line); fault != "" {
			t.Errorf("%s: writeback-%s: %s", strings.Join(places, ", "), line, fault)
		}
	}
}

// namedCommands returns what stands behind "writeback-" in each command, and where.
func namedCommands(t *testing.T) map[string][]string {
	t.Helper()
	const root = "../.."
	named := map[string][]string{}
	for _, pattern := range []string{"*.md", "*.yaml", "docs/*.md", "cmd/*/*.go", "internal/*/*.go", "agent/*.go", "agent/*/*.go", "relay/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, line := range commandsIn(string(content), filepath.Ext(file) == ".md") {
				named[line] = append(named[line], filepath.Base(file))
			}
		}
	}
	return named
}

// commandsIn finds commands: in quotes or code, or at the beginning of a line of code. Prose begins with none.
func commandsIn(text string, markdown bool) []string {
	quoted, first := "[\"`]", `(?m)^[\t #]*(?:[A-Z_]+=\S+ |runuser .* -- |bin/|\S*/|sudo )*`
	var found []string
	for _, before := range []string{quoted, first} {
		switch {
		case markdown:
		case before == first:
			before = `(?m)^[\t #]*  ` // the examples in a help text are indented
		default:
			before = `"` // a help text begins with a backtick
		}
		for _, match := range regexp.MustCompile(before+"writeback-((?:agent|send|lab) [^`\"\n]*)").FindAllStringSubmatch(text, -1) {
			command, _, _ := strings.Cut(regexp.MustCompile(`[>|;<&#]|\.\.\.|  | [A-Z]`).ReplaceAllString(alternatives(match[1]), "\n"), "\n")
			found = append(found, strings.TrimSpace(command))
		}
	}
	return found
}

// alternatives keeps the first of "keys new|list|export".
func alternatives(text string) string {
	return regexp.MustCompile(`([a-z]+)(\|[a-z]+)+`).ReplaceAllString(text, "$1")
}

// wrongCommand says what is wrong with a command; nothing if its program has it, with its flags.
func wrongCommand(t *testing.T, programs map[string]string, line string) string {
	t.Helper()
	words := strings.Fields(line)
	commands := words[1:]
	if end := slices.IndexFunc(commands, func(word string) bool { return !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(word) }); end >= 0 {
		commands = commands[:end]
	}
	help, err := exec.CommandContext(t.Context(), programs[words[0]], append(slices.Clone(commands), "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, help)
	}
	usage := "\n  writeback-" + strings.Join(append([]string{words[0]}, commands...), " ") + " "
	if !strings.Contains(string(help), usage) {
		return "there is no such command"
	}
	for _, flag := range regexp.MustCompile(` --?[a-z][a-z-]*`).FindAllString(line, -1) {
		if !regexp.MustCompile(regexp.QuoteMeta(flag) + `\b`).Match(help) {
			return "there is no flag" + flag
		}
	}
	return ""
}

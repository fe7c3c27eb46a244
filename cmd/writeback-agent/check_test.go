package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/lab"
)

// TestCheck types the command against a queue and a directory of the lab. Each script finds them in $SITE, complete but for the agent's keys.
func TestCheck(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/check",
		RequireExplicitExec: true,
		Setup:               openLab,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"eventually": eventually,
			"edit":       edit,
		},
	})
}

// openLab makes a site of its own for a script, in a folder whose name is short enough for a socket.
func openLab(env *testscript.Env) error {
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	folder, err := os.MkdirTemp("", "wb")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(folder) })
	namespace, err := lab.OpenNamespace(env.T().(testing.TB).Context(), "127.0.0.1:0", silent)
	if err != nil {
		return err
	}
	env.Defer(func() { _ = namespace.Close() })
	directory, err := lab.OpenDirectory("")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = directory.Close() })
	site, err := lab.NewSite(folder, namespace, directory.Domain())
	if err != nil {
		return err
	}
	env.Setenv("SITE", folder)
	env.Setenv("CONFIG", site.ConfigPath())
	env.Setenv("QUEUE", namespace.Addr())
	env.Setenv("CONTROLLER", directory.Addr())
	return nil
}

// edit runs "edit FILE OLD NEW": OLD stands in the file exactly once. \n in NEW begins a line.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(args[0])
	ts.Check(err)
	if n := strings.Count(string(text), args[1]); n != 1 {
		ts.Fatalf("%q stands %d times in\n%s", args[1], n, text)
	}
	ts.Check(os.WriteFile(args[0], []byte(strings.Replace(string(text), args[1], strings.ReplaceAll(args[2], `\n`, "\n"), 1)), 0o600))
}

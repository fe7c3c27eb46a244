package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"writeback-agent": main})
}

// TestScripts types the commands as an administrator does. Each script finds in its directory what a portal and the owners
// of queue and directory would have handed over: portal.jwk, relay.secret and bind.secret.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               handOver,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"mode":       mode,
			"eventually": eventually,
			"public":     public,
			"expire":     expire,
			"keyid":      keyID,
			"ahead":      ahead,
		},
	})
}

// handOver writes the files of others. Nobody listens where the connection string points to.
func handOver(env *testscript.Env) error {
	key, err := envelope.GenerateSigningKey()
	if err != nil {
		return err
	}
	pinned, err := envelope.EncodePublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := handOverMore(env); err != nil {
		return err
	}
	env.Setenv("PORTAL", key.KeyID())
	env.Setenv("PORTAL_BEGINNING", key.KeyID()[:12])
	for name, content := range map[string]string{
		"portal.jwk":   string(pinned),
		"bind.secret":  "correct horse\n",
		"relay.secret": "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=agent;SharedAccessKey=c2VjcmV0LWtleQ==;UseDevelopmentEmulator=true\n",
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// exits runs "exits CODE program args..." and checks the exit code, which "exec" does not tell from another.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if got := exitCode(ts.Exec(args[1], args[2:]...)); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func exitCode(err error) string {
	var failed interface{ ExitCode() int }
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &failed):
		return strconv.Itoa(failed.ExitCode())
	}
	return err.Error()
}

// patience bounds the wait for an agent of this machine to start.
const patience = 30 * time.Second

// eventually runs "eventually PATTERN program args..." until what it prints matches.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	wanted, err := regexp.Compile(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...)
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it never printed %s", args[0])
		}
	}
}

// mode checks "mode PERMISSIONS pattern": every file that matches has them, and there is at least one.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("nothing matches %s", args[1])
	}
	for _, name := range names {
		info, err := os.Stat(name)
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has the mode %s, want %s", name, got, args[0])
		}
	}
}

// public checks "public file kid...": the file is a JWK set without any private member.
func public(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	var set struct{ Keys []map[string]any }
	ts.Check(json.Unmarshal([]byte(text), &set))
	if len(set.Keys) == 0 {
		ts.Fatalf("no keys in %s", text)
	}
	for _, key := range set.Keys {
		for member := range key {
			switch member {
			case "kty", "crv", "x", "y", "use", "alg", "kid", "agent":
			default:
				ts.Fatalf("member %q in %s", member, text)
			}
		}
	}
	if _, err := envelope.ParsePublicKeys([]byte(text)); err != nil {
		ts.Fatalf("a portal cannot read it: %v", err)
	}
}

// TestEveryCommandExplainsItself walks through all commands: each has a line in its parent's help, and a help of its own
// that says how it is called.
func TestEveryCommandExplainsItself(t *testing.T) {
	walk(newRoot(), func(cmd *cobra.Command) {
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit code %d, %s", args, code, stderr.String())
		}
		help := stdout.String()
		if !strings.Contains(help, "Usage:\n  "+cmd.CommandPath()) || cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%v: short %q, help:\n%s", args, cmd.Short, help)
		}
		for line := range strings.Lines(help) {
			if len(line) > 121 {
				t.Errorf("%v: a line is too wide for a terminal: %s", args, line)
			}
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		walk(child, visit)
	}
}

// TestErrorsBecomeSentences covers the ends that no script can bring about.
func TestErrorsBecomeSentences(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		text string
	}{
		"nothing":      {nil, exitOK, ""},
		"already said": {exitError{7}, 7, ""},
		"a plain one":  {fs.ErrPermission, exitFailure, "writeback-agent: permission denied\n"},
	} {
		var stderr bytes.Buffer
		if code := explain(&stderr, c.err); code != c.code || stderr.String() != c.text {
			t.Errorf("%s: exit code %d, %q; want %d, %q", name, code, stderr.String(), c.code, c.text)
		}
	}
}

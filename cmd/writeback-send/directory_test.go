package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/relay/envelope"
)

// TestAgainstTheDirectory types the commands at a whole installation: a real agent, behind it a directory with its own rules.
func TestAgainstTheDirectory(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/directory",
		RequireExplicitExec: true,
		Setup:               install,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"logon": logon,
		},
	})
}

// labValue is where a script finds its directory.
type labValue struct{}

// install starts an installation and writes profile.json and the passwords: first-LOGIN is the one a person has.
func install(env *testscript.Env) error {
	var log logrus.FieldLogger
	log, _ = logtest.NewNullLogger()
	namespace, err := lab.OpenNamespace(context.Background(), "127.0.0.1:0", log)
	if err != nil {
		return err
	}
	env.Defer(func() { _ = namespace.Close() })
	directory, err := lab.OpenDirectory("")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = directory.Close() })
	env.Values[labValue{}] = directory
	folder, err := os.MkdirTemp("", "lab") // the path of a socket must be short
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(folder) })
	site, err := lab.NewSite(folder, namespace, directory.Domain())
	if err != nil {
		return err
	}
	profile := filepath.Join(folder, "portal", "profile.json")
	env.Setenv("PROFILE", profile)
	return errors.Join(
		handOver(filepath.Join(folder, "state", "keys"), profile), startAgent(env, site.ConfigPath()),
		writePasswords(env.WorkDir, directory, "ada", "ben", "gina"),
	)
}

// handOver makes the agent's keys and gives the portal their public halves.
func handOver(keys, path string) error {
	store, err := envelope.OpenKeyStore(keys)
	if err != nil {
		return err
	}
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		if _, err := store.Generate(use); err != nil {
			return err
		}
	}
	set, err := store.PublicSet(lab.Group + "/" + lab.AgentName)
	if err != nil {
		return err
	}
	loaded, err := loadProfile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(loaded.Agents[0], set, 0o600)
}

func startAgent(env *testscript.Env, path string) error {
	cfg, err := app.Load(path)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	agent, err := app.New(ctx, cfg, app.Options{Version: "test", Log: io.Discard})
	if err != nil {
		stop()
		return err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = agent.Run(ctx); agent.Close() }()
	env.Defer(func() { stop(); <-ended })
	return nil
}

func writePasswords(folder string, directory *lab.Directory, logins ...string) error {
	var faults []error
	for _, login := range logins {
		directory.First(login).Use(func(password []byte) {
			faults = append(faults, os.WriteFile(filepath.Join(folder, "first-"+login), password, 0o600))
		})
	}
	return errors.Join(faults...)
}

// logon runs "logon LOGIN FILE": the password in the file must be the person's; with "!" in front, it must not.
func logon(ts *testscript.TestScript, refused bool, args []string) {
	password, err := readSecretFile(ts.MkAbs(args[1]))
	ts.Check(err)
	code, err := ts.Value(labValue{}).(*lab.Directory).Logon(context.Background(), args[0], password)
	ts.Check(err)
	if (code != "") != refused {
		ts.Fatalf("logon of %s: %q", args[0], code)
	}
}

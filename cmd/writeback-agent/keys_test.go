package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/relay/envelope"
)

// handOverMore writes second.jwk and third.jwk, further keys of portals; their thumbprints are in SECOND and THIRD.
func handOverMore(env *testscript.Env) error {
	for _, name := range []string{"second", "third"} {
		key, err := envelope.GenerateSigningKey()
		if err != nil {
			return err
		}
		pinned, err := envelope.EncodePublicKey(key.Public())
		if err != nil {
			return err
		}
		env.Setenv(strings.ToUpper(name), key.KeyID())
		env.Setenv(strings.ToUpper(name)+"_BEGINNING", key.KeyID()[:12])
		if err := os.WriteFile(filepath.Join(env.WorkDir, name+".jwk"), pinned, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// expire runs "expire directory use past|garbage": what stands beside each key of that use says that it has expired, or says nothing.
func expire(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range keyFiles(ts, args[0], args[1]) {
		text := `{"version":1,"expires":1000000000}`
		if args[2] == "garbage" {
			text = "{"
		}
		ts.Check(os.WriteFile(strings.TrimSuffix(path, ".jwk")+".json", []byte(text), 0o600))
	}
}

// keyID runs "keyid VARIABLE directory use": the thumbprint of the first key of that use.
func keyID(ts *testscript.TestScript, _ bool, args []string) {
	name := filepath.Base(keyFiles(ts, args[1], args[2])[0])
	ts.Setenv(args[0], strings.TrimSuffix(strings.TrimPrefix(name, args[2]+"-"), ".jwk"))
}

// ahead runs "ahead ledger": a controller has confirmed a time far from now.
func ahead(ts *testscript.TestScript, _ bool, args []string) {
	memory, err := ledger.Open(context.Background(), ledger.Options{Path: ts.MkAbs(args[0])})
	ts.Check(err)
	ts.Check(memory.AdvanceTime(context.Background(), time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)))
	ts.Check(memory.Close())
}

func keyFiles(ts *testscript.TestScript, directory, use string) []string {
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(directory), use+"-*.jwk"))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no key of the use %s", use)
	}
	return found
}

// TestAnAgentThatMakesNoSenseIsNotTakenForNone: the change may count in it or not, and that is what the administrator hears.
func TestAnAgentThatMakesNoSenseIsNotTakenForNone(t *testing.T) {
	folder, err := os.MkdirTemp("", "keys") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	hangUpOnAll(t, filepath.Join(folder, "agent.sock"))
	path := filepath.Join(folder, "config.yaml")
	text := "version: 1\ngroup: corp\nagent: a1\nstate_dir: state\nstatus:\n  socket: agent.sock\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // instead of its own patience
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"keys", "new", "-c", path}, &stdout, &stderr)
	if code != exitFailure || !strings.Contains(stderr.String(), "has not confirmed") || strings.Contains(stdout.String(), "No running agent") {
		t.Errorf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
}

// hangUpOnAll listens on a socket, and ends every connection without a word.
func hangUpOnAll(t *testing.T, socket string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
}

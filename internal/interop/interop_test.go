package interop_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

const (
	scripts    = "../../test/interop"
	longestRun = 3 * time.Minute // of one script; it takes some twenty seconds alone on a machine
	briefLock  = 2 * time.Second // expires while a script waits for it, and lasts long enough for slow machines
	oneOfAKind = 60              // queues of each kind: a step takes a new one, so that none meets what another left
)

// TestJavaScript runs npm's @azure/service-bus.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	modules := installed(t, "npm's @azure/service-bus", "WRITEBACK_INTEROP_JS")
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("the set-up named %s but there is no node: %v", modules, err)
	}
	run(t, node, "js", "interop.mjs")
}

// TestProton runs Debian's python3-qpid-proton.
func TestProton(t *testing.T) {
	t.Parallel()
	python := installed(t, "Debian's python3-qpid-proton", "WRITEBACK_INTEROP_PYTHON")
	run(t, python, "proton", "interop.py")
}

// installed returns what the set-up says of a client in a variable; without the client it skips the test, saying why.
func installed(t *testing.T, client, variable string) string {
	t.Helper()
	if reason := os.Getenv(variable + "_LEFT_OUT"); reason != "" {
		t.Skipf("needs %s: %s", client, reason)
	}
	where := os.Getenv(variable)
	if where == "" {
		t.Skipf("needs %s; `make test` installs it", client)
	}
	return where
}

// run starts an emulator and a script that talks to it, and turns what the script prints into subtests.
func run(t *testing.T, interpreter, dir, script string) {
	t.Helper()
	dir = filepath.Join(scripts, dir)
	dependOn(t, dir)
	result, faults := runScript(t, interpreter, dir, serve(t), script) // the keys were made up below
	for _, step := range result {
		t.Run(step.name, func(t *testing.T) {
			if !step.ok {
				t.Errorf("the client reports:\n%s", step.comment)
			}
		})
	}
	if faults != nil {
		t.Error(faults)
	}
}

// dependOn reads the scripts, so that go test's cache knows that they decide the result: it sees what a test opens, not
// what a child process does.
func dependOn(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	for _, file := range files {
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
}

// serve starts an emulator behind all its front doors on loopback, and returns the variables that tell a script where they
// are and with which keys they open.
func serve(t *testing.T) (environment []string) {
	t.Helper()
	s := namespace(t)
	certificates, err := emulator.NewCertificates("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, certificates.AuthorityPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background() // they end when s is closed
	addr := listen(t, s, func(l net.Listener) error { return s.Serve(ctx, l) })
	return []string{
		"INTEROP_CONNECTION=" + s.ConnectionString(addr, "root"),
		"INTEROP_LISTEN_ONLY=" + s.ConnectionString(addr, "listener"),
		"INTEROP_TLS=" + listen(t, s, func(l net.Listener) error { return s.ServeTLS(ctx, l, certificates.ServerTLS()) }),
		"INTEROP_HTTPS=" + listen(t, s, func(l net.Listener) error { return s.ServeHTTPS(ctx, l, certificates.ServerTLS()) }),
		"NODE_EXTRA_CA_CERTS=" + authority,
	}
}

// namespace is an emulator with the queues and keys that the scripts expect.
func namespace(t *testing.T) *emulator.Server {
	t.Helper()
	s, err := emulator.New(emulator.Config{
		Queues: queues(),
		Keys: []emulator.AccessKey{
			{Name: "root", Key: secret.NewString("made-up key"), Rights: emulator.Manage},
			{Name: "listener", Key: secret.NewString("another made-up key"), Rights: emulator.Listen},
		},
	})
	if err != nil {
		t.Fatalf("emulator: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// listen opens a front door of s at a free port until the end of the test, and returns its address.
func listen(t *testing.T, s *emulator.Server, serve func(net.Listener) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(listener) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// queues are of a few kinds, numbered; test/interop/js/namespace.mjs and test/interop/proton/bus.py describe them.
func queues() []emulator.Queue {
	kinds := []emulator.Queue{
		{Name: "plain", MaxMessageSize: 1 << 20, MaxDeliveryCount: 3, DeadLetterOnExpiry: true},
		{Name: "brief", LockDuration: briefLock},
		{Name: "unique", DuplicateWindow: time.Hour},
		{Name: "sessions", RequiresSession: true},
		{Name: "brief-sessions", RequiresSession: true, LockDuration: briefLock},
	}
	var all []emulator.Queue
	for _, q := range kinds {
		kind := q.Name
		for i := range oneOfAKind {
			q.Name = fmt.Sprintf("%s-%d", kind, i+1)
			all = append(all, q)
		}
	}
	return all
}

package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

// patience bounds every single wait; nothing takes that long unless it is broken.
const patience = 30 * time.Second

// installation is everything around an agent that runs in this process: the queue, the directory, the folder with its real
// configuration, and the portal. Whatever the agent logs, at the level debug, is in log.
type installation struct {
	namespace *lab.Namespace
	directory *lab.Directory
	site      *lab.Site
	public    []envelope.PublicKey
	log       *logged

	broker, controller *gate // between the agent and both

	prepare []func(*app.Agent) // before it runs
}

// install sets everything up but the agent. Both gates are open.
func install(t *testing.T) *installation {
	t.Helper()
	in := &installation{log: &logged{}}
	var err error
	in.namespace, err = lab.OpenNamespace(t.Context(), "127.0.0.1:0", quiet(t))
	check(t, err)
	t.Cleanup(func() { check(t, in.namespace.Close()) })
	in.directory, err = lab.OpenDirectory("")
	check(t, err)
	t.Cleanup(func() { check(t, in.directory.Close()) })
	in.broker, in.controller = newGate(t, in.namespace.Addr()), newGate(t, in.directory.Addr())

	domain := in.directory.Domain()
	domain.Controller = in.controller.addr()
	in.site, err = lab.NewSite(shortFolder(t), in.namespace, domain)
	check(t, err)
	in.edit(t, "config.yaml", "policy:\n", "log:\n  level: debug\npolicy:\n  controller_search: 500ms\n")
	in.edit(t, "secrets/relay-connection-string", in.namespace.Addr(), in.broker.addr())
	in.makeKeys(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", in.log.String())
		}
	})
	return in
}

func (in *installation) path(name string) string {
	return filepath.Join(in.site.Folder, filepath.FromSlash(name))
}

// edit replaces the only occurrence of a text in a file of the site.
func (in *installation) edit(t *testing.T, name, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(in.path(name))
	check(t, err)
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%q stands %d times in %s", old, strings.Count(string(text), old), name)
	}
	check(t, os.WriteFile(in.path(name), []byte(strings.Replace(string(text), old, replacement, 1)), 0o600))
}

// openToAll lets everybody into a folder. Where that is no matter of mode bits, the test is left out.
func (in *installation) openToAll(t *testing.T, name string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("access is a matter of access lists here")
	}
	check(t, os.Chmod(in.path(name), 0o777))
}

func (in *installation) makeKeys(t *testing.T) {
	t.Helper()
	store, err := envelope.OpenKeyStore(in.path("state/keys"))
	check(t, err)
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		_, err := store.Generate(use)
		check(t, err)
	}
	set, err := store.PublicSet(lab.Group + "/" + lab.AgentName)
	check(t, err)
	in.public, err = envelope.ParsePublicKeys(set)
	check(t, err)
}

func (in *installation) config(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := app.Load(in.site.ConfigPath())
	check(t, err)
	return cfg
}

// open makes an agent that does not run.
func (in *installation) open(t *testing.T) (*app.Agent, error) {
	t.Helper()
	agent, err := app.New(t.Context(), in.config(t), app.Options{Version: "1.2.3", Log: in.log})
	if err != nil {
		return nil, err
	}
	app.SetFree(agent, func() uint64 { return 1 << 30 }) // whatever this host has
	for _, each := range in.prepare {
		each(agent)
	}
	return agent, nil
}

// start runs an agent. It is stopped, if it was not before, when the test ends.
func (in *installation) start(t *testing.T) *running {
	t.Helper()
	agent, err := in.open(t)
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{agent: agent, socket: in.config(t).Status.Socket, interrupt: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = agent.Run(ctx)
		agent.Close()
	}()
	t.Cleanup(func() { check(t, r.stop()) })
	return r
}

// portal connects a portal that knows the agent's keys.
func (in *installation) portal(t *testing.T) *lab.Portal {
	t.Helper()
	portal, err := lab.OpenPortal(t.Context(), in.namespace, in.site, in.public, quiet(t))
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		check(t, portal.Close(ctx))
	})
	return portal
}

func (in *installation) user(t *testing.T, login string) writeback.Subject {
	t.Helper()
	subject, err := in.directory.Subject(login, writeback.ByUPN)
	check(t, err)
	return subject
}

// reset asks for a reset and returns how it ended.
func (in *installation) reset(t *testing.T, portal *lab.Portal, login string, password secret.Value) writeback.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := portal.Reset(ctx, requester.ResetRequest{User: in.user(t, login), Password: password, By: lab.Verified()})
	check(t, err)
	return result.Outcome
}

// running is an agent that runs in this process.
type running struct {
	agent     *app.Agent
	socket    string
	interrupt context.CancelFunc
	ended     chan struct{}
	err       error // of Run; read after ended
}

// stop asks the agent to stop, waits until it has, and returns what Run said.
func (r *running) stop() error {
	r.interrupt()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(patience):
		return errors.New("the agent does not stop")
	}
}

// status asks the agent until the report is as wanted.
func (r *running) status(t *testing.T, what string, wanted func(status.Report) bool) status.Report {
	t.Helper()
	var report status.Report
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if report, err = status.Fetch(t.Context(), r.socket); err == nil && wanted(report) {
			return report
		}
	}
	t.Fatalf("the status never said that %s: %v\n%+v", what, err, report)
	return report
}

// ready waits until the agent takes requests and reaches its directory.
func (r *running) ready(t *testing.T) status.Report {
	t.Helper()
	return r.status(t, "it is healthy", func(report status.Report) bool { return report.Relay.Connected && report.Overall == health.OK })
}

// condition returns the condition of a report; one that is not there is ok.
func condition(report status.Report, name health.Name) health.Condition {
	for _, c := range report.Conditions {
		if c.Name == name {
			return c
		}
	}
	return health.Condition{Name: name, Severity: health.OK}
}

func wantOutcome(t *testing.T, got writeback.Outcome, verdict writeback.Verdict, reason writeback.Reason) {
	t.Helper()
	if got.Verdict != verdict || got.Reason != reason {
		t.Errorf("the portal hears %s %s, want %s %s", got.Verdict, got.Reason, verdict, reason)
	}
}

// logged keeps what is written to it. It is safe for many goroutines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything so far.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// gate is a network between the agent and one of its servers, which can fail.
type gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	g := &gate{listener: listener, target: target, conns: map[net.Conn]bool{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.carry(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		g.close()
	})
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// carry connects the two ends until one of them or the gate closes.
func (g *gate) carry(near net.Conn) {
	far, err := net.Dial("tcp", g.target)
	if err != nil || !g.admit(near, far) {
		_ = near.Close()
		if err == nil {
			_ = far.Close()
		}
		return
	}
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

func (g *gate) admit(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	for _, conn := range conns {
		g.conns[conn] = true
	}
	return true
}

// close cuts what goes through, and lets nothing through any more.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for conn := range g.conns {
		_ = conn.Close()
	}
	clear(g.conns)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}

// shortFolder is a folder whose name leaves room for a unix socket's: t.TempDir's names can be too long for that.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "wb") //nolint:usetesting // see above
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	return folder
}

func newPassword() secret.Value {
	random, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // letters would now and then spell a name, which is refused
	return secret.NewString("Next-Aa1-" + random.String())
}

func quiet(t *testing.T) logrus.FieldLogger {
	t.Helper()
	log, err := logging.New(io.Discard, logging.Options{Level: "error", Format: "text"})
	check(t, err)
	return log
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newAgent(t *testing.T, cfg *config.Config, log io.Writer) (*app.Agent, error) {
	t.Helper()
	return app.New(t.Context(), cfg, app.Options{Version: "1.2.3", Log: log})
}

// auditKinds counts the lines of an audit by their kind.
func auditKinds(t *testing.T, directory string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*.jsonl"))
	check(t, err)
	kinds := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		for line := range strings.Lines(string(text)) {
			var event struct{ Kind string }
			check(t, json.Unmarshal([]byte(line), &event))
			kinds[event.Kind]++
		}
	}
	return kinds
}

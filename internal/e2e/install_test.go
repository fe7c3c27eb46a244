package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

// patience bounds every single wait; nothing takes that long unless it is broken.
const patience = 30 * time.Second

// TestEndToEnd builds the programs once and runs everything against them as they are shipped.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	built := build(t)
	for name, test := range map[string]func(*testing.T, programs){
		"Demo": testDemo, "DemoSamba": testDemoSamba, "DemoOfABrokenAgent": testBrokenAgent, "Serve": testServe,
		"Hostile": testHostile, "Crash": testCrash, "Outage": testOutage, "Repeated": testRepeated, "Traces": testTraces, "Samba": testSamba,
		"Kerberos": testKerberos,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, built)
		})
	}
}

// programs are the paths of what is installed.
type programs struct{ agent, send, lab string }

// build builds the programs without the race detector, as they are released.
func build(t *testing.T) programs {
	t.Helper()
	folder := t.TempDir()
	const commands = "github.com/password-writeback/writeback/cmd/"
	build := exec.CommandContext(t.Context(), "go", "build", "-o", folder, commands+"writeback-agent", commands+"writeback-send", commands+"writeback-lab")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, output)
	}
	path := func(name string) string { return filepath.Join(folder, name+executable) }
	return programs{agent: path("writeback-agent"), send: path("writeback-send"), lab: path("writeback-lab")}
}

// installation is one agent with its surroundings.
type installation struct {
	namespace *lab.Namespace
	program   lab.Program
	agent     *lab.Agent
	portal    *lab.Portal
	agentKeys []envelope.PublicKey
}

// install sets up an agent for domain, starts it and waits until it is ready. Its log is shown when the test fails. extra is
// added to the configuration.
func install(t *testing.T, built programs, domain lab.Domain, extra string) *installation {
	t.Helper()
	in := prepare(t, built, domain, func(configuration string) string { return configuration + extra })
	in.start(t)
	in.connect(t)
	return in
}

// prepare is install without a start and without a portal. change makes the configuration from that of the lab.
func prepare(t *testing.T, built programs, domain lab.Domain, change func(configuration string) string) *installation {
	t.Helper()
	in := &installation{}
	var err error
	in.namespace, err = lab.OpenNamespace(t.Context(), "127.0.0.1:0", quiet(t))
	check(t, err)
	t.Cleanup(func() { check(t, in.namespace.Close()) })
	site, err := lab.NewSite(shortFolder(t), in.namespace, domain)
	check(t, err)
	in.program, err = lab.FindProgram(built.agent, site)
	check(t, err)
	configuration, err := os.ReadFile(site.ConfigPath())
	check(t, err)
	check(t, os.WriteFile(site.ConfigPath(), []byte(change(string(configuration))), 0o600))
	in.agentKeys, err = in.program.MakeKeys(t.Context())
	check(t, err)
	t.Cleanup(func() { showLog(t, site) })
	return in
}

// connect opens the portal.
func (in *installation) connect(t *testing.T) {
	t.Helper()
	var err error
	in.portal, err = lab.OpenPortal(t.Context(), in.namespace, in.program.Site, in.agentKeys, quiet(t))
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		check(t, in.portal.Close(ctx))
	})
}

// start runs the agent; a running one must have ended before.
func (in *installation) start(t *testing.T) {
	t.Helper()
	var err error
	in.agent, err = in.program.Start(t.Context(), nil)
	check(t, err)
	agent := in.agent
	t.Cleanup(func() { _ = agent.Stop() })
	check(t, agent.Ready(t.Context()))
}

// shortFolder is a folder whose name leaves room for a unix socket's: t.TempDir's names can be too long for that.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "wb") //nolint:usetesting // see above
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	return folder
}

func showLog(t *testing.T, site *lab.Site) {
	if !t.Failed() {
		return
	}
	text, err := os.ReadFile(site.LogPath())
	t.Logf("the agent's log (%v):\n%s", err, text)
}

func quiet(t *testing.T) logrus.FieldLogger {
	t.Helper()
	log, err := logging.New(new(bytes.Buffer), logging.Options{Level: "error", Format: "text"})
	check(t, err)
	return log
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reset asks for a reset and returns how it ended.
func (in *installation) reset(t *testing.T, user writeback.Subject, password secret.Value, change ...func(*requester.ResetRequest)) writeback.Outcome {
	t.Helper()
	request := requester.ResetRequest{User: user, Password: password, By: lab.Verified()}
	for _, f := range change {
		f(&request)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := in.portal.Reset(ctx, request)
	check(t, err)
	return result.Outcome
}

// exchange sends a token made by hand and returns how it ended.
func (in *installation) exchange(t *testing.T, token []byte) writeback.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := in.portal.Exchange(ctx, token)
	check(t, err)
	return result.Outcome
}

// until waits until the agent's status is as wanted.
func (in *installation) until(t *testing.T, wanted func(lab.Status) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, in.agent.Until(ctx, wanted))
}

// untilCounted waits until the requests queue is as wanted.
func (in *installation) untilCounted(t *testing.T, wanted func(emulator.Counts) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		counts, err := in.namespace.Counts(lab.RequestsQueue)
		check(t, err)
		if wanted(counts) {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("the requests queue has %+v", counts)
		}
	}
}

// wantOutcome compares verdict and reason.
func wantOutcome(t *testing.T, got writeback.Outcome, verdict writeback.Verdict, reason writeback.Reason) {
	t.Helper()
	if got.Verdict != verdict || got.Reason != reason {
		t.Errorf("got %s %s, want %s %s", got.Verdict, got.Reason, verdict, reason)
	}
}

func wantWritten(t *testing.T, got writeback.Outcome) {
	t.Helper()
	wantOutcome(t, got, writeback.Written, writeback.ReasonOK)
}

func wantRefused(t *testing.T, got writeback.Outcome, reason writeback.Reason) {
	t.Helper()
	wantOutcome(t, got, writeback.NotWritten, reason)
}

// newPassword makes a password nobody has used before.
func newPassword(beginning string) secret.Value {
	random, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // letters would now and then spell a name, which is refused
	return secret.NewString(beginning + "Aa1-" + random.String())
}

package sambalab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Pair is two controllers of one domain, dc1 and dc2, that replicate with each other. Their population is that of [Lab].
type Pair struct {
	// DC1 and DC2 are the controllers. Each has an authority of its own.
	DC1, DC2 *Lab

	orders  io.Writer
	answers *bufio.Scanner
}

// StartPair starts the controllers for one test, which has them to itself; without what they need it skips the test, saying why.
// They end with the test, and also if its process is killed: they stop at the end of their input.
func StartPair(t *testing.T) *Pair {
	t.Helper()
	const prefix = "WRITEBACK_SAMBA_PAIR"
	if reason := absent(os.Getenv, prefix, prefix); reason != "" {
		t.Skip("needs two Samba controllers: " + reason)
	}
	// The end of its input ends it, in order; the end of the test would kill it first.
	ctx := context.WithoutCancel(t.Context())
	cmd := exec.CommandContext(ctx, os.Getenv(prefix), "serve", os.Getenv(prefix+"_ROOT"), os.Getenv(prefix+"_DOMAIN")) //nolint:gosec // test/with-lab.sh names it
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = orders.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the controllers: %v\n%s", err, complaints.String())
		}
	})
	pair := &Pair{orders: orders, answers: bufio.NewScanner(answers)}
	pair.announced(t)
	return pair
}

// patience bounds how long the controllers may take to end.
const patience = 30 * time.Second

// announced reads where the controllers are.
func (p *Pair) announced(t *testing.T) {
	t.Helper()
	values := make(map[string]string)
	for p.answers.Scan() && p.answers.Text() != "ready" {
		name, value, _ := strings.Cut(p.answers.Text(), "=")
		values[name] = value
	}
	for prefix, lab := range map[string]**Lab{"DC1": &p.DC1, "DC2": &p.DC2} {
		env := environment{getenv: func(name string) string { return values[name] }, prefix: prefix}
		if *lab = env.lab(); env.err != nil {
			t.Fatalf("the controllers did not start: %v", env.err)
		}
	}
}

// Kill ends a controller, dc1 or dc2, as a power cut does: all its processes at once.
func (p *Pair) Kill(t *testing.T, name string) { t.Helper(); p.order(t, "kill", name) }

// Start starts a killed one from where it stands, and returns when it answers.
func (p *Pair) Start(t *testing.T, name string) { t.Helper(); p.order(t, "start", name) }

// Stop makes a controller hang: connections to it are accepted, and nothing is answered.
func (p *Pair) Stop(t *testing.T, name string) { t.Helper(); p.order(t, "stop", name) }

// Continue lets it go on; what it was sent meanwhile it may then carry out.
func (p *Pair) Continue(t *testing.T, name string) { t.Helper(); p.order(t, "continue", name) }

func (p *Pair) order(t *testing.T, verb, name string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.orders, verb, name); err != nil {
		t.Fatalf("%s %s: %v", verb, name, err)
	}
	if !p.answers.Scan() || p.answers.Text() != "ok" {
		t.Fatalf("%s %s: answered %q (%v)", verb, name, p.answers.Text(), p.answers.Err())
	}
}

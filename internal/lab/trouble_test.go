package lab_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/faults"
)

// TestTroubleIsSwitchedOnAndOff while the queues run.
func TestTroubleIsSwitchedOnAndOff(t *testing.T) {
	t.Parallel()
	namespace := openNamespace(t)
	portal := dialPortal(t, namespace.PortalConnection())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rules, err := faults.ParseAll([]string{"op=send,queue=" + lab.RequestsQueue + ",refuse=entity-disabled"})
	check(t, err)
	set, err := namespace.Trouble(lab.Trouble{Rules: rules})
	check(t, err)
	if err := portal.SendRequest(ctx, "id-1", "ping", []byte("token"), time.Minute); err == nil {
		t.Error("a request was sent to a queue that refuses them")
	}
	if counts := set.Counts(); counts[0].Hit == 0 {
		t.Errorf("the fault was not hit: %+v", counts)
	}
	_, err = namespace.Trouble(lab.Trouble{})
	check(t, err)
	check(t, portal.SendRequest(ctx, "id-2", "ping", []byte("token"), time.Minute))
}

func TestTroubleWithAnImpossibleRule(t *testing.T) {
	t.Parallel()
	if _, err := openNamespace(t).Trouble(lab.Trouble{Rules: make([]faults.Rule, 1)}); err == nil {
		t.Error("a rule that does nothing was taken")
	}
	var out bytes.Buffer
	options := lab.ServeOptions{QueueAddr: "127.0.0.1:0", DirectoryAddr: "127.0.0.1:0", Stdout: &out, Log: quiet(t)}
	options.Trouble.Rules = make([]faults.Rule, 1)
	if err := lab.Serve(t.Context(), options); err == nil || out.Len() > 0 {
		t.Errorf("a lab with a rule that does nothing: %v, and it says %q", err, out.String())
	}
}

// TestClockOfTheQueues: an agent and a portal whose tokens have long expired, by the queues' clock, are turned away.
func TestClockOfTheQueues(t *testing.T) {
	t.Parallel()
	namespace := openNamespace(t)
	_, err := namespace.Trouble(lab.Trouble{ClockSkew: 24 * time.Hour})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := dialPortal(t, namespace.PortalConnection()).SendRequest(ctx, "id-1", "ping", []byte("token"), time.Minute); err == nil {
		t.Error("a token that expired yesterday was accepted")
	}
}

func TestTraceOfTheQueues(t *testing.T) {
	t.Parallel()
	trace := &output{complete: make(chan struct{})}
	namespace, err := lab.OpenNamespace(t.Context(), "127.0.0.1:0", quiet(t), func(c *emulator.Config) { c.Trace = trace })
	check(t, err)
	portal := dialPortal(t, namespace.PortalConnection())
	check(t, portal.SendRequest(t.Context(), "id-1", "ping", []byte("hush-hush"), time.Minute))
	check(t, portal.Close(t.Context()))
	check(t, namespace.Close())
	text := trace.String()
	if !strings.Contains(text, "message=id-1") || strings.Contains(text, "hush") || strings.Contains(text, "sig=") {
		t.Errorf("the trace should name the message, and show neither body nor token:\n%s", text)
	}
}

package lab_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// TestEachSideHasItsRightsOnly: who holds the agent's key cannot ask, who holds the portal's cannot take requests.
func TestEachSideHasItsRightsOnly(t *testing.T) {
	t.Parallel()
	namespace := openNamespace(t)
	portal, stranger := dialPortal(t, namespace.PortalConnection()), dialPortal(t, namespace.AgentConnection())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	check(t, portal.SendRequest(ctx, "id-1", "ping", []byte("token"), time.Minute))
	if err := stranger.SendRequest(ctx, "id-2", "ping", []byte("token"), time.Minute); err == nil {
		t.Error("the agent's key can send requests")
	}
	if _, _, err := stranger.ReceiveResult(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the agent's key receiving results: %v, want a refusal", err)
	}
	agent := dialAgent(t, namespace.AgentConnection())
	delivery, err := agent.Receive(ctx)
	check(t, err)
	check(t, agent.Complete(ctx, delivery))
	result := writeback.PendingResult{MessageID: "r-1", Queue: lab.ResultsQueue, Session: "session-1", Token: []byte("result"), Expires: time.Now().Add(time.Hour)}
	check(t, agent.SendResult(ctx, result))
	token, _, err := portal.ReceiveResult(ctx)
	if err != nil || string(token) != "result" {
		t.Errorf("the portal received %q, %v", token, err)
	}
	thief := dialAgent(t, namespace.PortalConnection())
	if err := thief.SendResult(ctx, result); err == nil {
		t.Error("the portal's key can send results")
	}
}

func dialPortal(t *testing.T, connection secret.Value) *servicebus.Portal {
	t.Helper()
	portal, err := servicebus.DialPortal(t.Context(), servicebus.PortalConfig{
		ConnectionString: connection, RequestsQueue: lab.RequestsQueue, ResultsQueue: lab.ResultsQueue, Session: "session-1", Logger: quiet(t),
	})
	check(t, err)
	t.Cleanup(func() { _ = portal.Close(context.WithoutCancel(t.Context())) })
	return portal
}

func dialAgent(t *testing.T, connection secret.Value) *servicebus.Agent {
	t.Helper()
	agent, err := servicebus.DialAgent(t.Context(), servicebus.AgentConfig{
		ConnectionString: connection, RequestsQueue: lab.RequestsQueue, Logger: quiet(t),
	})
	check(t, err)
	t.Cleanup(func() { _ = agent.Close(context.WithoutCancel(t.Context())) })
	return agent
}

// TestNamespaceEnds: after Close nobody listens, and an address in use is an error and not a second listener.
func TestNamespaceEnds(t *testing.T) {
	t.Parallel()
	namespace, err := lab.OpenNamespace(t.Context(), "127.0.0.1:0", quiet(t))
	check(t, err)
	addr := namespace.Addr()
	if second, err := lab.OpenNamespace(t.Context(), addr, quiet(t)); err == nil {
		t.Errorf("two namespaces listen on %s", addr)
		check(t, second.Close())
	}
	check(t, namespace.Close())
	var dialer net.Dialer
	if conn, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil {
		t.Errorf("somebody still listens on %s", addr)
		check(t, conn.Close())
	}
}

func TestUnknownQueueHasNoCounts(t *testing.T) {
	t.Parallel()
	if counts, err := openNamespace(t).Counts("no-such-queue"); err == nil {
		t.Errorf("counts %+v of a queue that does not exist", counts)
	} else if errors.Is(err, context.Canceled) {
		t.Errorf("the wrong error: %v", err)
	}
}

package lab

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

// The queues of the namespace.
const (
	RequestsQueue = "writeback-requests"
	ResultsQueue  = "writeback-results-portal"
)

// The access keys: each side has one of its own, with the rights the protocol gives it and no other.
const (
	agentKey  = "agent"
	portalKey = "portal"
)

// Namespace is an emulated Service Bus namespace that listens on loopback.
type Namespace struct {
	server *emulator.Server
	addr   string
	served sync.WaitGroup
	err    error // of Serve; read after served
}

// OpenNamespace listens on addr (host:port; port 0 takes a free one) and serves the two queues with the settings the
// protocol asks for; change may ask for more of the emulator. The caller must Close it.
func OpenNamespace(ctx context.Context, addr string, logger logrus.FieldLogger, change ...func(*emulator.Config)) (*Namespace, error) {
	cfg := emulator.Config{Queues: queues(newAccessKey(), newAccessKey()), Logger: logger}
	for _, f := range change {
		f(&cfg)
	}
	server, err := emulator.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the queues: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for Service Bus clients: %w", err), server.Close())
	}
	n := &Namespace{server: server, addr: listener.Addr().String()}
	// The namespace outlives ctx: an agent that is being stopped still settles its messages.
	n.served.Go(func() { n.err = server.Serve(context.WithoutCancel(ctx), listener) })
	return n, nil
}

// queues are set as the protocol asks for: a lock longer than any request lives, duplicates dropped, results by session.
func queues(agent, portal secret.Value) []emulator.Queue {
	allow := func(name string, key secret.Value, rights emulator.Rights) emulator.AccessKey {
		return emulator.AccessKey{Name: name, Key: key, Rights: rights}
	}
	return []emulator.Queue{
		{
			Name: RequestsQueue, LockDuration: 5 * time.Minute, MaxDeliveryCount: 10, DuplicateWindow: 10 * time.Minute,
			Keys: []emulator.AccessKey{allow(agentKey, agent, emulator.Listen), allow(portalKey, portal, emulator.Send)},
		},
		{
			Name: ResultsQueue, RequiresSession: true, DefaultTTL: time.Hour,
			Keys: []emulator.AccessKey{allow(agentKey, agent, emulator.Send), allow(portalKey, portal, emulator.Listen)},
		},
	}
}

// newAccessKey makes a key as Azure does: 32 random bytes in base64.
func newAccessKey() secret.Value {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	return secret.NewString(base64.StdEncoding.EncodeToString(raw))
}

// Addr is where the namespace listens, host:port.
func (n *Namespace) Addr() string { return n.addr }

// AgentConnection is the connection string of the agent's key: Listen on the requests queue, Send on the results queue.
func (n *Namespace) AgentConnection() secret.Value { return n.connection(agentKey) }

// PortalConnection is the connection string of the portal's key: Send on the requests queue, Listen on the results queue.
func (n *Namespace) PortalConnection() secret.Value { return n.connection(portalKey) }

// connection takes the requests queue's key; the results queue has the same one under the same name.
func (n *Namespace) connection(key string) secret.Value {
	return secret.NewString(n.server.QueueConnectionString(n.addr, RequestsQueue, key))
}

// Counts returns the counts of a queue.
func (n *Namespace) Counts(queue string) (emulator.Counts, error) { return n.server.Counts(queue) }

// DropConnections cuts every connection, as a failing network would.
func (n *Namespace) DropConnections() { n.server.DropConnections() }

// Close ends the namespace and all its connections.
func (n *Namespace) Close() error {
	err := n.server.Close()
	n.served.Wait()
	return errors.Join(err, n.err)
}

package servicebus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

var (
	_ relay.Source = (*servicebus.Agent)(nil)
	_ relay.Sender = (*servicebus.Agent)(nil)
)

const (
	requests  = "writeback-requests"
	results   = "writeback-results"
	refusing  = "other-results"
	keyName   = "all"
	keyText   = "a2V5LW9mLXRoZS10ZXN0cw=="
	atTimeout = 5 * time.Minute // of the fake clock
)

// broker is an emulated namespace, reached by pipes inside a synctest bubble.
type broker struct {
	*emulator.Server
	t     *testing.T
	ctx   context.Context
	logs  *logtest.Hook
	log   logrus.FieldLogger
	mu    sync.Mutex
	fault emulator.FaultFunc
	dials int
	down  bool
	ahead time.Duration // of the broker's clock, before ours
}

// bubble runs a test against a fresh broker, on a fake clock.
func bubble(t *testing.T, f func(t *testing.T, b *broker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 1000*time.Hour)
		logger, logs := logtest.NewNullLogger()
		logger.SetLevel(logrus.DebugLevel)
		b := &broker{t: t, ctx: ctx, logs: logs, log: logger}
		server, err := emulator.New(emulator.Config{
			Queues: []emulator.Queue{
				{Name: requests, MaxDeliveryCount: 3},
				{Name: results, RequiresSession: true, DefaultTTL: time.Hour},
				{Name: refusing, RequiresSession: true},
			},
			Keys:  []emulator.AccessKey{{Name: keyName, Key: secret.NewString(keyText), Rights: emulator.Manage}},
			Fault: b.ask,
			Now:   b.now,
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Server = server
		f(t, b)
		cancel()
		server.Close()
		// When a settlement and a receive attach the same link anew at once, the SDK forgets one of its two token renewers. It ends
		// when it finds the client closed, at its next renewal: at the latest when the token's two hours are over.
		time.Sleep(2 * time.Hour)
	})
}

func (b *broker) ask(ctx context.Context, e emulator.Event) emulator.Fault {
	b.mu.Lock()
	fault := b.fault
	b.mu.Unlock()
	if fault == nil {
		return emulator.Fault{}
	}
	return fault(ctx, e)
}

func (b *broker) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Add(b.ahead)
}

// setAhead makes the broker's clock be ahead of ours.
func (b *broker) setAhead(ahead time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = ahead
}

// inject makes f decide about every operation from now on; nil ends that.
func (b *broker) inject(f emulator.FaultFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

// dial connects by a pipe, unless the broker is down.
func (b *broker) dial(ctx context.Context) (net.Conn, error) {
	b.mu.Lock()
	b.dials++
	down := b.down
	b.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("connection refused")}
	}
	return b.Dial(ctx)
}

// setDown cuts all connections and refuses new ones, or ends that.
func (b *broker) setDown(down bool) {
	b.mu.Lock()
	b.down = down
	b.mu.Unlock()
	if down {
		b.DropConnections()
	}
}

func (b *broker) dialled() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dials
}

func (b *broker) connection() secret.Value {
	return secret.NewString(b.ConnectionString("localhost", keyName))
}

// agent dials an Agent that is closed at the end of f.
func (b *broker) agent(f func(a *servicebus.Agent)) {
	b.t.Helper()
	a, err := servicebus.DialAgent(b.ctx, servicebus.AgentConfig{
		ConnectionString: b.connection(), RequestsQueue: requests, NewConn: b.dial, Logger: b.log,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	f(a)
	if err := a.Close(b.ctx); err != nil {
		b.t.Errorf("Close: %v", err)
	}
}

// portal dials a Portal that is closed at the end of f.
func (b *broker) portal(session string, f func(p *servicebus.Portal)) {
	b.t.Helper()
	p, err := servicebus.DialPortal(b.ctx, servicebus.PortalConfig{
		ConnectionString: b.connection(), RequestsQueue: requests, ResultsQueue: results, Session: session, NewConn: b.dial, Logger: b.log,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	f(p)
	if err := p.Close(b.ctx); err != nil {
		b.t.Errorf("Close: %v", err)
	}
}

// request sends one request as a portal would.
func (b *broker) request(id string) {
	b.t.Helper()
	b.portal("sender", func(p *servicebus.Portal) {
		if err := p.SendRequest(b.ctx, id, "reset", []byte("token of "+id), time.Hour); err != nil {
			b.t.Fatalf("SendRequest: %v", err)
		}
	})
}

// raw sends a message with go-amqp, which asks no questions about what is in it.
func (b *broker) raw(queue string, message *amqp.Message) {
	b.t.Helper()
	pipe, err := b.Dial(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := amqp.NewConn(b.ctx, pipe, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "localhost"})
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	b.signIn(conn, queue)
	session, err := conn.NewSession(b.ctx, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	sender, err := session.NewSender(b.ctx, queue, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := sender.Send(b.ctx, message, nil); err != nil {
		b.t.Fatal(err)
	}
}

// receive expects a delivery.
func (b *broker) receive(a *servicebus.Agent) *writeback.Delivery {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Hour)
	defer cancel()
	delivery, err := a.Receive(ctx)
	if err != nil {
		b.t.Fatalf("Receive: %v", err)
	}
	return delivery
}

// nothing expects that no message comes within a while.
func (b *broker) nothing(a *servicebus.Agent, within time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	if delivery, err := a.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		b.t.Errorf("Receive returned %v, %v; want nothing", delivery, err)
	}
}

func (b *broker) counts(queue string) emulator.Counts {
	b.t.Helper()
	counts, err := b.Counts(queue)
	if err != nil {
		b.t.Fatal(err)
	}
	return counts
}

// check fails the test with what, if err is not nil.
func (b *broker) check(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func result(queue, session, id string) writeback.PendingResult {
	return writeback.PendingResult{
		Sequence: 1, Request: writeback.RequestKey{Issuer: "portal", ID: "request-" + id}, MessageID: id, Queue: queue,
		Session: session, Token: []byte("result " + id), Expires: time.Now().Add(time.Hour),
	}
}

// once returns a fault for the first operation that match accepts.
func once(match func(e emulator.Event) bool, fault emulator.Fault) emulator.FaultFunc {
	var mu sync.Mutex
	done := false
	return func(_ context.Context, e emulator.Event) emulator.Fault {
		mu.Lock()
		defer mu.Unlock()
		if done || !match(e) {
			return emulator.Fault{}
		}
		done = true
		return fault
	}
}

func operation(op emulator.Op, queues ...string) func(e emulator.Event) bool {
	return func(e emulator.Event) bool { return e.Op == op && slices.Contains(queues, e.Queue) }
}

// bodies names deliveries by their bodies, for failure messages.
func bodies(d *writeback.Delivery) string { return fmt.Sprintf("%.40q", d.Body) }

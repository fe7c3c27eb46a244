package emulator_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// recorder keeps what a client writes.
type recorder struct {
	net.Conn
	mu  sync.Mutex
	log bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.log.Write(b)
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// traces are what the SDK writes in the course of some work.
func traces(f *testing.F) [][]byte {
	s := newServer(f, standard())
	var recorders []*recorder
	client := func() *azservicebus.Client {
		c, err := azservicebus.NewClientFromConnectionString(s.ConnectionString("emulator.test", "root"), &azservicebus.ClientOptions{
			NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
				conn, err := s.Dial(ctx)
				r := &recorder{Conn: conn}
				recorders = append(recorders, r)
				return r, err
			},
		})
		must(f, err)
		return c
	}
	work(f, client())
	sessionWork(f, client())
	var out [][]byte
	for _, r := range recorders {
		r.mu.Lock()
		out = append(out, bytes.Clone(r.log.Bytes()))
		r.mu.Unlock()
	}
	return out
}

func work(f *testing.F, c *azservicebus.Client) {
	for range 4 {
		send(f, c, plainQueue, "x")
	}
	r := newReceiver(f, c, plainQueue, nil)
	msgs := receive(f, r, 4)
	must(f, r.RenewMessageLock(within(f), msgs[0], nil))
	must(f, r.CompleteMessage(within(f), msgs[0], nil))
	must(f, r.AbandonMessage(within(f), msgs[1], nil))
	must(f, r.DeadLetterMessage(within(f), msgs[2], nil))
	must(f, r.DeferMessage(within(f), msgs[3], nil))
	_, err := r.PeekMessages(within(f), 3, nil)
	must(f, err)
	must(f, c.Close(within(f)))
}

func sessionWork(f *testing.F, c *azservicebus.Client) {
	send(f, c, sessionQueue, "x", inSession("s"))
	r, err := c.AcceptNextSessionForQueue(within(f), sessionQueue, nil)
	must(f, err)
	must(f, r.CompleteMessage(within(f), receiveOne(f, r), nil))
	must(f, r.SetSessionState(within(f), []byte("x"), nil))
	must(f, c.Close(within(f)))
}

// prologue opens a connection and a session, so that the fuzzer need not find the way in.
func prologue(f *testing.F) []byte {
	b := []byte(amqp.HeaderSASL)
	add := func(kind byte, p amqp.Performative) {
		var err error
		b, err = amqp.AppendFrame(b, kind, 0, p, nil)
		must(f, err)
	}
	add(amqp.FrameSASL, &amqp.Init{Mechanism: "ANONYMOUS"})
	b = append(b, amqp.HeaderAMQP...)
	add(amqp.FrameAMQP, &amqp.Open{ContainerID: "f", MaxFrameSize: 512})
	add(amqp.FrameAMQP, &amqp.Begin{IncomingWindow: 10, OutgoingWindow: 10})
	return b
}

// afterBegin is the part of a trace behind its open and its first begin.
func afterBegin(f *testing.F, trace []byte) []byte {
	_, rest, found := bytes.Cut(trace, []byte(amqp.HeaderAMQP))
	if !found {
		f.Fatal("a trace without an AMQP header")
	}
	r := bytes.NewReader(rest)
	for range 2 {
		_, err := amqp.ReadFrame(r, 65536)
		must(f, err)
	}
	return rest[len(rest)-r.Len():]
}

// FuzzConnection writes arbitrary bytes to a server: it must not panic, must come to an end when the peer is gone,
// and must not take memory out of proportion.
func FuzzConnection(f *testing.F) {
	start := prologue(f)
	for _, trace := range traces(f) {
		f.Add(false, trace)
		f.Add(true, afterBegin(f, trace))
	}
	for _, wire := range []string{"\xff\x00\x00\x00\x02\x00\x00\x00", "\x00\x00\x00\x0d\x02\x00\x00\x00\x00\x53\x12\xf0\xff"} {
		f.Add(true, []byte(wire))
	}
	f.Fuzz(func(t *testing.T, inside bool, input []byte) {
		if inside {
			input = append(bytes.Clone(start), input...)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		talk(t, input)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20+2000*uint64(len(input)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(input), took)
		}
	})
}

// talk writes the input to a new server, reads whatever comes, and hangs up.
func talk(t *testing.T, input []byte) {
	s, err := emulator.New(standard())
	must(t, err)
	c, err := s.Dial(context.Background())
	must(t, err)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_, _ = c.Write(input)
	c.Close()
	ended := make(chan struct{})
	go func() { s.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not come to an end")
	}
}

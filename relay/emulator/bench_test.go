package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/relay/emulator"
)

// benchBody is the size of a message's body here: a signed and encrypted request is about as long.
const benchBody = 1000

// transport is a way by which clients reach the emulator, or the bare echo it is compared with.
type transport struct {
	name string
	// serve hands connections to handle until the benchmark ends, and returns how to make one.
	serve func(b *testing.B, handle func(net.Conn)) (dial func(context.Context) (net.Conn, error))
}

func transports() []transport { return []transport{{"pipe", servePipe}, {"tcp", serveTCP}} }

func servePipe(_ *testing.B, handle func(net.Conn)) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		go handle(server)
		return client, nil
	}
}

func serveTCP(b *testing.B, handle func(net.Conn)) func(context.Context) (net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}
}

// benchClient is a namespace behind the transport, and an unmodified SDK client.
func (tr transport) benchClient(b *testing.B) *azservicebus.Client {
	b.Helper()
	s := newServer(b, standard())
	dial := tr.serve(b, func(c net.Conn) { _ = s.ServeConn(context.Background(), c) })
	return sdkClient(b, s, dial)
}

func sdkClient(b *testing.B, s *emulator.Server, dial func(context.Context) (net.Conn, error)) *azservicebus.Client {
	b.Helper()
	c, err := azservicebus.NewClientFromConnectionString(s.ConnectionString("emulator.test", "root"), &azservicebus.ClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) { return dial(ctx) },
	})
	must(b, err)
	b.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// echo is the median time in which a message's bytes go to a peer that does nothing but send them back: the measure for
// what the machine can do at this moment.
func (tr transport) echo(b *testing.B) time.Duration {
	b.Helper()
	dial := tr.serve(b, func(c net.Conn) {
		defer c.Close()
		for buf := make([]byte, benchBody); ; {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	c, err := dial(b.Context())
	must(b, err)
	defer c.Close()
	const rounds = 2000
	times := make([]time.Duration, 0, rounds)
	for buf := make([]byte, benchBody); len(times) < rounds; {
		start := time.Now()
		_, err := c.Write(buf)
		must(b, err)
		_, err = io.ReadFull(c, buf)
		must(b, err)
		times = append(times, time.Since(start))
	}
	return percentile(times, 50)
}

func percentile(times []time.Duration, p int) time.Duration {
	slices.Sort(times)
	return times[min(len(times)*p/100, len(times)-1)]
}

// BenchmarkSendReceiveComplete is the way of messages through the unmodified SDK: sent by eight goroutines, received with a
// credit of 32, by one receiver or by 32, and completed. Most of the time is the SDK's. "echoes" is the time of a message in
// bare echoes over the same transport. Wall-clock figures suffer when the machine has other work to do; "cpu-µs/msg", the
// processor time of client and emulator together, hardly does.
func BenchmarkSendReceiveComplete(b *testing.B) {
	for _, tr := range transports() {
		for _, receivers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/receivers=%d", tr.name, receivers), func(b *testing.B) {
				echo := tr.echo(b)
				c := tr.benchClient(b)
				flow := newFlow(b, c, receivers)
				b.ReportAllocs()
				cpu := cpuTime(b)
				b.ResetTimer()
				flow.run(b)
				b.StopTimer()
				b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/msg")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(echo), "echoes")
			})
		}
	}
}

// flow is senders and receivers with a message behind them, so that their links stand.
type flow struct {
	sender    *azservicebus.Sender
	receivers []*azservicebus.Receiver
	credit    int
}

func newFlow(b *testing.B, c *azservicebus.Client, receivers int) *flow {
	b.Helper()
	f := &flow{sender: newSender(b, c, plainQueue), credit: 32 / receivers}
	for range receivers {
		r := newReceiver(b, c, plainQueue, nil)
		must(b, f.sender.SendMessage(b.Context(), &azservicebus.Message{}, nil))
		must(b, r.CompleteMessage(b.Context(), receiveOne(b, r), nil))
		f.receivers = append(f.receivers, r)
	}
	return f
}

// run moves b.N messages.
func (f *flow) run(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	const senders = 8
	left, done := make(chan struct{}, b.N), make(chan struct{}, b.N)
	for range b.N {
		left <- struct{}{}
	}
	close(left)
	var sending, receiving sync.WaitGroup
	for range senders {
		sending.Go(func() {
			for range left {
				if err := f.sender.SendMessage(b.Context(), &azservicebus.Message{Body: make([]byte, benchBody)}, nil); err != nil {
					b.Errorf("send: %v", err)
					return
				}
			}
		})
	}
	for _, r := range f.receivers {
		receiving.Go(func() { f.drain(ctx, b, r, done) })
	}
	for range b.N {
		<-done
	}
	sending.Wait() // a message may have been completed before its sender hears that it arrived
	cancel()
	receiving.Wait()
}

// drain receives and completes until ctx ends.
func (f *flow) drain(ctx context.Context, b *testing.B, r *azservicebus.Receiver, done chan<- struct{}) {
	for {
		msgs, err := r.ReceiveMessages(ctx, f.credit, nil)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				b.Errorf("receive: %v", err)
			}
			return
		}
		var wg sync.WaitGroup
		for _, m := range msgs {
			wg.Go(func() {
				if err := r.CompleteMessage(ctx, m, nil); err != nil {
					b.Errorf("complete: %v", err)
				}
				done <- struct{}{}
			})
		}
		wg.Wait()
	}
}

// BenchmarkRequestReply is what a portal waits for when the agent has nothing to do: a request is sent, received by another
// client, answered into a session, the answer received. Both sides settle. "echoes" is the median in bare echoes.
func BenchmarkRequestReply(b *testing.B) {
	for _, tr := range transports() {
		b.Run(tr.name, func(b *testing.B) {
			echo := tr.echo(b)
			s := newServer(b, standard())
			dial := tr.serve(b, func(c net.Conn) { _ = s.ServeConn(context.Background(), c) })
			portal, agent := sdkClient(b, s, dial), sdkClient(b, s, dial)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); answer(ctx, b, agent) }()
			defer func() { cancel(); <-ended }()
			requests := newSender(b, portal, plainQueue)
			replies, err := portal.AcceptSessionForQueue(ctx, sessionQueue, "portal", nil)
			must(b, err)
			ask := func() {
				must(b, requests.SendMessage(ctx, &azservicebus.Message{Body: make([]byte, benchBody)}, nil))
				must(b, replies.CompleteMessage(ctx, receiveOne(b, replies), nil))
			}
			ask() // the links stand now
			var times []time.Duration
			for b.Loop() {
				start := time.Now()
				ask()
				times = append(times, time.Since(start))
			}
			median := percentile(times, 50)
			b.ReportMetric(float64(median.Microseconds()), "p50-µs")
			b.ReportMetric(float64(percentile(times, 99).Microseconds()), "p99-µs")
			b.ReportMetric(float64(median)/float64(echo), "echoes")
		})
	}
}

// answer is an agent that answers each request at once.
func answer(ctx context.Context, b *testing.B, c *azservicebus.Client) {
	requests, replies := newReceiver(b, c, plainQueue, nil), newSender(b, c, sessionQueue)
	session := "portal"
	for {
		msgs, err := requests.ReceiveMessages(ctx, 1, nil)
		if err != nil {
			return
		}
		for _, m := range msgs {
			err := replies.SendMessage(ctx, &azservicebus.Message{Body: make([]byte, benchBody), SessionID: &session}, nil)
			if err == nil {
				err = requests.CompleteMessage(ctx, m, nil)
			}
			if err != nil && ctx.Err() == nil {
				b.Errorf("answer: %v", err)
			}
		}
	}
}

// BenchmarkWaitingMessages stores 100,000 messages that nobody receives, per operation: what they cost is memory.
func BenchmarkWaitingMessages(b *testing.B) {
	const messages = 100_000
	for b.Loop() {
		b.ReportMetric(float64(stored(b, messages))/(1<<20), "MiB/100k")
	}
}

// TestWaitingMessagesAreSmall: a message with a body of 1,000 bytes takes less than 2 KiB.
func TestWaitingMessagesAreSmall(t *testing.T) {
	const messages, most = 5000, 2 << 10
	if took := stored(t, messages) / messages; took > most {
		t.Errorf("a waiting message takes %d bytes, more than %d", took, most)
	}
}

// stored sends messages in batches and returns the bytes of memory the namespace takes for them.
func stored(t testing.TB, messages int) int64 {
	t.Helper()
	s := newServer(t, standard())
	before := heap()
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	for sent := 0; sent < messages; {
		batch, err := snd.NewMessageBatch(within(t), nil)
		must(t, err)
		for ; sent < messages && batch.NumMessages() < 100; sent++ {
			must(t, batch.AddMessage(&azservicebus.Message{Body: make([]byte, benchBody)}, nil))
		}
		must(t, snd.SendMessageBatch(within(t), batch, nil))
	}
	must(t, c.Close(within(t)))
	took := heap() - before
	if got := counts(t, s, plainQueue).Active; got != messages {
		t.Fatalf("%d messages are waiting, want %d", got, messages)
	}
	must(t, s.Close())
	return took
}

// heap is what is in use after everything else is gone.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // finalizers, and pools, go in two steps
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkIdle measures the processor time of an emulator to which 20 clients are connected, each with a receiver that
// waits, and of these clients, who share the process: five seconds per operation in which nothing happens.
func BenchmarkIdle(b *testing.B) {
	const clients, period = 20, 5 * time.Second
	s := newServer(b, standard())
	attached := make(chan struct{}, clients)
	s.SetFaults(func(_ context.Context, e emulator.Event) emulator.Fault {
		if e.Op == emulator.OpAttach {
			attached <- struct{}{}
		}
		return emulator.Fault{}
	})
	for range clients {
		r := newReceiver(b, connect(b, s), plainQueue, nil)
		go func() { _, _ = r.ReceiveMessages(b.Context(), 1, nil) }()
	}
	for range clients {
		<-attached
	}
	time.Sleep(time.Second) // what follows from attaching is over, too
	debug.FreeOSMemory()    // or the runtime would give back in the background what other benchmarks have left
	before, start := cpuTime(b), time.Now()
	for b.Loop() {
		time.Sleep(period)
	}
	used, took := cpuTime(b)-before, time.Since(start)
	b.ReportMetric(float64(used.Microseconds())/took.Seconds(), "cpu-µs/s")
}

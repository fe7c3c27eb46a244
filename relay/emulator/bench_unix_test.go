//go:build unix

package emulator_test

import (
	"context"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
)

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
	debug.FreeOSMemory() // or the runtime would give back in the background what other benchmarks have left
	before, start := cpuTime(b), time.Now()
	for b.Loop() {
		time.Sleep(period)
	}
	used, took := cpuTime(b)-before, time.Since(start)
	b.ReportMetric(float64(used.Microseconds())/took.Seconds(), "cpu-µs/s")
}

// cpuTime is the processor time of this process so far.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

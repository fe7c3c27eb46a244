package adtest

import (
	"io"
	"net"
	"sync"
	"time"
)

// Operation is what a fault strikes.
type Operation string

// The operations.
const (
	OnBind   Operation = "bind"
	OnSearch Operation = "search"
	OnModify Operation = "modify"
)

// Effect is what a fault does.
type Effect string

// The effects.
const (
	// Delay waits before the operation is carried out.
	Delay Effect = "delay"
	// DropBefore closes the connection without carrying the operation out.
	DropBefore Effect = "drop_before"
	// DropAfter carries it out, then closes the connection without an answer.
	DropAfter Effect = "drop_after"
	// Hang waits until the fault is removed and then carries the operation out, whether or not the client still waits: what a
	// controller does whose processes were stopped and go on.
	Hang Effect = "hang"
	// Answer answers with Code and Diagnostic without carrying the operation out.
	Answer Effect = "answer"
	// Say sends what Raw holds in place of an answer, without carrying the operation out.
	Say Effect = "say"
)

// Fault goes wrong on purpose.
type Fault struct {
	On     Operation
	Effect Effect
	For    time.Duration // Delay
	Code   int           // Answer: result code
	// Diagnostic message of an Answer.
	Diagnostic string
	// Raw makes the bytes to Say to the message with this id. It may have no end.
	Raw    func(id int64) io.Reader
	Times  int           // how often; 0: until it is removed
	Struck chan<- string // receives the operation each time, if it has room; nil: nobody listens
}

// fault is one that was injected.
type fault struct {
	Fault
	left    int
	removed chan struct{}
}

// faults is what may go wrong, and the open connections.
type faults struct {
	mu    sync.Mutex
	list  []*fault
	conns map[net.Conn]bool
}

// Inject adds a fault and returns what removes it; calling that twice is harmless. The first fault injected strikes first.
func (s *Server) Inject(f Fault) (remove func()) {
	injected := &fault{Fault: f, left: f.Times, removed: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, injected)
	return sync.OnceFunc(func() {
		close(injected.removed)
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.forget(injected)
	})
}

func (f *faults) forget(gone *fault) {
	for i, each := range f.list {
		if each == gone {
			f.list = append(f.list[:i:i], f.list[i+1:]...)
			return
		}
	}
}

// strike returns the fault that hits this operation; nil: none.
func (f *faults) strike(on Operation) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range f.list {
		if each.On != on {
			continue
		}
		if each.left--; each.left == 0 {
			f.forget(each)
		}
		select {
		case each.Struck <- string(on):
		default:
		}
		return each
	}
	return nil
}

// track remembers an open connection until the returned function is called.
func (f *faults) track(conn net.Conn) (forget func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns == nil {
		f.conns = make(map[net.Conn]bool)
	}
	f.conns[conn] = true
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, conn)
	}
}

func (f *faults) disconnect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		_ = conn.Close()
	}
}

package ldapwriter_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line is a stretch of cable between the tests and a controller, which can be cut. Nothing on it is read: it is TLS.
type line struct {
	address string // on the controller's own host, so that its certificate fits

	mu   sync.Mutex
	lose bool
	ends []net.Conn
}

// through lays a line to the controller. It ends with the test.
func (c *controller) through(t *testing.T) *line {
	t.Helper()
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: listener.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() { l.serve(listener, c.address, &running) })
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		running.Wait()
	})
	return l
}

func (l *line) serve(listener net.Listener, to string, running *sync.WaitGroup) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = near.Close()
			continue
		}
		l.mu.Lock()
		l.ends = append(l.ends, near, far)
		l.mu.Unlock()
		running.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
		running.Go(func() { _, _ = io.Copy(answers{l, near}, far); _ = near.Close() })
	}
}

// loseAnswers cuts every connection at the next byte that the controller sends: what it was asked for is done by then.
func (l *line) loseAnswers() { l.set(true) }

// mend lets new connections through again.
func (l *line) mend() { l.set(false) }

func (l *line) set(lose bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = lose
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		_ = end.Close()
	}
}

// answers is the controller's way back to the tests.
type answers struct {
	line *line
	to   net.Conn
}

func (a answers) Write(b []byte) (int, error) {
	a.line.mu.Lock()
	lose := a.line.lose
	a.line.mu.Unlock()
	if lose {
		return 0, io.ErrClosedPipe
	}
	return a.to.Write(b)
}

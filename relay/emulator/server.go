package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
	"github.com/password-writeback/writeback/relay/emulator/internal/store"
	"github.com/password-writeback/writeback/relay/emulator/internal/trace"
)

// ErrClosed is returned by operations on a closed Server.
var ErrClosed = errors.New("emulator: closed")

// ErrNoQueue is returned when a queue does not exist.
var ErrNoQueue = errors.New("emulator: no such queue")

// Counts are the messages of a queue, by state, and how many came to which end so far.
type Counts = broker.Counts

// Server is a namespace. Its methods may be called from any goroutine.
type Server struct {
	cfg     Config
	log     logrus.FieldLogger
	queues  registry
	keys    []access.Key
	admin   sync.Mutex // held while queues are made, changed or removed
	started time.Time
	dir     *store.Directory // nil: nothing is kept

	ctx    context.Context
	cancel context.CancelFunc
	trace  *trace.Log
	faults faultSwitch
	clock  *clock

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	owners map[*conn]struct{}
	wg     sync.WaitGroup
}

// New makes a namespace; nothing listens yet. The caller must Close it.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("emulator: %w", err)
	}
	clock := &clock{base: cfg.Now}
	cfg.Now = clock.now
	s := &Server{
		cfg: cfg, log: cfg.Logger, keys: accessKeys(cfg.Keys),
		conns: map[net.Conn]struct{}{}, owners: map[*conn]struct{}{}, started: cfg.Now(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.clock, s.trace = clock, trace.New(cfg.Trace)
	s.SetFaults(cfg.Fault)
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("emulator: %w", err), s.Close())
	}
	return s, nil
}

func accessKeys(keys []AccessKey) []access.Key {
	out := make([]access.Key, 0, len(keys))
	for _, k := range keys {
		out = append(out, access.Key{Name: k.Name, Secret: k.Key, Rights: k.Rights})
	}
	return out
}

// Serve accepts connections on l until ctx ends or the server is closed, then closes l and all its connections, waits
// for them to end, and returns nil. It returns an error when l fails.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := s.scope(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			l.Close()
			cancel()
			return fmt.Errorf("emulator: accept: %w", err)
		}
		wg.Go(func() { s.serveLogged(ctx, c) })
	}
}

func (s *Server) serveLogged(ctx context.Context, c net.Conn) {
	s.logEnd(c, s.ServeConn(ctx, c))
}

func (s *Server) logEnd(c net.Conn, err error) {
	if err != nil {
		s.log.WithError(err).WithField("peer", c.RemoteAddr()).Debug("connection ended")
	}
}

// scope is a context that ends with ctx or with the server.
func (s *Server) scope(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// ServeConn serves one connection, from its first byte, until the peer closes it, it fails, or ctx ends. It always
// closes c. The error is nil when the peer closed in an orderly way or ctx ended.
func (s *Server) ServeConn(ctx context.Context, c net.Conn) error {
	if !s.enter(c) {
		c.Close()
		return ErrClosed
	}
	return s.serveEntered(ctx, c)
}

// serveEntered serves a connection that enter has admitted.
func (s *Server) serveEntered(ctx context.Context, c net.Conn) error {
	defer s.leave(c)
	ctx, cancel := s.scope(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cut(c) })
	defer stop()
	defer c.Close() // a goodbye takes time, on TLS and WebSocket; the end of ctx cuts it short
	owner := newConn(ctx, s, c)
	s.own(owner)
	defer s.disown(owner)
	err := owner.serve()
	owner.trace.End(err)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.wg.Done()
}

// Dial connects in process. It fits azservicebus.ClientOptions.NewWebSocketConn.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	if !s.enter(server) {
		return nil, ErrClosed
	}
	// The connection outlives the call, so it lives by the server's context, not by ctx.
	go func() { s.logEnd(server, s.serveEntered(s.ctx, server)) }()
	return client, nil
}

// DropConnections cuts all client connections now, as a network failure would: no close frame, no answer.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		cut(c)
	}
}

// Counts returns the counts of a queue.
func (s *Server) Counts(queue string) (Counts, error) {
	e, ok := s.queues.find(queue)
	if !ok {
		return Counts{}, fmt.Errorf("%w: %s", ErrNoQueue, queue)
	}
	return e.broker.Counts(), nil
}

// ConnectionString is what a client needs to connect to addr (host:port) with the namespace's key of that name; "" if
// there is no such key. It holds the key in clear and makes the client speak without TLS.
func (s *Server) ConnectionString(addr, keyName string) string {
	return s.QueueConnectionString(addr, "", keyName)
}

// QueueConnectionString is ConnectionString with a key of that queue, or else of the namespace.
func (s *Server) QueueConnectionString(addr, queue, keyName string) string {
	cs := s.TLSConnectionString(addr, queue, keyName)
	if cs == "" {
		return ""
	}
	return cs + ";UseDevelopmentEmulator=true"
}

// TLSConnectionString is QueueConnectionString for clients that come by ServeTLS or ServeHTTPS. The host is the one
// the certificate is for. Where it listens elsewhere, or at another port, is the client's CustomEndpoint or its dialer's
// business; clients do not ask for a certificate that carries a port.
func (s *Server) TLSConnectionString(host, queue, keyName string) string {
	key, ok := s.key(strings.ToLower(queue), keyName)
	if !ok {
		return ""
	}
	return "Endpoint=sb://" + host + ";SharedAccessKeyName=" + key.Name + ";SharedAccessKey=" + string(key.Secret.Reveal())
}

// key finds a key for an entity path in lower case: the queue's own before the namespace's.
func (s *Server) key(path, name string) (access.Key, bool) {
	if n, ok := s.resolve(path); ok {
		for _, k := range n.entity.keys {
			if k.Name == name {
				return k, true
			}
		}
	}
	for _, k := range s.keys {
		if k.Name == name {
			return k, true
		}
	}
	return access.Key{}, false
}

// Close cuts all connections, stops all timers and waits until everything has ended. Its error is about files.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return s.unload()
}

// silent is a logger that writes nothing.
func silent() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

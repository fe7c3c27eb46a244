package adtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Options configures a Server. The zero value serves an empty domain; use [Corp].
type Options struct {
	Domain Domain
	// Address to listen on; empty: a free port of 127.0.0.1.
	Address string
	// Names are further DNS names and addresses for the certificate, beside those of the domain and of loopback.
	Names []string
	// Clock is the controller's; nil: time.Now.
	Clock func() time.Time
	// WithoutPolicyHints makes it a controller that does not know the control, as before KB2386717.
	WithoutPolicyHints bool
	// DeprecatedPolicyHints offers the control by its old OID only, as before Windows Server 2016.
	DeprecatedPolicyHints bool
	// WithoutDomainScope makes it a controller that does not know that control.
	WithoutDomainScope bool
	// ReadOnly makes it a read-only controller (RODC): it refers writes to a writable one (MS-ADTS 3.1.1.5.1.4).
	ReadOnly bool
	// ScanDelay is how long a search takes that no index helps.
	ScanDelay time.Duration
	// Unreadable attributes are left out of every answer, as AD does with what may not be read.
	Unreadable []string

	// Peer makes it a further controller of the peer's domain, with the peer's data (replication takes no time here) and authority.
	// Domain is not used then.
	Peer *Server
	// Host is the first label of its name; empty: dc1, which holds the role of the PDC emulator.
	Host string
	// Site is the one it is in; empty: Default-First-Site-Name.
	Site string
	// StartTLS makes it begin in plain text, as on port 389.
	StartTLS bool
	// Certificate is what it shows; the zero value is in order.
	Certificate Certificate
}

// Server is a fake domain controller.
type Server struct {
	options  Options
	dir      *directory
	listener net.Listener
	ca       *authority
	secured  *tls.Config
	faults   faults

	context     context.Context
	stop        context.CancelFunc
	connections sync.WaitGroup
	accepted    atomic.Int64
	binds       atomic.Int64
	operations  atomic.Int64
	scans       atomic.Int64
}

// New builds the domain, listens and serves until Close.
func New(options Options) (*Server, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Address == "" {
		options.Address = "127.0.0.1:0"
	}
	if options.Host == "" {
		options.Host = "dc1"
	}
	dir, ca, err := options.foundation()
	if err != nil {
		return nil, err
	}
	options.Domain = dir.domain
	if err := dir.addController(options.settings(dir.base), options.Clock()); err != nil {
		return nil, err
	}
	certificate, err := options.Certificate.issue(ca, append(options.Names, options.Host+"."+options.Domain.Name, options.Domain.Name, "localhost", "127.0.0.1", "::1"))
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", options.Address)
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, dir: dir, ca: ca}
	s.secured = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	s.listener = listener
	if !options.StartTLS {
		s.listener = tls.NewListener(listener, s.secured)
	}
	s.context, s.stop = context.WithCancel(context.Background())
	s.connections.Go(s.accept)
	return s, nil
}

// foundation returns the data and the authority, the peer's where there is one.
func (o Options) foundation() (*directory, *authority, error) {
	if o.Peer != nil {
		return o.Peer.dir, o.Peer.ca, nil
	}
	if o.Domain.Name == "" {
		return nil, nil, errors.New("adtest: the domain has no name")
	}
	dir, err := newDirectory(o.Domain, o.Clock())
	if err != nil {
		return nil, nil, err
	}
	ca, err := newAuthority()
	return dir, ca, err
}

// TB is the part of testing.TB that [Start] needs: the lab is no test and does without package testing.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Start is New for tests: a failure ends the test, and the server is closed with it.
func Start(t TB, options Options) *Server {
	t.Helper()
	s, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Addr returns host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// CAPool returns a pool with the authority that issued the server's certificate.
func (s *Server) CAPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca.certificate)
	return pool
}

// CAPEM returns the authority's certificate as a PEM file holds it.
func (s *Server) CAPEM() []byte { return s.ca.pem }

// Close ends every connection and waits for what is in hand.
func (s *Server) Close() error {
	s.stop()
	err := s.listener.Close()
	s.connections.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.accepted.Add(1)
		s.connections.Go(func() { s.serve(conn) })
	}
}

// serve answers one connection's messages in order, as a worker of a real controller does.
func (s *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(s.context, func() { _ = conn.Close() })()
	defer s.faults.track(conn)()
	c := &session{server: s, conn: conn, plain: s.options.StartTLS}
	reader := bufio.NewReader(conn)
	for {
		m, err := readMessage(reader)
		if err != nil || !c.handle(m) {
			return
		}
		if c.upgraded { // what was sent in plain text behind the request is forgotten
			c.upgraded = false
			c.conn = tls.Server(conn, s.secured)
			reader.Reset(c.conn)
		}
	}
}

// Connections returns how many connections were accepted since the start.
func (s *Server) Connections() int { return int(s.accepted.Load()) }

// Binds returns how many binds were asked for since the start.
func (s *Server) Binds() int { return int(s.binds.Load()) }

// Operations returns how many searches and modifies were asked for since the start.
func (s *Server) Operations() int { return int(s.operations.Load()) }

// Writes returns how often unicodePwd of the account was written since the start.
func (s *Server) Writes(login string) int {
	writes := 0
	s.look(login, func(e *entry) { writes = e.account.writes })
	return writes
}

// UserState is what a test may want to know about an account.
type UserState struct {
	DN              string
	GUID            writeback.GUID
	SID             string
	PasswordVersion uint32
	PasswordLastSet time.Time
	MustChange      bool
	LockoutTime     time.Time // zero: not locked
	BadPasswords    int
	Writes          int // of unicodePwd
}

// User returns the state of an account; ok is false when there is none.
func (s *Server) User(login string) (state UserState, ok bool) {
	ok = s.look(login, func(e *entry) {
		a := e.account
		state = UserState{
			DN: e.dn, GUID: e.guid, SID: e.sid, PasswordVersion: a.version, PasswordLastSet: a.pwdLastSet,
			MustChange: a.pwdLastSet.IsZero(), LockoutTime: a.lockoutTime, BadPasswords: a.badPasswords, Writes: a.writes,
		}
	})
	return state, ok
}

// look calls f with the account under the lock.
func (s *Server) look(login string, f func(*entry)) bool {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	e := s.dir.byLogin[strings.ToLower(login)]
	if e == nil || e.account == nil {
		return false
	}
	f(e)
	return true
}

// SetPassword sets a password as an administrator at the console would, past every rule; ok is false when there is no such account.
func (s *Server) SetPassword(login, password string) (ok bool) {
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	e := s.dir.byLogin[strings.ToLower(login)]
	if e == nil || e.account == nil {
		return false
	}
	e.account.setPassword(password, s.options.Clock(), s.InvocationID())
	e.account.writes--
	return true
}

// Replicate makes a password that another controller wrote appear here, as replication does; ok is false when there is no such account.
func (s *Server) Replicate(login, password string, originator writeback.GUID) (ok bool) {
	if ok = s.SetPassword(login, password); !ok {
		return false
	}
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	s.dir.byLogin[strings.ToLower(login)].account.originator = originator
	return true
}

// InvocationID is the one under which this controller makes its own writes.
func (s *Server) InvocationID() writeback.GUID { return invocationOf(s.options.settings(s.dir.base)) }

// Disconnect closes every open connection, as a restart of the controller would; it goes on serving.
func (s *Server) Disconnect() { s.faults.disconnect() }

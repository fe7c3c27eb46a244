package ldapwriter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// session is one connection to a controller, bound as the delegated account. One caller uses it at a time.
type session struct {
	conn     *ldap.Conn
	wire     *wire
	root     rootDSE
	opened   time.Time
	lastUsed time.Time
	broken   bool // an operation ended without an answer: never to be used again
	// usableUntil is when the ticket of the bind is about to end, and with it the connection; zero: never.
	usableUntil time.Time
}

// wire is the TLS connection below go-ldap. It counts the writes that were tried, so that "nothing was sent" can be told from
// "sent, but no answer": go-ldap reports both alike.
type wire struct {
	*tls.Conn
	socket net.Conn
	writes atomic.Int64
	unread atomic.Int64 // how much the operation in hand may still read
}

// maxAnswer bounds what one operation reads, in bytes, all its answers together. The largest attribute is a security descriptor of 64 KiB; a user has at most
// 1015 groups. go-ldap reads whatever a controller sends, and a small element costs it a hundred times its size.
const maxAnswer = 1 << 20

var errTooMuch = errors.New("the controller's answer has no end")

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if w.unread.Load() <= 0 {
		return 0, errTooMuch
	}
	n, err := w.Conn.Read(b)
	w.unread.Add(int64(-n))
	return n, err
}

// Write implements net.Conn. A failed write counts: part of it may have left.
func (w *wire) Write(b []byte) (int, error) {
	w.writes.Add(1)
	return w.Conn.Write(b)
}

// dial connects and verifies the controller. It is the only place that makes connections. Nothing is sent in it but TLS and, before that,
// the request for it.
func (c *controller) dial(ctx context.Context) (*session, error) {
	config, err := c.trust.config()
	if err != nil {
		return nil, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("reading the authorities: %w", err),
			Hint: "Check the file that domains[].ca_file names, and who may read it.",
		}
	}
	s, err := c.dialWith(ctx, config)
	if err == nil || ctx.Err() != nil {
		return s, err
	}
	again, err := c.trust.learn(err)
	if !again {
		return nil, err
	}
	return c.dialWith(ctx, c.trust.pinConfig())
}

func (c *controller) dialWith(ctx context.Context, config *tls.Config) (*session, error) {
	dialer := net.Dialer{Resolver: c.names.resolver()}
	socket, err := dialer.DialContext(ctx, "tcp", c.target(ctx))
	if err != nil {
		return nil, err
	}
	if c.domain.Transport == TransportStartTLS {
		err = startTLS(ctx, socket)
	}
	var secured *tls.Conn
	if err == nil {
		secured, err = secure(ctx, socket, config)
	}
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	w := &wire{Conn: secured, socket: socket}
	w.unread.Store(maxAnswer)
	conn := ldap.NewConn(w, true)
	conn.Start()
	return &session{conn: conn, wire: w, opened: time.Now(), lastUsed: time.Now()}, nil
}

// do runs one operation and cuts the connection when ctx ends, which makes go-ldap return at once. An operation that did not
// end in an LDAP answer marks the session broken.
func (s *session) do(ctx context.Context, operation func(*ldap.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, s.cut)
	s.wire.unread.Store(maxAnswer)
	s.broken = true // until the operation returns: a panic in it leaves an answer on its way
	err := operation(s.conn)
	s.broken = false
	if !stop() {
		s.broken = true
		if err != nil && !answered(err) {
			err = errors.Join(context.Cause(ctx), err)
		}
	}
	if !answered(err) {
		s.broken = true
	}
	s.lastUsed = time.Now()
	return err
}

// bind authenticates. The copy of the password that go-ldap needs as a string cannot be cleared.
func (s *session) bind(ctx context.Context, user string, password secret.Value) error {
	return s.do(ctx, func(conn *ldap.Conn) error {
		var request *ldap.SimpleBindRequest
		password.Use(func(b []byte) { request = ldap.NewSimpleBindRequest(user, string(b), nil) })
		_, err := conn.SimpleBind(request)
		return err
	})
}

// usable reports whether the session may be used once more.
func (s *session) usable() bool {
	current := s.usableUntil.IsZero() || time.Now().Before(s.usableUntil)
	return current && !s.broken && !s.conn.IsClosing()
}

// cut closes the socket, below TLS, whose own Close would wait for a peer that no longer reads. go-ldap then gives up by itself.
func (s *session) cut() { _ = s.wire.socket.Close() }

// close ends the connection. The socket goes first: go-ldap's Close waits for a writer that may be stuck in it.
func (s *session) close() {
	s.cut()
	_ = s.conn.Close()
}

// certificateExpires returns when the controller's certificate ends; zero where it is not known.
func (s *session) certificateExpires() time.Time {
	chain := s.wire.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return time.Time{}
	}
	return chain[0].NotAfter
}

// unknownCriticalControl is what go-ldap makes of Samba's answer to a critical control it does not know: an extended
// response, protocol op 24, where a modify response was due. It stands for result code 12.
const unknownCriticalControl = "ldap: unexpected response: 24"

// answered reports whether err is the controller's own answer, success included. go-ldap numbers its own failures from 200.
// A connection killed in flight gives a plain error that IsErrorWithCode(err, 200) misses, so everything unknown is
// "no answer".
func answered(err error) bool {
	if err == nil || err.Error() == unknownCriticalControl {
		return true
	}
	var answer *ldap.Error
	return errors.As(err, &answer) && answer.ResultCode < ldap.ErrorNetwork
}

// resultCode returns the controller's result code; ok is false when it did not answer.
func resultCode(err error) (code uint16, ok bool) {
	if !answered(err) {
		return 0, false
	}
	var answer *ldap.Error
	switch {
	case errors.As(err, &answer):
		return answer.ResultCode, true
	case err != nil:
		return ldap.LDAPResultUnavailableCriticalExtension, true
	}
	return ldap.LDAPResultSuccess, true
}

// errReferral is never followed up: whoever wants that data asks the controller that has it.
var errReferral = errors.New("the controller referred to another one; referrals are not followed")

// search asks for entries below base. Referrals and continuation references are refused.
func (s *session) search(conn *ldap.Conn, base string, scope int, filter string, attributes []string) ([]*ldap.Entry, error) {
	const atMost = 2 // one is wanted, the second proves ambiguity
	request := ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, atMost, 0, false, filter, attributes, s.root.searchControls(attributes))
	result, err := conn.Search(request)
	code, ok := resultCode(err)
	switch {
	case ok && code == ldap.LDAPResultReferral, err == nil && len(result.Referrals) > 0:
		return nil, errReferral
	case ok && code == ldap.LDAPResultSizeLimitExceeded && len(result.Entries) >= atMost:
		return result.Entries, nil
	case err != nil:
		return nil, err
	}
	return result.Entries, nil
}

// readOne reads the entry base names. A missing one is result code 32, as the controller says it, or no entry where the
// filter does not match.
func (s *session) readOne(conn *ldap.Conn, base, filter string, attributes []string) (*ldap.Entry, error) {
	entries, err := s.search(conn, base, ldap.ScopeBaseObject, filter, attributes)
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 {
		return nil, ldap.NewError(ldap.LDAPResultNoSuchObject, fmt.Errorf("%d entries for a base read", len(entries)))
	}
	return entries[0], nil
}

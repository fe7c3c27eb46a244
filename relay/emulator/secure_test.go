package emulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
)

const tlsHost = "lab.servicebus.test"

func newCertificates(t testing.TB, hosts ...string) *emulator.Certificates {
	t.Helper()
	c, err := emulator.NewCertificates(hosts...)
	must(t, err)
	return c
}

// loopback listens on a free port.
func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// serving is a front door at work.
type serving func(context.Context, net.Listener, *tls.Config) error

// open opens a front door on l. It is shut by calling shut, or when the test ends, which must succeed.
func open(t testing.TB, serve serving, l net.Listener, config *tls.Config) (shut func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l, config) }()
	shut = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the front door ended with %v", err)
		}
	})
	t.Cleanup(shut)
	return shut
}

// newClient makes an unmodified SDK client for the namespace at tlsHost.
func newClient(t testing.TB, s *emulator.Server, opts *azservicebus.ClientOptions) *azservicebus.Client {
	t.Helper()
	opts.RetryOptions = azservicebus.RetryOptions{MaxRetries: -1}
	c, err := azservicebus.NewClientFromConnectionString(s.TLSConnectionString(tlsHost, "", "root"), opts)
	must(t, err)
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// thereAndBack sends a message and receives and completes it.
func thereAndBack(t testing.TB, c *azservicebus.Client, body string) {
	t.Helper()
	send(t, c, plainQueue, body)
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	if diff := cmp.Diff(body, string(m.Body)); diff != "" {
		t.Errorf("body (-sent +received):\n%s", diff)
	}
	must(t, r.CompleteMessage(within(t), m, nil))
}

func TestTLS(t *testing.T) {
	s := newServer(t, standard())
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeTLS, l, certificates.ServerTLS())
	c := newClient(t, s, &azservicebus.ClientOptions{
		TLSConfig:      &tls.Config{RootCAs: certificates.RootCAs()},
		CustomEndpoint: l.Addr().String(),
	})
	thereAndBack(t, c, "over TLS")
	if got := counts(t, s, plainQueue); got.Completed != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTLSClientsThatDoNotTrustTheServer(t *testing.T) {
	s := newServer(t, standard())
	certificates, others := newCertificates(t, tlsHost), newCertificates(t, tlsHost)
	elsewhere := newCertificates(t, "elsewhere.servicebus.test")
	for name, tt := range map[string]struct {
		server *tls.Config
		roots  *x509.CertPool
		want   string
	}{
		"another authority":        {certificates.ServerTLS(), others.RootCAs(), "unknown authority"},
		"certificate for another":  {elsewhere.ServerTLS(), elsewhere.RootCAs(), "valid for elsewhere.servicebus.test"},
		"the system's authorities": {certificates.ServerTLS(), nil, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			l := loopback(t)
			open(t, s.ServeTLS, l, tt.server)
			c := newClient(t, s, &azservicebus.ClientOptions{TLSConfig: &tls.Config{RootCAs: tt.roots}, CustomEndpoint: l.Addr().String()})
			err := newSender(t, c, plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal of the certificate: %s", err, tt.want)
			}
		})
	}
}

func TestFrontDoorsWithoutACertificate(t *testing.T) {
	s := newServer(t, standard())
	for name, serve := range map[string]serving{"TLS": s.ServeTLS, "HTTPS": s.ServeHTTPS} {
		for what, config := range map[string]*tls.Config{"no configuration": nil, "no certificate": {}} {
			t.Run(name+", "+what, func(t *testing.T) {
				l := loopback(t)
				if err := serve(within(t), l, config); err == nil {
					t.Error("served")
				}
				if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the listener is not closed: %v", err)
				}
			})
		}
	}
}

func TestFrontDoorsEndWithTheServer(t *testing.T) {
	config := newCertificates(t, tlsHost).ServerTLS()
	for name, serve := range map[string]func(*emulator.Server) serving{
		"TLS":   func(s *emulator.Server) serving { return s.ServeTLS },
		"HTTPS": func(s *emulator.Server) serving { return s.ServeHTTPS },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, standard())
			ended := make(chan error, 1)
			l := loopback(t)
			go func() { ended <- serve(s)(context.Background(), l, config) }()
			idle, err := net.Dial("tcp", l.Addr().String()) // never says a word
			must(t, err)
			defer idle.Close()
			must(t, s.Close())
			if err := <-ended; err != nil {
				t.Errorf("ended with %v", err)
			}
			if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
				t.Error("the port is still open")
			}
		})
	}
}

func TestFrontDoorsReportAListenerThatFails(t *testing.T) {
	s := newServer(t, standard())
	config := newCertificates(t, tlsHost).ServerTLS()
	for name, serve := range map[string]serving{"TLS": s.ServeTLS, "HTTPS": s.ServeHTTPS} {
		t.Run(name, func(t *testing.T) {
			l := loopback(t)
			l.Close()
			if err := serve(within(t), l, config); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v, want the listener's error", err)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	certificates := newCertificates(t, tlsHost, "127.0.0.1")
	leaf, err := x509.ParseCertificate(certificates.ServerTLS().Certificates[0].Certificate[0])
	must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates.AuthorityPEM()) || !pool.Equal(certificates.RootCAs()) {
		t.Error("the PEM text holds another authority than the pool")
	}
	block, _ := pem.Decode(certificates.AuthorityPEM())
	authority, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	if !authority.IsCA || !authority.MaxPathLenZero || leaf.IsCA {
		t.Error("the authority must be one for servers alone, and the server none")
	}
	for host, good := range map[string]bool{tlsHost: true, "127.0.0.1": true, "127.0.0.2": false, "x." + tlsHost: false} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		if (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := emulator.NewCertificates(); err == nil {
		t.Error("a certificate for nobody")
	}
}

// pipes is a listener without a port, so that a front door can be opened inside a bubble.
type pipes struct {
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
	dialled atomic.Int32
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		p.dialled.Add(1)
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A client that connects and then says nothing is hung up on, by both front doors.
func TestSilentClientsAreHungUpOn(t *testing.T) {
	config := newCertificates(t, tlsHost).ServerTLS()
	for name, tt := range map[string]struct {
		serve func(*emulator.Server) serving
		after time.Duration
	}{
		"TLS":   {func(s *emulator.Server) serving { return s.ServeTLS }, 30 * time.Second},
		"HTTPS": {func(s *emulator.Server) serving { return s.ServeHTTPS }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				open(t, tt.serve(newServer(t, standard())), l, config)
				start := time.Now()
				c, err := l.dial(t.Context())
				must(t, err)
				if n, err := c.Read(make([]byte, 100)); err == nil {
					t.Errorf("read %d bytes", n)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("hung up on after %v, want %v", took, tt.after)
				}
			})
		})
	}
}

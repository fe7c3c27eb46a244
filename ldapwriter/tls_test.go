package ldapwriter_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

func tlsFor(roots *x509.CertPool, host string) *tls.Config {
	return &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
}

func TestControllerMustProveWhoItIs(t *testing.T) {
	elsewhere := func(o *adtest.Options) { o.Address = "127.0.0.2:0" } // an address the certificate does not carry
	for name, c := range map[string]struct {
		fake   *controller
		change func(*ldapwriter.DomainConfig)
		hint   string
	}{
		"unknown authority": {startFake(t), func(d *ldapwriter.DomainConfig) { d.RootCAs = x509.NewCertPool() }, "authority that is not trusted"},
		"other name":        {startFake(t, elsewhere), func(*ldapwriter.DomainConfig) {}, "does not carry the name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.fake.directory(t, c.change).Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
			wantReason(t, err, writeback.DirectoryUnavailable)
			if typed := asError(t, err); !strings.Contains(typed.Hint, c.hint) {
				t.Errorf("hint %q, want it to mention %q", typed.Hint, c.hint)
			}
			if c.fake.fake.Binds() != 0 {
				t.Error("a password was sent to a controller that did not prove who it is")
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	fake := startFake(t)
	address := oldTLSServer(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.Controllers = []string{address} })
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryUnavailable)
	if !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("error %v, want a refusal of the protocol version", err)
	}
}

// oldTLSServer speaks nothing newer than TLS 1.1.
func oldTLSServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	config := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, Certificates: []tls.Certificate{{}}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = tls.Server(conn, config).HandshakeContext(context.Background()); _ = conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

func certificateOf(t *testing.T, pemBytes []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		t.Fatal("no PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

package emulator

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// errNoCertificate refuses a front door that could not prove its name.
var errNoCertificate = errors.New("emulator: TLS needs a certificate")

// ServeTLS is Serve with TLS on each connection: what a client meets at port 5671 of the service.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener, config *tls.Config) error {
	config, err := withCertificate(config)
	if err != nil {
		l.Close()
		return err
	}
	// The handshake happens at the first read and is bounded as the AMQP handshake is, by one deadline over both.
	return s.Serve(ctx, tls.NewListener(l, config))
}

func withCertificate(config *tls.Config) (*tls.Config, error) {
	if config == nil || len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return nil, errNoCertificate
	}
	return config.Clone(), nil
}

// cut closes the socket below TLS and WebSocket, as a failing network would. Those say goodbye when they are closed,
// and wait for a peer that may be gone.
func cut(c net.Conn) {
	for {
		layer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = layer.NetConn()
	}
	c.Close()
}

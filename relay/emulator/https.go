package emulator

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Limits of requests. What comes by a WebSocket is bounded as on any other connection.
const (
	maxHeaderBytes   = 16 << 10
	headerTimeout    = 10 * time.Second // TLS handshake included
	requestTimeout   = 30 * time.Second // from there to the end of the answer
	keepAliveTimeout = time.Minute      // between requests
)

// ServeHTTPS accepts HTTP over TLS on l: what a client meets at port 443 of the service, which is the one that firewalls
// and proxies let through. It leads to AMQP over WebSocket, at the path and with the subprotocols of the service, and to
// the management interface everywhere else. It ends as Serve does.
func (s *Server) ServeHTTPS(ctx context.Context, l net.Listener, config *tls.Config) error {
	config, err := withCertificate(config)
	if err != nil {
		l.Close()
		return err
	}
	config.NextProtos = []string{"http/1.1"} // HTTP/2 has another way to WebSockets, which no client here uses
	ctx, cancel := s.scope(ctx)
	defer cancel()
	web, open := s.webServer(ctx)
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	err = web.Serve(tls.NewListener(l, config))
	stopped := ctx.Err() != nil
	cancel() // closes what is open
	open.Wait()
	if stopped {
		return nil
	}
	return fmt.Errorf("emulator: accept: %w", err)
}

// webServer answers until its connections are taken over as WebSockets, which then live by ctx. The group counts
// connections of both kinds: the HTTP server forgets those that are taken over.
func (s *Server) webServer(ctx context.Context) (*http.Server, *sync.WaitGroup) {
	var open sync.WaitGroup
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		if s.serveWebSocket(ctx, w, r) {
			open.Done()
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc(webSocketPath, upgrade)
	mux.HandleFunc(webSocketPath+"/{$}", upgrade)
	mux.Handle("/", s.ManagementHandler())
	return &http.Server{
		Handler:           mux,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout + requestTimeout, WriteTimeout: headerTimeout + requestTimeout,
		IdleTimeout: keepAliveTimeout,
		ErrorLog:    log.New(debugLog{s.log}, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}, &open
}

// debugLog takes what the HTTP server has to say about clients that fail.
type debugLog struct{ log logrus.FieldLogger }

func (d debugLog) Write(p []byte) (int, error) {
	d.log.Debug(strings.TrimSpace(string(p)))
	return len(p), nil
}

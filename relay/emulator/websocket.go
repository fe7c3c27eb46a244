package emulator

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/sirupsen/logrus"
)

// webSocketPath is where the service answers WebSockets; some clients end it with a slash.
const webSocketPath = "/$servicebus/websocket"

// webSocketProtocols are the names clients give to AMQP over WebSocket: the standard's, and that of Microsoft's .NET
// and JavaScript clients. They mean the same bytes.
func webSocketProtocols() []string { return []string{"amqp", "AMQPWSB10"} }

// Limits of the way to a WebSocket. What comes after it is bounded as on any other connection.
const (
	maxHeaderBytes      = 16 << 10
	headerTimeout       = 10 * time.Second // TLS handshake included
	keepAliveTimeout    = 10 * time.Second // of a client that asked for something else and may ask again
	maxWebSocketMessage = 4 << 20          // clients may write all frames of a message, or of several, as one
)

// ServeWebSocket accepts AMQP over WebSocket over TLS on l: what a client meets at port 443 of the service, which is
// the one that firewalls and proxies let through. Path and subprotocols are those of the service; anything else is
// answered in HTTP. It ends as Serve does.
func (s *Server) ServeWebSocket(ctx context.Context, l net.Listener, config *tls.Config) error {
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
	cancel()
	web.Close()
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
	mux := http.NewServeMux()
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		if s.serveWebSocket(ctx, w, r) {
			open.Done()
		}
	}
	mux.HandleFunc(webSocketPath, upgrade)
	mux.HandleFunc(webSocketPath+"/{$}", upgrade)
	return &http.Server{
		Handler:           mux,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: headerTimeout, IdleTimeout: keepAliveTimeout,
		ErrorLog: log.New(debugLog{s.log}, "", 0),
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

// serveWebSocket makes a WebSocket of the request's connection and serves it to its end. It is false when the
// connection stayed with the HTTP server.
func (s *Server) serveWebSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) (taken bool) {
	taker := &takeover{ResponseWriter: w}
	ws, err := websocket.Accept(taker, r, &websocket.AcceptOptions{Subprotocols: webSocketProtocols()})
	if err != nil {
		s.log.WithError(err).WithField("peer", r.RemoteAddr).Debug("no WebSocket")
		return taker.socket != nil
	}
	ws.SetReadLimit(maxWebSocketMessage)
	c := &webSocketConn{Conn: taker.socket, ws: ws}
	if ws.Subprotocol() == "" {
		c.refuse(websocket.StatusPolicyViolation, "the subprotocol must be amqp or AMQPWSB10")
		return true
	}
	s.serveLogged(ctx, c)
	return true
}

// takeover notes the connection when it is taken over from the HTTP server.
type takeover struct {
	http.ResponseWriter
	socket net.Conn
}

// Hijack takes the connection over.
func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	socket, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	t.socket = socket
	return socket, rw, err
}

// webSocketConn is a stream over the binary messages of a WebSocket. Where messages begin and end means nothing.
//
// Addresses and deadlines are those of the socket below. One Read and one Write may run at a time each.
type webSocketConn struct {
	net.Conn
	ws      *websocket.Conn
	message io.Reader // what is left of the message being read; nil between messages
}

// NetConn is the connection below.
func (c *webSocketConn) NetConn() net.Conn { return c.Conn }

// Read reads from the current message or the next one that is not empty.
func (c *webSocketConn) Read(p []byte) (int, error) {
	for {
		if err := c.nextMessage(); err != nil {
			return 0, err
		}
		n, err := c.message.Read(p)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (c *webSocketConn) nextMessage() error {
	if c.message != nil {
		return nil
	}
	kind, r, err := c.ws.Reader(context.Background())
	switch status := websocket.CloseStatus(err); {
	case status == websocket.StatusNormalClosure, status == websocket.StatusGoingAway:
		return io.EOF
	case err != nil:
		return err
	case kind != websocket.MessageBinary:
		c.refuse(websocket.StatusUnsupportedData, "AMQP comes in binary messages")
		return errors.New("a text message on a WebSocket for AMQP")
	}
	c.message = r
	return nil
}

// Write sends p as one message.
func (c *webSocketConn) Write(p []byte) (int, error) {
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close exchanges close frames with the peer, for at most some seconds, and closes the socket.
func (c *webSocketConn) Close() error { return c.ws.Close(websocket.StatusNormalClosure, "") }

// refuse closes with a reason. Telling it may fail, as the peer may be gone.
func (c *webSocketConn) refuse(status websocket.StatusCode, reason string) {
	_ = c.ws.Close(status, reason)
}

// debugLog takes what the HTTP server has to say about clients that fail.
type debugLog struct{ log logrus.FieldLogger }

func (d debugLog) Write(p []byte) (int, error) {
	d.log.Debug(strings.TrimSpace(string(p)))
	return len(p), nil
}

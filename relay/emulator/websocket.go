package emulator

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// webSocketPath is where the service answers WebSockets; some clients end it with a slash.
const webSocketPath = "/$servicebus/websocket"

// webSocketProtocols are the names clients give to AMQP over WebSocket: the standard's, and that of Microsoft's .NET
// and JavaScript clients. They mean the same bytes.
func webSocketProtocols() []string { return []string{"amqp", "AMQPWSB10"} }

// maxWebSocketMessage bounds a message; clients may write all frames of a message, or of several, as one.
const maxWebSocketMessage = 4 << 20

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

package emulator

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/trace"
)

// Limits of a connection. They bound what a peer can make the server remember.
const (
	maxFrameSize    = 64 << 10
	maxChannel      = 255
	maxHandle       = 255
	maxPartialBytes = 8 << 20 // of messages of which more is to come, all links together
	frameBacklog    = 16
	writeBacklog    = 64
)

// Times of a connection.
const (
	handshakeTimeout = 30 * time.Second
	writeTimeout     = 30 * time.Second
	idleTimeout      = 2 * time.Minute // announced; enforced at twice that, as the specification advises
)

// errPeerClosed ends a connection in an orderly way.
var errPeerClosed = errors.New("closed by the peer")

// conn is one connection. All fields but out and inbox belong to the goroutine that runs serve.
type conn struct {
	srv    *Server
	net    net.Conn
	in     *bufio.Reader
	log    logrus.FieldLogger
	trace  *trace.Conn // nil: nobody looks
	ctx    context.Context
	cancel context.CancelFunc

	out   chan []byte
	inbox *inbox

	peer     amqp.Open
	sessions map[uint16]*session
	claims   access.Claims
	expiry   *time.Timer
	partial  int  // bytes held of messages of which more is to come
	silent   bool // by a fault: nothing is answered any more
}

func newConn(ctx context.Context, s *Server, nc net.Conn) *conn {
	c := &conn{
		srv: s, net: nc, in: bufio.NewReader(nc), log: s.log, trace: s.trace.Conn(fmt.Sprint(nc.RemoteAddr())),
		out: make(chan []byte, writeBacklog), inbox: newInbox(), sessions: map[uint16]*session{},
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// serve runs the connection to its end.
func (c *conn) serve() error {
	defer c.cancel()
	stop := context.AfterFunc(c.ctx, func() { cut(c.net) })
	defer stop()
	if err := c.handshake(); err != nil {
		return err
	}
	written := make(chan struct{})
	go func() { defer close(written); c.write() }()
	frames, readErr := make(chan amqp.Frame, frameBacklog), make(chan error, 1)
	go func() { readErr <- c.read(frames) }()

	err := c.loop(frames, readErr)
	c.release()
	c.sayClose(err)
	close(c.out)
	<-written
	if c.ctx.Err() != nil {
		cut(c.net) // no goodbye
	}
	c.net.Close() // which ends the reader, when it waits for the peer
	c.cancel()    // or for the owner
	for range frames {
	}
	if errors.Is(err, errPeerClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// loop is the owner of the connection's state.
func (c *conn) loop(frames <-chan amqp.Frame, readErr <-chan error) error {
	heartbeat, stop := c.heartbeat()
	defer stop()
	c.expiry = time.NewTimer(time.Hour)
	defer c.expiry.Stop()
	for {
		select {
		case f, ok := <-frames:
			if !ok {
				return <-readErr
			}
			if err := c.frame(f); err != nil {
				return err
			}
		case <-c.inbox.wake:
			c.inbox.run()
		case <-heartbeat:
			c.push(0, nil, nil)
		case <-c.expiry.C:
			c.claimsExpired()
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// heartbeat ticks at half the idle time the peer announced; never, if it announced none.
func (c *conn) heartbeat() (<-chan time.Time, func()) {
	if c.peer.IdleTimeout == 0 {
		return nil, func() {}
	}
	const least = 100 * time.Millisecond
	t := time.NewTicker(max(time.Duration(c.peer.IdleTimeout)*time.Millisecond/2, least))
	return t.C, t.Stop
}

// read reads frames until the connection ends. Closing frames is its last act, after leaving the reason.
func (c *conn) read(frames chan<- amqp.Frame) error {
	defer close(frames)
	for {
		if err := c.net.SetReadDeadline(time.Now().Add(2 * idleTimeout)); err != nil {
			return err
		}
		f, err := amqp.ReadFrame(c.in, maxFrameSize)
		if err != nil {
			return err
		}
		select {
		case frames <- f:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// write writes what is pushed until out is closed, flushing whenever there is nothing more to write at once.
func (c *conn) write() {
	w := bufio.NewWriterSize(c.net, maxFrameSize)
	for b := range c.out {
		if c.ctx.Err() != nil {
			continue
		}
		err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = w.Write(b)
		}
		if err == nil && len(c.out) == 0 {
			err = w.Flush()
		}
		if err != nil {
			c.cancel() // the owner notices; until it closes out, what it pushes is dropped
		}
	}
}

// push hands a frame to the writer; it waits while the writer is behind, which holds up the peer that does not read.
func (c *conn) push(channel uint16, p amqp.Performative, payload []byte) {
	if c.silent || c.ctx.Err() != nil {
		return
	}
	b, err := amqp.AppendFrame(nil, amqp.FrameAMQP, channel, p, payload)
	if err != nil {
		c.log.WithError(err).Error("frame cannot be encoded")
		c.cancel()
		return
	}
	c.traceFrame(trace.Out, channel, p, payload)
	select {
	case c.out <- b:
	case <-c.ctx.Done():
	}
}

// frame handles one frame. Its error ends the connection; an *amqp.Error is told to the peer.
func (c *conn) frame(f amqp.Frame) error {
	if c.silent {
		return nil
	}
	if f.Body == nil {
		c.traceFrame(trace.In, f.Channel, nil, nil)
		return nil
	}
	if f.Type != amqp.FrameAMQP {
		return amqp.Errorf("amqp:connection:framing-error", "frame type %d after the connection was opened", f.Type)
	}
	p, payload, err := amqp.DecodePerformative(f.Body)
	if err != nil {
		c.trace.Malformed(f.Channel, len(f.Body))
		return amqp.Errorf("amqp:decode-error", "%v", err)
	}
	c.traceFrame(trace.In, f.Channel, p, payload)
	switch p := p.(type) {
	case *amqp.Begin:
		return c.begin(f.Channel, p)
	case *amqp.Close:
		return errPeerClosed
	}
	s := c.sessions[f.Channel]
	if s == nil {
		return amqp.Errorf("amqp:not-allowed", "no session on channel %d", f.Channel)
	}
	if err := s.handle(p, payload); err != nil {
		s.fail(err)
	}
	return nil
}

func (c *conn) begin(channel uint16, p *amqp.Begin) error {
	if channel > maxChannel || c.sessions[channel] != nil {
		return amqp.Errorf("amqp:not-allowed", "channel %d is in use or too high", channel)
	}
	s := newSession(c, channel, p)
	c.sessions[channel] = s
	c.push(channel, &amqp.Begin{
		RemoteChannel: &channel, NextOutgoingID: s.nextOutgoing,
		IncomingWindow: incomingWindow, OutgoingWindow: outgoingWindow, HandleMax: maxHandle,
	}, nil)
	return nil
}

// sayClose answers or opens the closing of the connection.
func (c *conn) sayClose(err error) {
	var wire *amqp.Error
	switch {
	case errors.As(err, &wire):
		c.push(0, &amqp.Close{Error: wire}, nil)
	case errors.Is(err, errPeerClosed):
		c.push(0, &amqp.Close{}, nil)
	case errors.Is(err, amqp.ErrMalformed), errors.Is(err, amqp.ErrLimit):
		c.push(0, &amqp.Close{Error: amqp.Errorf("amqp:connection:framing-error", "%v", err)}, nil)
	}
}

// release gives back everything the connection holds in queues.
func (c *conn) release() {
	for _, s := range c.sessions {
		s.close()
	}
	c.inbox.run() // messages handed over in the meantime go back
}

// now is the service's clock.
func (c *conn) now() time.Time { return c.srv.cfg.Now() }

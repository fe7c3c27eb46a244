// Package trace writes the conversation between clients and the emulator as lines that a person can read: one per frame
// and direction, with time, connection, channel, and the fields that matter. What a message says is never shown, only how
// long it is and how it is named; tokens appear as "token(n bytes)".
package trace

import (
	"io"
	"sync"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Direction is who sent a frame.
type Direction string

// Directions as they are shown, seen from the service.
const (
	In  Direction = "<-" // from the client
	Out Direction = "->" // to the client
)

// timeLayout is RFC 3339 in UTC, to the microsecond.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Log writes lines to a writer, whole and one at a time. A nil Log writes nothing.
type Log struct {
	mu    sync.Mutex
	out   io.Writer
	conns uint64
}

// New makes a log; nil for a nil writer. Errors of the writer are nobody's business: the conversation goes on.
func New(out io.Writer) *Log {
	if out == nil {
		return nil
	}
	return &Log{out: out}
}

// Conn opens the log of one connection. A nil Conn writes nothing.
func (l *Log) Conn(peer string) *Conn {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	l.conns++
	c := &Conn{log: l, id: l.conns}
	l.mu.Unlock()
	c.write(func(w *line) { w.word("connected"); w.text("peer", peer) })
	return c
}

// Conn is the log of one connection.
type Conn struct {
	log *Log
	id  uint64
}

// End notes that the connection ended, and why; nil is the orderly way.
func (c *Conn) End(err error) {
	c.write(func(w *line) {
		w.word("ended")
		if err != nil {
			w.text("error", err.Error())
		}
	})
}

// Silent notes that a fault has silenced the connection: what follows is not answered and not shown.
func (c *Conn) Silent() { c.write(func(w *line) { w.word("falls silent") }) }

// Header notes a protocol header.
func (c *Conn) Header(d Direction, h amqp.Header) {
	c.write(func(w *line) {
		w.word(string(d))
		w.word("header")
		w.word(protocol(h))
	})
}

// Heartbeat notes an empty frame.
func (c *Conn) Heartbeat(d Direction) {
	c.write(func(w *line) { w.word(string(d)); w.word("heartbeat") })
}

// Malformed notes a frame that could not be read. Its content is not shown: it may be anything.
func (c *Conn) Malformed(channel uint16, size int) {
	c.write(func(w *line) {
		w.word(string(In))
		w.number("ch", uint64(channel))
		w.word("malformed")
		w.number("bytes", uint64(size))
	})
}

// Frame notes a frame. The payload of one that carries a request or its answer (request) is looked into for what is
// asked and with which result; that of any other only for the message's id.
func (c *Conn) Frame(d Direction, channel uint16, p amqp.Performative, payload []byte, request bool) {
	c.write(func(w *line) {
		w.word(string(d))
		w.number("ch", uint64(channel))
		w.performative(p)
		if t, ok := p.(*amqp.Transfer); ok {
			w.payload(t, payload, request)
		}
	})
}

func (c *Conn) write(fill func(*line)) {
	if c == nil {
		return
	}
	w := &line{}
	w.number("conn", c.id)
	fill(w)
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	_, _ = io.WriteString(c.log.out, time.Now().UTC().Format(timeLayout)+w.String()+"\n")
}

func protocol(h amqp.Header) string {
	switch h {
	case amqp.HeaderAMQP:
		return "AMQP"
	case amqp.HeaderSASL:
		return "SASL"
	}
	return "unknown"
}

package emulator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/trace"
)

// errHandshake is wrapped by failures before the connection is open.
var errHandshake = errors.New("emulator: handshake")

// mechanisms are the SASL mechanisms offered. Authorisation is by tokens on $cbs, so the SASL layer has nothing to do.
func mechanisms() []amqp.Symbol { return []amqp.Symbol{"ANONYMOUS", "MSSBCBS"} }

// handshake runs the SASL layer and opens the AMQP connection. It runs before there is a writer, directly on the
// socket, with one deadline over all.
func (c *conn) handshake() error {
	if err := c.net.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	for _, step := range []func() error{c.sasl, c.open} {
		if err := step(); err != nil {
			return fmt.Errorf("%w: %w", errHandshake, err)
		}
	}
	return c.net.SetDeadline(time.Time{})
}

// layer exchanges the protocol header. A peer that begins with another layer is told the right one, as part 2, 2.2
// wants it, and refused.
func (c *conn) layer(want amqp.Header) error {
	got, err := amqp.ReadHeader(c.in)
	if err != nil {
		return err
	}
	c.trace.Header(trace.In, got)
	c.trace.Header(trace.Out, want)
	if _, err := c.net.Write([]byte(want)); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("protocol header %q", got)
	}
	return nil
}

func (c *conn) sasl() error {
	if err := c.layer(amqp.HeaderSASL); err != nil {
		return err
	}
	if err := c.writeNow(amqp.FrameSASL, &amqp.Mechanisms{Names: mechanisms()}); err != nil {
		return err
	}
	p, err := c.readNow(amqp.FrameSASL)
	if err != nil {
		return err
	}
	init, ok := p.(*amqp.Init)
	if !ok {
		return fmt.Errorf("%T instead of sasl-init", p)
	}
	const refused = 1
	if !slices.Contains(mechanisms(), init.Mechanism) {
		err := c.writeNow(amqp.FrameSASL, &amqp.Outcome{Code: refused})
		return errors.Join(fmt.Errorf("SASL mechanism %q", init.Mechanism), err)
	}
	return c.writeNow(amqp.FrameSASL, &amqp.Outcome{})
}

func (c *conn) open() error {
	if err := c.layer(amqp.HeaderAMQP); err != nil {
		return err
	}
	p, err := c.readNow(amqp.FrameAMQP)
	if err != nil {
		return err
	}
	open, ok := p.(*amqp.Open)
	if !ok || open.MaxFrameSize < amqp.MinMaxFrameSize {
		return fmt.Errorf("%T instead of open, or an impossible frame size", p)
	}
	c.peer = *open
	c.peer.MaxFrameSize = min(open.MaxFrameSize, maxFrameSize)
	return c.writeNow(amqp.FrameAMQP, &amqp.Open{
		ContainerID: "emulator", MaxFrameSize: maxFrameSize, ChannelMax: maxChannel,
		IdleTimeout: uint32(idleTimeout.Milliseconds()),
	})
}

// readNow reads the next frame that is not empty.
func (c *conn) readNow(kind byte) (amqp.Performative, error) {
	for {
		f, err := amqp.ReadFrame(c.in, maxFrameSize)
		if err != nil {
			return nil, err
		}
		if f.Type != kind {
			return nil, fmt.Errorf("frame type %d", f.Type)
		}
		if f.Body != nil {
			p, _, err := amqp.DecodePerformative(f.Body)
			if err != nil {
				c.trace.Malformed(f.Channel, len(f.Body))
				return nil, err
			}
			c.traceFrame(trace.In, f.Channel, p, nil)
			return p, nil
		}
	}
}

func (c *conn) writeNow(kind byte, p amqp.Performative) error {
	b, err := amqp.AppendFrame(nil, kind, 0, p, nil)
	if err != nil {
		return err
	}
	c.traceFrame(trace.Out, 0, p, nil)
	_, err = c.net.Write(b)
	return err
}

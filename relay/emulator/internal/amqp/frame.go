package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Frame types (part 2, 2.3.1 and part 5, 5.3.1).
const (
	FrameAMQP = 0x00
	FrameSASL = 0x01
)

// MinMaxFrameSize is the smallest maximum frame size a peer may ask for (part 2, 2.8.1).
const MinMaxFrameSize = 512

const frameHeaderSize = 8

// Header is the eight bytes that open a protocol layer.
type Header string

// The two protocol layers this dialect uses, in this order.
const (
	HeaderSASL Header = "AMQP\x03\x01\x00\x00"
	HeaderAMQP Header = "AMQP\x00\x01\x00\x00"
)

// ReadHeader reads a protocol header.
func ReadHeader(r io.Reader) (Header, error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", err
	}
	return Header(b[:]), nil
}

// Frame is one frame. Body is nil for an empty frame, which only says that the peer is alive.
type Frame struct {
	Type    byte
	Channel uint16
	Body    []byte
}

// ReadFrame reads one frame of at most maxSize bytes. The memory it takes grows with what arrives, not with the
// size announced beyond maxSize.
func ReadFrame(r io.Reader, maxSize uint32) (Frame, error) {
	var h [frameHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, err
	}
	size, offset := binary.BigEndian.Uint32(h[:4]), 4*uint32(h[4])
	switch {
	case size > maxSize:
		return Frame{}, fmt.Errorf("%w: frame of %d bytes, at most %d allowed", ErrLimit, size, maxSize)
	case offset < frameHeaderSize || size < offset:
		return Frame{}, malformed("frame of %d bytes with data at %d", size, offset)
	}
	rest := make([]byte, size-frameHeaderSize)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Frame{}, unexpected(err)
	}
	f := Frame{Type: h[5], Channel: binary.BigEndian.Uint16(h[6:])}
	if body := rest[offset-frameHeaderSize:]; len(body) > 0 {
		f.Body = body
	}
	return f, nil
}

// unexpected turns an end of input in the middle of a frame into one that cannot pass for a clean end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendFrame writes a frame with the performative p, followed by the payload (only transfers have one), behind b.
// A nil p makes an empty frame.
func AppendFrame(b []byte, kind byte, channel uint16, p Performative, payload []byte) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 2, kind, byte(channel>>8), byte(channel))
	if p != nil {
		var err error
		if b, err = appendPerformative(b, p); err != nil {
			return nil, err
		}
	}
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b, nil
}

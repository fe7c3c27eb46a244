package kerberos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// Port is where KDCs listen.
const Port = "88"

// maxReply bounds a KDC's answer. A ticket with the groups of its owner stays below 64 KiB (MaxTokenSize).
const maxReply = 256 << 10

// ErrNotReached says that to none of the KDCs connection could be made, so that nothing was sent.
var ErrNotReached = errors.New("the KDC cannot be reached")

// Dialer makes connections, as [net.Dialer.DialContext] does.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// kdc is one KDC, asked over TCP (RFC 4120 7.2.2).
type kdc struct {
	address string
	dial    Dialer
}

// ask sends one request on a connection of its own and returns the answer.
func (k kdc) ask(ctx context.Context, request []byte) ([]byte, error) {
	conn, err := k.dial(ctx, "tcp", k.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReached, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	reply, err := converse(conn, request)
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), fmt.Errorf("KDC %s: %w", k.address, err))
	}
	return reply, nil
}

// converse frames request and answer: four octets of length, then the message.
func converse(conn io.ReadWriter, request []byte) ([]byte, error) {
	framed := binary.BigEndian.AppendUint32(nil, uint32(len(request)))
	if _, err := conn.Write(append(framed, request...)); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxReply {
		return nil, fmt.Errorf("an answer of %d bytes is too long", size)
	}
	reply := make([]byte, size)
	_, err := io.ReadFull(conn, reply)
	return reply, err
}

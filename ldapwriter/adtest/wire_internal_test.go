package adtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"testing"
	"time"
)

// seeds are messages a client may send, and some it must not.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, text := range []string{
		"300c020101600702010304008000", // anonymous bind
		"30250201026320040040000a01020a0100020102020100010100870b6f626a656374436c6173733000", // search
		"30050201034200",                           // unbind
		"3084000000050201034200",                   // the same, long form
		"30180201046613040378003d640b300906",       // modify, broken
		"30800201034200",                           // indefinite length
		"30050201004200",                           // message id 0
		"3006020105770180",                         // extended, broken
		"300e02010666090400300530030a0100",         // modify with half a change
		"3013020107420004a00b300904023132010101ff", // odd controls
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return append(all, bytes.Repeat([]byte{0x30, 0x80}, 500), bytes.Repeat([]byte{0xa0, 0x03}, 2000))
}

func TestOversizedAndDeepMessagesAreRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"oversized":      {0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02},
		"indefinite":     {0x30, 0x80, 0x02, 0x01, 0x01},
		"deep":           nested(maxNesting + 2),
		"cut":            {0x30, 0x05, 0x02, 0x01},
		"not a sequence": {0x04, 0x02, 0x41, 0x42},
	} {
		if m, err := readMessage(bufio.NewReader(bytes.NewReader(raw))); err == nil {
			t.Errorf("%s is accepted: %+v", name, m)
		}
	}
}

// nested returns elements in elements, to a depth.
func nested(depth int) []byte {
	b := []byte{0x04, 0x00}
	for range depth {
		b = append([]byte{0x30, byte(len(b))}, b...)
	}
	return b
}

// FuzzMessage: nothing a client sends may stop the server, before a bind or after it.
func FuzzMessage(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	dir, err := newDirectory(Corp(), time.Now())
	if err != nil {
		f.Fatal(err)
	}
	server := &Server{options: Options{Clock: time.Now}, dir: dir, context: context.Background()}
	f.Fuzz(func(t *testing.T, raw []byte, bound bool) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		c := &session{server: server, conn: discard{}}
		if bound {
			c.bound = dir.byLogin["writeback-svc"]
		}
		c.handle(m)
	})
}

// discard is a connection that takes everything and gives nothing.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

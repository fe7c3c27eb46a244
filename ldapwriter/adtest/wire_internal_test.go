package adtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
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
		"indefinite":     {0x30, 0x80, 0x02, 0x01, 0x01},
		"cut":            {0x30, 0x05, 0x02, 0x01},
		"not a sequence": {0x04, 0x02, 0x41, 0x42},
	} {
		if m, err := readMessage(bufio.NewReader(bytes.NewReader(raw))); err == nil {
			t.Errorf("%s is accepted: %+v", name, m)
		}
	}
	// The bounds themselves, with messages that are well formed on both sides of them.
	for name, row := range map[string]struct {
		raw []byte
		ok  bool
	}{
		"large":     {search(make([]byte, maxMessage-100)), true},
		"too large": {search(make([]byte, maxMessage+1)), false},
		"deep":      {search(nested(maxNesting - 3)), true},
		"too deep":  {search(nested(maxNesting)), false},
	} {
		_, err := readMessage(bufio.NewReader(bytes.NewReader(row.raw)))
		if (err == nil) != row.ok || (err != nil && !errors.Is(err, errMalformed)) {
			t.Errorf("%s: %v, want accepted %v", name, err, row.ok)
		}
	}
}

// search wraps content into an LDAPMessage with a search operation.
func search(content []byte) []byte {
	op := octets(string(content))
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opSearchRequest, nil, "")
	if inner, err := ber.DecodePacketErr(content); err == nil && content[0] != 0 {
		op = inner
	}
	p.AppendChild(op)
	return envelope(1, p)
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

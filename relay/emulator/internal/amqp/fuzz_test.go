package amqp_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// seeds are one of everything, and the shapes that have stalled decoders.
func seeds(f *testing.F) {
	for _, p := range performatives() {
		b, err := amqp.AppendFrame(nil, amqp.FrameAMQP, 0, p, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[8:])
	}
	m, err := full().MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m)
	f.Add([]byte{0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xfe, 0x40})
	f.Add(bytes.Repeat([]byte{0}, 64))
	f.Add(bytes.Repeat([]byte{0xc0, 0xff, 0xff}, 50))
}

// FuzzDecode: whatever can be read can be written, and reads the same again.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := amqp.Decode(b)
		if err != nil {
			return
		}
		if len(rest) > len(b) {
			t.Fatalf("%d bytes left of %d", len(rest), len(b))
		}
		wire, err := amqp.Append(nil, v)
		if err != nil {
			t.Fatalf("cannot write %#v: %v", v, err)
		}
		again, rest, err := amqp.Decode(wire)
		if err != nil || len(rest) != 0 {
			t.Fatalf("cannot read back %#v: %v, %d bytes left", v, err, len(rest))
		}
		if diff := cmp.Diff(v, again, cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("changed on the way:\n%s", diff)
		}
	})
}

// FuzzPerformative: whatever is understood can be said.
func FuzzPerformative(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, payload, err := amqp.DecodePerformative(b)
		if err != nil {
			return
		}
		wire, err := amqp.AppendFrame(nil, amqp.FrameAMQP, 0, p, payload)
		if err != nil {
			t.Fatalf("cannot write %#v: %v", p, err)
		}
		if _, err := amqp.ReadFrame(bytes.NewReader(wire), 1<<30); err != nil {
			t.Fatalf("cannot read the frame of %#v: %v", p, err)
		}
	})
}

// FuzzMessage: a message that was read is written, and reads the same again.
func FuzzMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := amqp.ParseMessage(b)
		if err != nil {
			return
		}
		_, _ = m.DataSections()
		_, _ = m.Value()
		wire, err := m.Append(nil)
		if err != nil {
			t.Fatalf("cannot write %#v: %v", m, err)
		}
		again, err := amqp.ParseMessage(wire)
		if err != nil {
			t.Fatalf("cannot read back %#v: %v", m, err)
		}
		if diff := cmp.Diff(m, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("changed on the way:\n%s", diff)
		}
	})
}

package amqp_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

func ref[T any](v T) *T { return &v }

// performatives is one of each kind with all fields set that are read here.
func performatives() map[string]amqp.Performative {
	source := amqp.NewSource("queue").WithFilter(amqp.Map{{
		Key: amqp.Symbol("f"), Value: amqp.Described{Descriptor: uint64(0x137000000C), Value: "session"},
	}})
	problem := &amqp.Error{Condition: "amqp:not-found", Description: "gone", Info: amqp.Map{{Key: amqp.Symbol("k"), Value: int32(1)}}}
	return map[string]amqp.Performative{
		"open":  &amqp.Open{ContainerID: "c", Hostname: "h", MaxFrameSize: 512, ChannelMax: 3, IdleTimeout: 30000, Properties: amqp.Map{{Key: amqp.Symbol("p"), Value: "v"}}},
		"begin": &amqp.Begin{RemoteChannel: ref(uint16(1)), NextOutgoingID: 2, IncomingWindow: 3, OutgoingWindow: 4, HandleMax: 5},
		"attach": &amqp.Attach{
			Name: "n", Handle: 1, Role: true, SndSettleMode: 1, RcvSettleMode: 1, Source: source, Target: amqp.NewTarget("t"),
			InitialDeliveryCount: ref(uint32(9)), MaxMessageSize: 10, Properties: amqp.Map{{Key: amqp.Symbol("p"), Value: uint32(7)}},
		},
		"refusing attach": &amqp.Attach{Name: "n", Handle: 0, SndSettleMode: 2},
		"flow": &amqp.Flow{
			NextIncomingID: ref(uint32(1)), IncomingWindow: 2, NextOutgoingID: 3, OutgoingWindow: 4, Handle: ref(uint32(5)),
			DeliveryCount: ref(uint32(6)), LinkCredit: ref(uint32(7)), Available: ref(uint32(8)), Drain: true, Echo: true,
		},
		"transfer":    &amqp.Transfer{Handle: 1, DeliveryID: ref(uint32(2)), DeliveryTag: []byte{3}, MessageFormat: ref(uint32(4)), Settled: true, More: true, Aborted: true},
		"received":    &amqp.Disposition{Role: true, First: 1, State: amqp.Received{}},
		"accepted":    &amqp.Disposition{Role: true, First: 1, Last: ref(uint32(2)), Settled: true, State: amqp.Accepted{}},
		"rejected":    &amqp.Disposition{First: 1, State: amqp.Rejected{Error: problem}},
		"released":    &amqp.Disposition{First: 1, State: amqp.Released{}},
		"modified":    &amqp.Disposition{First: 1, State: amqp.Modified{DeliveryFailed: true, UndeliverableHere: true, Annotations: amqp.Map{{Key: "k", Value: "v"}}}},
		"no state":    &amqp.Disposition{First: 1, Settled: true},
		"detach":      &amqp.Detach{Handle: 1, Closed: true, Error: problem},
		"end":         &amqp.End{Error: problem},
		"end, silent": &amqp.End{},
		"close":       &amqp.Close{Error: problem},
		"mechanisms":  &amqp.Mechanisms{Names: []amqp.Symbol{"A", "B"}},
		"init":        &amqp.Init{Mechanism: "ANONYMOUS", Response: []byte("x")},
		"outcome":     &amqp.Outcome{Code: 1},
	}
}

func TestPerformativesSurviveTheWire(t *testing.T) {
	for name, want := range performatives() {
		t.Run(name, func(t *testing.T) {
			wire, err := amqp.AppendFrame(nil, amqp.FrameAMQP, 7, want, []byte("payload"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := amqp.ReadFrame(bytes.NewReader(wire), 1000)
			if err != nil || f.Channel != 7 || f.Type != amqp.FrameAMQP {
				t.Fatalf("frame %+v, %v", f, err)
			}
			got, payload, err := amqp.DecodePerformative(f.Body)
			if err != nil || string(payload) != "payload" {
				t.Fatalf("payload %q, %v", payload, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	tests := []struct {
		name string
		wire []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"half a header", []byte{0, 0}, io.ErrUnexpectedEOF},
		{"half a body", []byte{0, 0, 0, 12, 2, 0, 0, 0, 1}, io.ErrUnexpectedEOF},
		{"no body", []byte{0, 0, 0, 12, 2, 0, 0, 0}, io.ErrUnexpectedEOF},
		{"too large", []byte{0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0}, amqp.ErrLimit},
		{"smaller than its header", []byte{0, 0, 0, 7, 2, 0, 0, 0}, amqp.ErrMalformed},
		{"data inside the header", []byte{0, 0, 0, 8, 1, 0, 0, 0}, amqp.ErrMalformed},
		{"data behind the end", []byte{0, 0, 0, 8, 3, 0, 0, 0}, amqp.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if f, err := amqp.ReadFrame(bytes.NewReader(tt.wire), 1000); !errors.Is(err, tt.want) {
				t.Errorf("%+v, %v; want %v", f, err, tt.want)
			}
		})
	}
}

func TestEmptyFrame(t *testing.T) {
	wire, err := amqp.AppendFrame(nil, amqp.FrameAMQP, 0, nil, nil)
	if want := []byte{0, 0, 0, 8, 2, 0, 0, 0}; err != nil || !bytes.Equal(wire, want) {
		t.Fatalf("%x, %v; want %x", wire, err, want)
	}
	if f, err := amqp.ReadFrame(bytes.NewReader(wire), 8); err != nil || f.Body != nil {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestExtendedHeaderIsSkipped(t *testing.T) {
	wire := []byte{0, 0, 0, 13, 3, 0, 0, 0, 9, 9, 9, 9, 0x41}
	if f, err := amqp.ReadFrame(bytes.NewReader(wire), 100); err != nil || !bytes.Equal(f.Body, []byte{0x41}) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestMalformedPerformatives(t *testing.T) {
	list := func(code any, fields ...any) any { return amqp.Described{Descriptor: code, Value: amqp.List(fields)} }
	for name, v := range map[string]any{
		"not described":          true,
		"not a list":             amqp.Described{Descriptor: uint64(0x10), Value: "x"},
		"symbolic descriptor":    list(amqp.Symbol("amqp:open:list"), "c"),
		"unknown":                list(uint64(0x99)),
		"open without a name":    list(uint64(0x10)),
		"open with a number":     list(uint64(0x10), uint32(1)),
		"attach without role":    list(uint64(0x12), "name", uint32(0)),
		"source of a wrong kind": list(uint64(0x12), "name", uint32(0), false, nil, nil, "source"),
		"transfer, text handle":  list(uint64(0x14), "1"),
		"unknown state":          list(uint64(0x15), true, uint32(0), nil, true, list(uint64(0x34))),
		"state of a wrong type":  list(uint64(0x15), true, uint32(0), nil, true, "accepted"),
		"error of another kind":  list(uint64(0x18), list(uint64(0x24))),
		"error without cause":    list(uint64(0x18), list(uint64(0x1d))),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := amqp.Append(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			if p, _, err := amqp.DecodePerformative(b); !errors.Is(err, amqp.ErrMalformed) {
				t.Errorf("%+v, %v; want %v", p, err, amqp.ErrMalformed)
			}
		})
	}
}

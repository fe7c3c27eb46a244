package amqp_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	peer "github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// full is a message with every section, made by an independent implementation.
func full() *peer.Message {
	at := time.UnixMilli(1700000000123).UTC()
	return &peer.Message{
		Header:                &peer.MessageHeader{Durable: true, Priority: 7, TTL: time.Minute, FirstAcquirer: true, DeliveryCount: 3},
		DeliveryAnnotations:   peer.Annotations{"x-opt-da": int64(1)},
		Annotations:           peer.Annotations{"x-opt-partition-key": "p", int64(5): "numeric key"},
		ApplicationProperties: map[string]any{"list": []any{"a", int32(2), nil}, "map": map[string]any{"k": 1.5}, "uuid": peer.UUID{1, 2}},
		Data:                  [][]byte{[]byte("one"), bytes.Repeat([]byte("two"), 200)},
		Footer:                peer.Annotations{"f": true},
		Properties: &peer.MessageProperties{
			MessageID: uint64(7), UserID: []byte("u"), To: ref("to"), Subject: ref("s"), ReplyTo: ref("r"), CorrelationID: "c",
			ContentType: ref("ct"), ContentEncoding: ref("ce"), AbsoluteExpiryTime: &at, CreationTime: &at, GroupID: ref("g"),
			GroupSequence: ref(uint32(4)), ReplyToGroupID: ref("rg"),
		},
	}
}

func TestMessageOfAnotherImplementation(t *testing.T) {
	want := full()
	wire, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m, err := amqp.ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageID() != uint64(7) || m.GroupID() != "g" || m.ReplyTo() != "r" || *m.Header.TTL != 60000 {
		t.Errorf("id %v, group %q, reply to %q, ttl %v", m.MessageID(), m.GroupID(), m.ReplyTo(), m.Header.TTL)
	}
	parts, err := m.DataSections()
	if err != nil || len(parts) != 2 || string(parts[0]) != "one" || len(parts[1]) != 600 {
		t.Errorf("data sections %q, %v", parts, err)
	}
	again, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got peer.Message
	if err := got.UnmarshalBinary(again); err != nil {
		t.Fatalf("the other implementation cannot read what was written: %v", err)
	}
	if diff := cmp.Diff(want, &got, cmp.AllowUnexported(peer.Message{})); diff != "" {
		t.Errorf("message changed (-want +got):\n%s", diff)
	}
}

func TestMessageSharesNoMemoryWithItsInput(t *testing.T) {
	wire, err := full().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m, err := amqp.ParseMessage(wire)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := m.Append(nil)
	clear(wire)
	if after, _ := m.Append(nil); !bytes.Equal(before, after) {
		t.Error("the message changed with the buffer it was read from")
	}
}

func TestValueBody(t *testing.T) {
	m := &amqp.Message{}
	if err := m.SetValue(amqp.Map{{Key: "k", Value: int32(1)}}); err != nil {
		t.Fatal(err)
	}
	m.SetMessageID("id")
	m.SetCorrelationID("corr")
	wire, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got peer.Message
	if err := got.UnmarshalBinary(wire); err != nil {
		t.Fatal(err)
	}
	if got.Properties.MessageID != "id" || got.Properties.CorrelationID != "corr" {
		t.Errorf("properties %+v", got.Properties)
	}
	if diff := cmp.Diff(map[string]any{"k": int32(1)}, got.Value); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
	if _, err := m.DataSections(); err == nil {
		t.Error("a value was read as data")
	}
}

func TestMalformedMessages(t *testing.T) {
	section := func(code uint64, v any) []byte {
		b, err := amqp.Append(nil, amqp.Described{Descriptor: code, Value: v})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	data := section(0x75, []byte("x"))
	for name, wire := range map[string][]byte{
		"not a section":             {0x41},
		"unknown section":           section(0x79, amqp.List{}),
		"cut short":                 data[:len(data)-1],
		"wrong order":               join(data, section(0x70, amqp.List{})),
		"header twice":              join(section(0x70, amqp.List{}), section(0x70, amqp.List{})),
		"two values":                join(section(0x77, true), section(0x77, true)),
		"data and value":            join(data, section(0x77, true)),
		"header is a map":           section(0x70, amqp.Map{}),
		"priority is text":          section(0x70, amqp.List{true, "high"}),
		"annotations are a list":    section(0x72, amqp.List{true}),
		"properties are a map":      section(0x73, amqp.Map{}),
		"message-id is a list":      section(0x73, amqp.List{amqp.List{true}}),
		"subject is a number":       section(0x73, amqp.List{nil, nil, nil, int64(1)}),
		"too many properties":       section(0x73, amqp.List(slicesOf(nil, 14))),
		"application key not text":  section(0x74, amqp.Map{{Key: int64(1), Value: "v"}}),
		"application list":          section(0x74, amqp.List{"v"}),
		"descriptor without a body": {0x00, 0x53, 0x75},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := amqp.ParseMessage(wire); !errors.Is(err, amqp.ErrMalformed) {
				t.Errorf("%+v, %v; want %v", m, err, amqp.ErrMalformed)
			}
		})
	}
}

func TestTTLMillis(t *testing.T) {
	if got := amqp.TTLMillis(1500); got == nil || *got != 1500 {
		t.Errorf("1500: %v", got)
	}
	for _, ms := range []int64{-1, 1 << 32} {
		if got := amqp.TTLMillis(ms); got != nil {
			t.Errorf("%d: %d, want none", ms, *got)
		}
	}
}

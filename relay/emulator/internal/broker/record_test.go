package broker_test

import (
	"errors"
	"testing"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// What a file must not be able to say.
func TestBadRecords(t *testing.T) {
	body, err := message("m", "").Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := amqp.Timestamp(1)
	whole := func(seq int64, state int32) amqp.List {
		return amqp.List{uint8(1), false, seq, state, false, uint32(0), at, nil, "", body}
	}
	for name, r := range map[string]any{
		"no list":               "text",
		"an empty list":         amqp.List{},
		"no kind":               amqp.List{"1"},
		"an unknown kind":       amqp.List{uint8(9)},
		"too short":             whole(1, 0)[:9],
		"too long":              append(whole(1, 0), nil),
		"number 0":              whole(0, 0),
		"a negative state":      whole(1, -1),
		"the state of the gone": whole(1, 4),
		"an unknown message":    amqp.List{uint8(2), false, int64(1), int32(0), false, uint32(0), at, nil},
		"no message":            append(whole(1, 0)[:9], []byte("x")),
		"a moment in words":     append(append(whole(1, 0)[:6:6], "now"), whole(1, 0)[7:]...),
		"a list for an id":      amqp.List{uint8(5), amqp.List{}, at},
		"no id":                 amqp.List{uint8(5), nil, at},
		"a text for a state":    amqp.List{uint8(6), "s", "state", at},
		"half a list":           nil,
	} {
		b, err := amqp.Append(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		if name == "half a list" {
			b, _ = amqp.Append(nil, whole(1, 0))
			b = b[:len(b)-1]
		}
		var h broker.History
		if err := h.Record(b); !errors.Is(err, broker.ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var h broker.History
	b, _ := amqp.Append(nil, whole(1, 0))
	for _, r := range []amqp.List{
		{uint8(2), false, int64(1), int32(1), false, uint32(3), at, nil}, {uint8(3), true, int64(9)}, {uint8(4), true, int64(9)},
		{uint8(5), "id", at}, {uint8(6), "s", []byte("state"), at}, {uint8(6), "s", nil, at},
	} {
		b, _ = amqp.Append(b, r)
	}
	if err := h.Record(b); err != nil {
		t.Errorf("good ones of all kinds: %v", err)
	}
}

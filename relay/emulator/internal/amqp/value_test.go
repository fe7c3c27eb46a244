package amqp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// Encodings as the OASIS standard, part 1, 1.6 gives them.
func TestWireFormOfValues(t *testing.T) {
	u := amqp.UUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	tests := []struct {
		name  string
		value any
		wire  string
	}{
		{"null", nil, "40"},
		{"true", true, "41"},
		{"false", false, "42"},
		{"ubyte", uint8(200), "50c8"},
		{"ushort", uint16(513), "600201"},
		{"uint zero", uint32(0), "43"},
		{"uint small", uint32(255), "52ff"},
		{"uint", uint32(256), "7000000100"},
		{"ulong zero", uint64(0), "44"},
		{"ulong small", uint64(36), "5324"},
		{"ulong", uint64(math.MaxUint64), "80ffffffffffffffff"},
		{"byte", int8(-1), "51ff"},
		{"short", int16(-2), "61fffe"},
		{"int small", int32(-128), "5480"},
		{"int", int32(128), "7100000080"},
		{"long small", int64(127), "557f"},
		{"long", int64(-129), "81ffffffffffffff7f"},
		{"float", float32(1), "723f800000"},
		{"double", float64(-2), "82c000000000000000"},
		{"decimal32", amqp.Decimal{Digits: "abcd"}, "7461626364"},
		{"decimal64", amqp.Decimal{Digits: "abcdefgh"}, "846162636465666768"},
		{"decimal128", amqp.Decimal{Digits: "abcdefghabcdefgh"}, "9461626364656667686162636465666768"},
		{"char", amqp.Char('ä'), "73000000e4"},
		{"timestamp", amqp.Timestamp(-1), "83ffffffffffffffff"},
		{"uuid", u, "98000102030405060708090a0b0c0d0e0f"},
		{"binary", []byte{1, 2}, "a0020102"},
		{"empty binary", []byte{}, "a000"},
		{"string", "hé", "a10368c3a9"},
		{"symbol", amqp.Symbol("ab"), "a3026162"},
		{"empty list", amqp.List{}, "45"},
		{"list", amqp.List{true, "a"}, "d0000000080000000241a10161"},
		{"map", amqp.Map{{Key: "a", Value: nil}}, "d10000000800000002a1016140"},
		{"array", amqp.Array{Code: amqp.CodeLong, Items: []any{int64(1)}}, "f00000000d00000001810000000000000001"},
		{"described", amqp.Described{Descriptor: uint64(0x24), Value: amqp.List{}}, "00532445"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire, err := amqp.Append(nil, tt.value)
			if err != nil || hex.EncodeToString(wire) != tt.wire {
				t.Errorf("Append: %x, %v; want %s", wire, err, tt.wire)
			}
			want, _ := hex.DecodeString(tt.wire)
			got, rest, err := amqp.Decode(append(want, 0xee))
			if err != nil || len(rest) != 1 {
				t.Fatalf("Decode: %v, %d bytes left", err, len(rest))
			}
			if diff := cmp.Diff(tt.value, got); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
		})
	}
}

// Forms that are never written here but must be read.
func TestOtherWireForms(t *testing.T) {
	tests := []struct {
		name, wire string
		value      any
	}{
		{"boolean with a byte", "5601", true},
		{"long string", "b10000000161", "a"},
		{"long symbol", "b30000000161", amqp.Symbol("a")},
		{"long binary", "b00000000161", []byte("a")},
		{"short list", "c0020141", amqp.List{true}},
		{"short map", "c1030241" + "42", amqp.Map{{Key: true, Value: false}}},
		{"short array", "e0040250" + "0102", amqp.Array{Code: 0x50, Items: []any{uint8(1), uint8(2)}}},
		{"array of described", "e005010053" + "0550", nil},
		{"array of zero width", "e0020341", amqp.Array{Code: 0x41, Items: []any{true, true, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire, err := hex.DecodeString(tt.wire)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := amqp.Decode(wire)
			if tt.value == nil {
				if !errors.Is(err, amqp.ErrMalformed) {
					t.Errorf("got %v, %v; want it to be malformed", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.value, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMalformedValues(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":                   "",
		"unknown constructor":       "10",
		"unknown wide constructor":  "8f0000000000000000",
		"cut short":                 "7000",
		"string too short":          "a10561",
		"string not UTF-8":          "a101ff",
		"length beyond the input":   "b0ffffffff",
		"list longer than its size": "c00102" + "4141",
		"bytes left in a list":      "c003014141",
		"odd map":                   "c1020141",
		"boolean of two":            "5602",
		"null descriptor":           "004045",
		"descriptor twice":          "00532400532445",
		"array without constructor": "e00101",
	} {
		t.Run(name, func(t *testing.T) {
			b, err := hex.DecodeString(wire)
			if err != nil {
				t.Fatal(err)
			}
			if v, _, err := amqp.Decode(b); !errors.Is(err, amqp.ErrMalformed) {
				t.Errorf("got %v, %v; want %v", v, err, amqp.ErrMalformed)
			}
		})
	}
}

func TestDecoderLimits(t *testing.T) {
	nested := func(depth int) []byte {
		v := any(true)
		for range depth {
			v = amqp.List{v}
		}
		b, err := amqp.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, _, err := amqp.Decode(nested(amqp.MaxDepth)); err != nil {
		t.Errorf("nesting of %d: %v", amqp.MaxDepth, err)
	}
	for name, wire := range map[string][]byte{
		"too deep":                       nested(amqp.MaxDepth + 1),
		"descriptors in descriptors":     bytes.Repeat([]byte{0}, 100000),
		"huge array of nothing":          {0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xfe, 0x40},
		"huge array of empty lists":      {0xf0, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, 0x45},
		"huge list":                      {0xd0, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, 0x40},
		"arrays that are large together": sumOfArrays(t),
	} {
		t.Run(name, func(t *testing.T) {
			allocs := testing.AllocsPerRun(1, func() {
				if _, _, err := amqp.Decode(wire); err == nil {
					t.Error("decoded")
				}
			})
			if allocs > 200 {
				t.Errorf("%v allocations for %d bytes", allocs, len(wire))
			}
		})
	}
}

// sumOfArrays is a list of arrays of which each is within the limit and all together are not.
func sumOfArrays(t *testing.T) []byte {
	t.Helper()
	l := amqp.List{}
	for range 3 {
		l = append(l, amqp.Array{Code: 0x41, Items: slicesOf(true, amqp.MaxElements/2)})
	}
	b, err := amqp.Append(nil, l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func slicesOf(v any, n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestAppendRefusesWhatAMQPCannotHold(t *testing.T) {
	for name, v := range map[string]any{
		"int":                  1,
		"struct":               struct{}{},
		"decimal of 5":         amqp.Decimal{Digits: "abcde"},
		"nested":               amqp.List{amqp.Map{{Key: "a", Value: 1}}},
		"mixed array":          amqp.Array{Code: amqp.CodeLong, Items: []any{"text"}},
		"small array too wide": amqp.Array{Code: 0x53, Items: []any{uint64(256)}},
		"short list too long":  amqp.Array{Code: 0xc0, Items: []any{amqp.List{strings.Repeat("x", 300)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := amqp.Append(nil, v); err == nil {
				t.Errorf("wrote %x", b)
			}
		})
	}
}

func TestMap(t *testing.T) {
	m := amqp.Map{{Key: "a", Value: int64(1)}, {Key: amqp.Symbol("b"), Value: "x"}, {Key: "a", Value: int64(2)}}
	if v, ok := amqp.Lookup[int64](m, "a"); !ok || v != 1 {
		t.Errorf("Lookup a: %d, %v", v, ok)
	}
	if v, ok := amqp.Lookup[int64](m, "b"); ok {
		t.Errorf("Lookup of another type: %d", v)
	}
	want := amqp.Map{{Key: "a", Value: "new"}, {Key: amqp.Symbol("b"), Value: "x"}}
	if diff := cmp.Diff(want, m.With("a", "new")); diff != "" {
		t.Errorf("With (-want +got):\n%s", diff)
	}
	if v, _ := m.Get("a"); v != int64(1) {
		t.Errorf("With changed the map it was called on: %v", m)
	}
}

func TestTimestamp(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	if got := amqp.TimestampOf(at.Add(999 * time.Microsecond)).Time(); !got.Equal(at) {
		t.Errorf("got %v, want %v", got, at)
	}
}

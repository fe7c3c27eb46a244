package amqp

import (
	"encoding/hex"
	"time"
)

// AMQP values are held in these Go types:
//
//	null nil            boolean bool       ubyte uint8     ushort uint16   uint uint32    ulong uint64
//	byte int8           short int16        int int32       long int64      float float32  double float64
//	decimal32/64/128 Decimal               char Char       timestamp Timestamp             uuid UUID
//	binary []byte       string string      symbol Symbol   list List       map Map        array Array
//	described value Described

// Symbol is an AMQP symbol: ASCII text from a constrained domain, for instance an error condition.
type Symbol string

// Char is one Unicode code point (part 1, 1.6.16).
type Char uint32

// Timestamp counts milliseconds since the Unix epoch (part 1, 1.6.17).
type Timestamp int64

// TimestampOf converts t, cutting below the millisecond.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) }

// Time is the moment ts names, in UTC.
func (ts Timestamp) Time() time.Time { return time.UnixMilli(int64(ts)).UTC() }

// UUID is an RFC 4122 identifier in network byte order.
type UUID [16]byte

// String is the usual 8-4-4-4-12 form.
func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Decimal carries an IEEE 754 decimal untouched: nothing in Service Bus computes with it, but a message that
// holds one must come out as it went in. Digits is 4, 8 or 16 bytes in network order.
type Decimal struct{ Digits string }

// List is an AMQP list.
type List []any

// Pair is one entry of a Map.
type Pair struct{ Key, Value any }

// Map is an AMQP map. Order and duplicates are kept as they were on the wire.
type Map []Pair

// Get returns the first value whose key is the symbol or the string name.
func (m Map) Get(name string) (any, bool) {
	for _, p := range m {
		switch k := p.Key.(type) {
		case string:
			if k == name {
				return p.Value, true
			}
		case Symbol:
			if string(k) == name {
				return p.Value, true
			}
		}
	}
	return nil, false
}

// With returns a copy of m in which key has the given value, replacing an entry of the same name (as symbol or
// string) in place. m itself is left alone, because stored messages are shared between deliveries.
func (m Map) With(key, value any) Map {
	out := make(Map, 0, len(m)+1)
	replaced := false
	for _, p := range m {
		if !sameKey(p.Key, key) {
			out = append(out, p)
		} else if !replaced {
			out, replaced = append(out, Pair{key, value}), true
		}
	}
	if !replaced {
		out = append(out, Pair{key, value})
	}
	return out
}

func sameKey(a, b any) bool {
	x, okX := text(a)
	y, okY := text(b)
	return okX && okY && x == y
}

func text(v any) (string, bool) {
	switch s := v.(type) {
	case string:
		return s, true
	case Symbol:
		return string(s), true
	}
	return "", false
}

// Lookup returns the value under name when it has type T, and says whether it had.
func Lookup[T any](m Map, name string) (T, bool) {
	v, _ := m.Get(name)
	t, ok := v.(T)
	return t, ok
}

// Array is an AMQP array: elements of one type. Code is the constructor all elements share on the wire;
// Descriptor is nil unless the elements are described.
type Array struct {
	Code       byte
	Descriptor any
	Items      []any
}

// Described is a value with a descriptor, usually a ulong code or a symbol, that gives it its meaning.
type Described struct{ Descriptor, Value any }

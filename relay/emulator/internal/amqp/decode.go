package amqp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Limits of the decoder, for one top-level value.
const (
	// MaxDepth is the deepest nesting of lists, maps, arrays and descriptors that is read.
	MaxDepth = 32
	// MaxElements is the largest number of values read, counting every element of every list, map and array.
	MaxElements = 65536
	// maxFree is how many elements may take no bytes at all (in arrays of zero-width elements): more elements than
	// bytes would let a small message take much memory.
	maxFree = 256
)

// ErrMalformed is wrapped by every error about bytes that are no AMQP.
var ErrMalformed = errors.New("malformed AMQP")

// ErrLimit is wrapped by every error about well-formed input beyond the decoder's limits.
var ErrLimit = errors.New("AMQP decoder limit exceeded")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Decode reads one value from the front of b and returns what follows it. The value shares no memory with b.
func Decode(b []byte) (v any, rest []byte, err error) {
	d := newDecoder(b)
	v, err = d.value(0)
	if err != nil {
		return nil, nil, err
	}
	return v, d.buf, nil
}

type decoder struct {
	buf    []byte
	budget int
}

func newDecoder(b []byte) decoder { return decoder{buf: b, budget: min(MaxElements, len(b)+maxFree)} }

// spend counts one element.
func (d *decoder) spend() error {
	if d.budget--; d.budget < 0 {
		return fmt.Errorf("%w: too many elements", ErrLimit)
	}
	return nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.buf) {
		return nil, malformed("%d bytes announced, %d left", n, len(d.buf))
	}
	b := d.buf[:n]
	d.buf = d.buf[n:]
	return b, nil
}

func (d *decoder) byte() (byte, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// value reads a constructor and the value behind it.
func (d *decoder) value(depth int) (any, error) {
	code, descriptor, err := d.constructor(depth)
	if err != nil {
		return nil, err
	}
	v, err := d.body(code, depth)
	if err != nil || descriptor == nil {
		return v, err
	}
	return Described{descriptor, v}, nil
}

// constructor reads a format code and, in front of it, a descriptor. A descriptor may itself be any value, so it
// counts as one level of nesting. A described value whose own constructor is described again is refused: no
// specification of this dialect uses it, and it would make arrays ambiguous.
func (d *decoder) constructor(depth int) (code byte, descriptor any, err error) {
	if depth > MaxDepth {
		return 0, nil, fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxDepth)
	}
	if err := d.spend(); err != nil {
		return 0, nil, err
	}
	code, err = d.byte()
	if err != nil || code != codeDescribed {
		return code, nil, err
	}
	if descriptor, err = d.value(depth + 1); err != nil {
		return 0, nil, err
	}
	if descriptor == nil {
		return 0, nil, malformed("null descriptor")
	}
	if code, err = d.byte(); err == nil && code == codeDescribed {
		err = malformed("descriptor of a described value")
	}
	return code, descriptor, err
}

// body reads what follows the constructor code.
func (d *decoder) body(code byte, depth int) (any, error) {
	if w := fixedWidth(code); w >= 0 {
		b, err := d.take(w)
		if err != nil {
			return nil, err
		}
		return fixed(code, b)
	}
	switch code {
	case codeBin8, codeBin32, codeStr8, codeStr32, codeSym8, codeSym32:
		return d.variable(code)
	case codeList8, codeList32:
		return d.list(code, depth)
	case codeMap8, codeMap32:
		return d.mapping(code, depth)
	case codeArray8, codeArray32:
		return d.array(code, depth)
	}
	return nil, malformed("unknown constructor 0x%02x", code)
}

// fixed interprets the payload of a fixed-width constructor; len(b) is right for it.
func fixed(code byte, b []byte) (any, error) {
	switch code {
	case codeNull:
		return nil, nil
	case codeTrue, codeFalse:
		return code == codeTrue, nil
	case codeUint0:
		return uint32(0), nil
	case codeUlong0:
		return uint64(0), nil
	case codeList0:
		return List{}, nil
	case codeUbyte:
		return b[0], nil
	case codeByte:
		return int8(b[0]), nil
	case codeSmallUint:
		return uint32(b[0]), nil
	case codeSmallUlong:
		return uint64(b[0]), nil
	case codeSmallInt:
		return int32(int8(b[0])), nil
	case codeSmallLong:
		return int64(int8(b[0])), nil
	case codeBool:
		if b[0] > 1 {
			return nil, malformed("boolean 0x%02x", b[0])
		}
		return b[0] == 1, nil
	case codeUshort:
		return binary.BigEndian.Uint16(b), nil
	case codeShort:
		return int16(binary.BigEndian.Uint16(b)), nil
	}
	return wide(code, b)
}

// wide interprets constructors of four bytes and more.
func wide(code byte, b []byte) (any, error) {
	switch code {
	case codeUint:
		return binary.BigEndian.Uint32(b), nil
	case codeInt:
		return int32(binary.BigEndian.Uint32(b)), nil
	case codeFloat:
		return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
	case codeChar:
		return Char(binary.BigEndian.Uint32(b)), nil
	case codeUlong:
		return binary.BigEndian.Uint64(b), nil
	case codeLong:
		return int64(binary.BigEndian.Uint64(b)), nil
	case codeDouble:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case codeTimestamp:
		return Timestamp(binary.BigEndian.Uint64(b)), nil
	case codeDecimal32, codeDecimal64, codeDecimal128:
		return Decimal{string(b)}, nil
	case codeUUID:
		return UUID(b), nil
	}
	return nil, malformed("unknown constructor 0x%02x", code)
}

// size reads the length prefix of a variable-width, compound or array constructor: one byte or four.
func (d *decoder) size(code byte) (int, error) {
	if code>>4&1 == 0 { // 0xa, 0xc, 0xe
		n, err := d.byte()
		return int(n), err
	}
	b, err := d.take(4)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(b)
	if n > math.MaxInt32 {
		return 0, malformed("length %d", n)
	}
	return int(n), nil
}

func (d *decoder) variable(code byte) (any, error) {
	n, err := d.size(code)
	if err != nil {
		return nil, err
	}
	b, err := d.take(n)
	if err != nil {
		return nil, err
	}
	switch code {
	case codeBin8, codeBin32:
		return append([]byte{}, b...), nil
	case codeSym8, codeSym32:
		return Symbol(b), nil
	}
	if !utf8.Valid(b) {
		return nil, malformed("string is not UTF-8")
	}
	return string(b), nil
}

// compound reads the size and count of a list, map or array and returns a decoder confined to its content, which
// shares the element budget with d.
func (d *decoder) compound(code byte) (inner decoder, count int, err error) {
	n, err := d.size(code)
	if err != nil {
		return inner, 0, err
	}
	b, err := d.take(n)
	if err != nil {
		return inner, 0, err
	}
	inner = decoder{buf: b, budget: d.budget}
	if count, err = inner.size(code); err != nil {
		return inner, 0, err
	}
	if count > inner.budget {
		return inner, 0, fmt.Errorf("%w: %d elements announced", ErrLimit, count)
	}
	return inner, count, nil
}

// finish ends the reading of a compound: its announced size must have been its real one.
func (d *decoder) finish(inner decoder) error {
	d.budget = inner.budget
	if len(inner.buf) != 0 {
		return malformed("%d bytes left over in a compound value", len(inner.buf))
	}
	return nil
}

func (d *decoder) list(code byte, depth int) (any, error) {
	inner, count, err := d.compound(code)
	if err != nil {
		return nil, err
	}
	items := make(List, 0, min(count, len(inner.buf)))
	for range count {
		v, err := inner.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, d.finish(inner)
}

func (d *decoder) mapping(code byte, depth int) (any, error) {
	inner, count, err := d.compound(code)
	if err != nil {
		return nil, err
	}
	if count%2 != 0 {
		return nil, malformed("map with an odd number of elements")
	}
	m := make(Map, 0, min(count, len(inner.buf))/2)
	for range count / 2 {
		k, err := inner.value(depth + 1)
		if err != nil {
			return nil, err
		}
		v, err := inner.value(depth + 1)
		if err != nil {
			return nil, err
		}
		m = append(m, Pair{k, v})
	}
	return m, d.finish(inner)
}

// array reads elements that share one constructor. The element budget, not the announced count, bounds arrays of
// zero-width elements: the count was compared with it in compound.
func (d *decoder) array(code byte, depth int) (any, error) {
	inner, count, err := d.compound(code)
	if err != nil {
		return nil, err
	}
	a := Array{}
	if a.Code, a.Descriptor, err = inner.constructor(depth + 1); err != nil {
		return nil, err
	}
	for range count {
		if err := inner.spend(); err != nil {
			return nil, err
		}
		v, err := inner.body(a.Code, depth+1)
		if err != nil {
			return nil, err
		}
		a.Items = append(a.Items, v)
	}
	return a, d.finish(inner)
}

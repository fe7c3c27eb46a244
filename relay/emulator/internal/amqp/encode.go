package amqp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Append writes v behind b in the most compact form. It fails only for Go types that hold no AMQP value and for
// arrays whose items do not fit their constructor.
func Append(b []byte, v any) ([]byte, error) {
	if x, ok := v.(Described); ok {
		b, err := Append(append(b, codeDescribed), x.Descriptor)
		if err != nil {
			return nil, err
		}
		return Append(b, x.Value)
	}
	code, err := constructorFor(v)
	if err != nil {
		return nil, err
	}
	return appendBody(append(b, code), code, v)
}

// constructorFor chooses the shortest constructor. Compounds always take the 32-bit form: their size is not known
// before they are written, and a few bytes are cheaper than writing twice.
func constructorFor(v any) (byte, error) {
	switch x := v.(type) {
	case nil:
		return codeNull, nil
	case bool:
		return pick(x, codeTrue, codeFalse), nil
	case uint8:
		return codeUbyte, nil
	case uint16:
		return codeUshort, nil
	case uint32:
		return pick(x == 0, codeUint0, pick(x <= math.MaxUint8, codeSmallUint, codeUint)), nil
	case uint64:
		return pick(x == 0, codeUlong0, pick(x <= math.MaxUint8, codeSmallUlong, codeUlong)), nil
	case int8:
		return codeByte, nil
	case int16:
		return codeShort, nil
	case int32:
		return pick(x == int32(int8(x)), codeSmallInt, codeInt), nil
	case int64:
		return pick(x == int64(int8(x)), codeSmallLong, codeLong), nil
	case float32:
		return codeFloat, nil
	case float64:
		return codeDouble, nil
	case Char:
		return codeChar, nil
	case Timestamp:
		return codeTimestamp, nil
	case UUID:
		return codeUUID, nil
	case []byte:
		return pick(len(x) <= math.MaxUint8, codeBin8, codeBin32), nil
	case string:
		return pick(len(x) <= math.MaxUint8, codeStr8, codeStr32), nil
	case Symbol:
		return pick(len(x) <= math.MaxUint8, codeSym8, codeSym32), nil
	case List:
		return pick(len(x) == 0, codeList0, codeList32), nil
	case Map:
		return codeMap32, nil
	case Array:
		return codeArray32, nil
	case Decimal:
		return decimalCode(x)
	}
	return 0, fmt.Errorf("amqp: no AMQP type for %T", v)
}

func decimalCode(d Decimal) (byte, error) {
	switch len(d.Digits) {
	case 4:
		return codeDecimal32, nil
	case 8:
		return codeDecimal64, nil
	case 16:
		return codeDecimal128, nil
	}
	return 0, fmt.Errorf("amqp: decimal of %d bytes", len(d.Digits))
}

func pick(cond bool, yes, no byte) byte {
	if cond {
		return yes
	}
	return no
}

// appendBody writes the payload of v under a given constructor; arrays need this apart from the constructor.
func appendBody(b []byte, code byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return b, mismatch(code == codeNull, code, v)
	case bool:
		return appendBool(b, code, x)
	case uint8:
		return append(b, x), mismatch(code == codeUbyte, code, v)
	case int8:
		return append(b, byte(x)), mismatch(code == codeByte, code, v)
	case uint16:
		return binary.BigEndian.AppendUint16(b, x), mismatch(code == codeUshort, code, v)
	case int16:
		return binary.BigEndian.AppendUint16(b, uint16(x)), mismatch(code == codeShort, code, v)
	case uint32:
		return appendUnsigned(b, code, uint64(x), [3]byte{codeUint0, codeSmallUint, codeUint})
	case uint64:
		return appendUnsigned(b, code, x, [3]byte{codeUlong0, codeSmallUlong, codeUlong})
	case int32:
		return appendSigned(b, code, int64(x), [2]byte{codeSmallInt, codeInt})
	case int64:
		return appendSigned(b, code, x, [2]byte{codeSmallLong, codeLong})
	case float32:
		return binary.BigEndian.AppendUint32(b, math.Float32bits(x)), mismatch(code == codeFloat, code, v)
	case float64:
		return binary.BigEndian.AppendUint64(b, math.Float64bits(x)), mismatch(code == codeDouble, code, v)
	case Char:
		return binary.BigEndian.AppendUint32(b, uint32(x)), mismatch(code == codeChar, code, v)
	case Timestamp:
		return binary.BigEndian.AppendUint64(b, uint64(x)), mismatch(code == codeTimestamp, code, v)
	case UUID:
		return append(b, x[:]...), mismatch(code == codeUUID, code, v)
	case Decimal:
		want, err := decimalCode(x)
		if err != nil {
			return nil, err
		}
		return append(b, x.Digits...), mismatch(code == want, code, v)
	}
	return appendSized(b, code, v)
}

func mismatch(fits bool, code byte, v any) error {
	if fits {
		return nil
	}
	return fmt.Errorf("amqp: %T does not fit constructor 0x%02x", v, code)
}

func appendBool(b []byte, code byte, v bool) ([]byte, error) {
	if code == codeBool {
		return append(b, pick(v, 1, 0)), nil
	}
	return b, mismatch(code == pick(v, codeTrue, codeFalse), code, v)
}

func appendUnsigned(b []byte, code byte, v uint64, forms [3]byte) ([]byte, error) {
	switch {
	case code == forms[0] && v == 0:
		return b, nil
	case code == forms[1] && v <= math.MaxUint8:
		return append(b, byte(v)), nil
	case code == codeUint && code == forms[2]:
		return binary.BigEndian.AppendUint32(b, uint32(v)), nil
	case code == codeUlong && code == forms[2]:
		return binary.BigEndian.AppendUint64(b, v), nil
	}
	return nil, mismatch(false, code, v)
}

func appendSigned(b []byte, code byte, v int64, forms [2]byte) ([]byte, error) {
	switch {
	case code == forms[0] && v == int64(int8(v)):
		return append(b, byte(v)), nil
	case code == codeInt && code == forms[1]:
		return binary.BigEndian.AppendUint32(b, uint32(v)), nil
	case code == codeLong && code == forms[1]:
		return binary.BigEndian.AppendUint64(b, uint64(v)), nil
	}
	return nil, mismatch(false, code, v)
}

// appendSized writes values that carry their own length.
func appendSized(b []byte, code byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case []byte:
		return appendVariable(b, code, string(x), codeBin8, codeBin32)
	case string:
		return appendVariable(b, code, x, codeStr8, codeStr32)
	case Symbol:
		return appendVariable(b, code, string(x), codeSym8, codeSym32)
	case List:
		if code == codeList0 {
			return b, mismatch(len(x) == 0, code, v)
		}
		return appendCompound(b, code, codeList8, len(x), func(b []byte) ([]byte, error) { return appendAll(b, x) })
	case Map:
		return appendCompound(b, code, codeMap8, 2*len(x), func(b []byte) ([]byte, error) { return appendPairs(b, x) })
	case Array:
		return appendCompound(b, code, codeArray8, len(x.Items), func(b []byte) ([]byte, error) { return appendArray(b, x) })
	}
	return nil, fmt.Errorf("amqp: no AMQP type for %T", v)
}

func appendVariable(b []byte, code byte, s string, short, long byte) ([]byte, error) {
	switch {
	case code == short && len(s) <= math.MaxUint8:
		b = append(b, byte(len(s)))
	case code == long:
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	default:
		return nil, mismatch(false, code, s)
	}
	return append(b, s...), nil
}

// appendCompound writes size, count and content. The short form (one byte each) appears when an array read from
// the wire has short compounds as elements; everything else is written in the long form.
func appendCompound(b []byte, code, short byte, count int, content func([]byte) ([]byte, error)) ([]byte, error) {
	if code != short && code != short+0x10 {
		return nil, fmt.Errorf("amqp: compound value does not fit constructor 0x%02x", code)
	}
	width := 4
	if code == short {
		width = 1
	}
	start := len(b)
	b = append(b, make([]byte, 2*width)...)
	b, err := content(b)
	if err != nil {
		return nil, err
	}
	size := len(b) - start - width
	if width == 1 {
		if size > math.MaxUint8 || count > math.MaxUint8 {
			return nil, fmt.Errorf("amqp: compound value too large for constructor 0x%02x", code)
		}
		b[start], b[start+1] = byte(size), byte(count)
		return b, nil
	}
	binary.BigEndian.PutUint32(b[start:], uint32(size))
	binary.BigEndian.PutUint32(b[start+4:], uint32(count))
	return b, nil
}

func appendAll(b []byte, items []any) (_ []byte, err error) {
	for _, v := range items {
		if b, err = Append(b, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendPairs(b []byte, m Map) (_ []byte, err error) {
	for _, p := range m {
		if b, err = Append(b, p.Key); err != nil {
			return nil, err
		}
		if b, err = Append(b, p.Value); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendArray(b []byte, a Array) (_ []byte, err error) {
	if a.Descriptor != nil {
		if b, err = Append(append(b, codeDescribed), a.Descriptor); err != nil {
			return nil, err
		}
	}
	b = append(b, a.Code)
	for _, v := range a.Items {
		if b, err = appendBody(b, a.Code, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

package broker

import (
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// fields reads a record from front to back and keeps the first fault; after it, what is read is zero.
type fields struct {
	list amqp.List
	err  error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = badRecord(format, args...)
	}
	f.list = nil
}

// any is the next field; null also when there is none left.
func (f *fields) any() any {
	if len(f.list) == 0 {
		f.fail("it is too short")
		return nil
	}
	v := f.list[0]
	f.list = f.list[1:]
	return v
}

// next is the next field, which must have type T.
func next[T any](f *fields) T {
	v := f.any()
	t, ok := v.(T)
	if !ok {
		f.fail("a field of type %T", v)
	}
	return t
}

// time is the next field as a moment, zero for null.
func (f *fields) time() time.Time {
	switch v := f.any().(type) {
	case nil:
	case amqp.Timestamp:
		return v.Time()
	default:
		f.fail("a moment of type %T", v)
	}
	return time.Time{}
}

// end makes sure that all has been read.
func (f *fields) end() error {
	if len(f.list) > 0 {
		f.fail("%d fields too many", len(f.list))
	}
	return f.err
}

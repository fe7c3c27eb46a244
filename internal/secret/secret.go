// Package secret holds values that must never be printed: passwords, bind secrets, access keys.
//
// A [Value] hides its bytes behind a closure. Reflection-based printers (fmt with any verb, spew, go-cmp's reporters) can
// walk into unexported fields and past the Formatter of an outer type, but they never call functions, so they find
// nothing to print; a func field also makes the type incomparable with ==, which would not be constant-time.
// Encoders that do call methods (json, yaml, text, gob, slog, logrus) get [Redacted].
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
	"sync"
)

// Redacted is what every printer and encoder shows in place of a secret.
const Redacted = "[redacted]"

// Value is a secret. The zero Value is empty and ready to use. Copies of a Value share the same bytes:
// destroying one destroys all.
type Value struct {
	open func() *box
}

// box holds the bytes; it is only ever reached through the closure in Value.
type box struct {
	mu    sync.RWMutex
	bytes []byte
}

// New makes a secret of b and takes ownership: the caller must neither read nor change b afterwards.
func New(b []byte) Value {
	inner := &box{bytes: b}
	return Value{open: func() *box { return inner }}
}

// NewString makes a secret of a copy of s. The string itself cannot be zeroed, so prefer [New] where bytes are at hand.
func NewString(s string) Value {
	return New([]byte(s))
}

// Use calls f with the bytes, which are valid only during the call and must not be kept or changed.
// An empty or destroyed secret passes an empty slice.
func (v Value) Use(f func(b []byte)) {
	if v.open == nil {
		f(nil)
		return
	}
	inner := v.open()
	inner.mu.RLock()
	defer inner.mu.RUnlock()
	f(inner.bytes)
}

// Reveal returns a copy of the bytes. The caller owns the copy and should [clear] it after use.
func (v Value) Reveal() []byte {
	var copied []byte
	v.Use(func(b []byte) { copied = append(copied, b...) })
	return copied
}

// Len returns the number of bytes.
func (v Value) Len() int {
	n := 0
	v.Use(func(b []byte) { n = len(b) })
	return n
}

// Empty reports whether there are no bytes: never set, or destroyed.
func (v Value) Empty() bool { return v.Len() == 0 }

// Equal compares two secrets in time that depends only on their lengths.
func (v Value) Equal(other Value) bool {
	theirs := other.Reveal()
	defer clear(theirs)
	same := false
	v.Use(func(b []byte) { same = subtle.ConstantTimeCompare(b, theirs) == 1 })
	return same
}

// Destroy overwrites the bytes with zeros; the Value and all its copies are empty afterwards. It may be called again.
func (v Value) Destroy() {
	if v.open == nil {
		return
	}
	inner := v.open()
	inner.mu.Lock()
	defer inner.mu.Unlock()
	clear(inner.bytes)
	inner.bytes = nil
}

// Format implements fmt.Formatter: every verb prints [Redacted].
func (Value) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(Redacted)) }

// String implements fmt.Stringer.
func (Value) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return Redacted }

// MarshalText implements encoding.TextMarshaler, which json, gob and many encoders fall back to.
func (Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalYAML implements the yaml.v3 Marshaler.
func (Value) MarshalYAML() (any, error) { return Redacted, nil }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

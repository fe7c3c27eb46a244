package amqp

import "fmt"

const (
	descError    = 0x1d
	descReceived = 0x23
	descAccepted = 0x24
	descRejected = 0x25
	descReleased = 0x26
	descModified = 0x27
	descSource   = 0x28
	descTarget   = 0x29
)

// Error is an AMQP error (part 2, 2.8.14): a condition for machines, a description for people. It is a Go error
// too, so that a handler can return the very answer the peer will get.
type Error struct {
	Condition   Symbol
	Description string
	Info        Map
}

// Errorf makes an Error with a formatted description.
func Errorf(condition Symbol, format string, args ...any) *Error {
	return &Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

// Error is "condition: description".
func (e *Error) Error() string { return string(e.Condition) + ": " + e.Description }

func (e *Error) descriptor() uint64 { return descError }

func (e *Error) fields() List { return List{e.Condition, nonZero(e.Description), e.Info.orNull()} }

func (e *Error) orNull() any {
	if e == nil {
		return nil
	}
	return describe(e)
}

func readError(r *reader, i int) *Error {
	d, ok := maybe[Described](r, i)
	if !ok {
		return nil
	}
	code, list, err := open(d)
	if err == nil && code != descError {
		err = malformed("composite 0x%x where an error was expected", code)
	}
	if err != nil {
		r.err = err
		return nil
	}
	in := &reader{name: "error", list: list}
	e := &Error{Condition: must[Symbol](in, 0), Description: opt[string](in, 1), Info: opt[Map](in, 2)}
	if in.err != nil {
		r.err = in.err
	}
	return e
}

// Delivery states (part 3, 3.4).
type (
	// Received reports partial arrival; nothing follows from it here.
	Received struct{}
	// Accepted is success.
	Accepted struct{}
	// Rejected is refusal; Error may be nil.
	Rejected struct{ Error *Error }
	// Released gives the message back untouched.
	Released struct{}
	// Modified gives the message back changed.
	Modified struct {
		DeliveryFailed    bool
		UndeliverableHere bool
		Annotations       Map
	}
)

func (Received) descriptor() uint64 { return descReceived }
func (Accepted) descriptor() uint64 { return descAccepted }
func (Rejected) descriptor() uint64 { return descRejected }
func (Released) descriptor() uint64 { return descReleased }
func (Modified) descriptor() uint64 { return descModified }

func (Received) fields() List   { return List{uint32(0), uint64(0)} }
func (Accepted) fields() List   { return List{} }
func (s Rejected) fields() List { return List{s.Error.orNull()} }
func (Released) fields() List   { return List{} }
func (s Modified) fields() List {
	return List{s.DeliveryFailed, s.UndeliverableHere, s.Annotations.orNull()}
}

func stateValue(s any) any {
	if c, ok := s.(composite); ok {
		return describe(c)
	}
	return nil
}

// readState reads a delivery state. States of a dialect not spoken here (transactions, for instance) are refused
// rather than ignored: ignoring one would settle a message in a way its owner did not ask for.
func readState(r *reader, i int) any {
	d, ok := maybe[Described](r, i)
	if !ok {
		return nil
	}
	code, list, err := open(d)
	if err != nil {
		r.err = err
		return nil
	}
	in := &reader{name: "delivery state", list: list}
	var s any
	switch code {
	case descReceived:
		s = Received{}
	case descAccepted:
		s = Accepted{}
	case descRejected:
		s = Rejected{readError(in, 0)}
	case descReleased:
		s = Released{}
	case descModified:
		s = Modified{opt[bool](in, 0), opt[bool](in, 1), opt[Map](in, 2)}
	default:
		in.err = malformed("unknown delivery state 0x%x", code)
	}
	if in.err != nil {
		r.err = in.err
	}
	return s
}

// Terminus is a source, a target or a coordinator. The fields are kept as they came, because an answer has to echo
// them, filters included, exactly.
type Terminus struct {
	Code   uint64
	Fields List
}

// NewSource makes a source with an address.
func NewSource(address string) *Terminus { return &Terminus{descSource, List{address}} }

// NewTarget makes a target with an address.
func NewTarget(address string) *Terminus { return &Terminus{descTarget, List{address}} }

// IsCoordinator says whether the terminus asks for transactions.
func (t *Terminus) IsCoordinator() bool {
	return t != nil && t.Code != descSource && t.Code != descTarget
}

// Address is the node named, or "" when none is.
func (t *Terminus) Address() string {
	if t == nil || len(t.Fields) == 0 {
		return ""
	}
	s, _ := t.Fields[0].(string)
	return s
}

// filterField is the position of the filter map in a source (part 3, 3.5.3).
const filterField = 7

// Filter is the filter map of a source.
func (t *Terminus) Filter() Map {
	if t == nil || t.Code != descSource || len(t.Fields) <= filterField {
		return nil
	}
	m, _ := t.Fields[filterField].(Map)
	return m
}

// WithFilter returns a copy with another filter map.
func (t *Terminus) WithFilter(m Map) *Terminus {
	l := make(List, max(len(t.Fields), filterField+1))
	copy(l, t.Fields)
	l[filterField] = m
	return &Terminus{t.Code, l}
}

func (t *Terminus) descriptor() uint64 { return t.Code }

func (t *Terminus) fields() List { return t.Fields }

func (t *Terminus) orNull() any {
	if t == nil {
		return nil
	}
	return describe(t)
}

func readTerminus(r *reader, i int) *Terminus {
	d, ok := maybe[Described](r, i)
	if !ok {
		return nil
	}
	code, list, err := open(d)
	if err != nil {
		r.err = err
		return nil
	}
	return &Terminus{code, list}
}

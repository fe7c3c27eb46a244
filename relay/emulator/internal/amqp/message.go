package amqp

import (
	"bytes"
	"math"
)

// Descriptors of message sections (part 3, 3.2).
const (
	descHeader        = 0x70
	descDeliveryAnn   = 0x71
	descMessageAnn    = 0x72
	descProperties    = 0x73
	descApplication   = 0x74
	descData          = 0x75
	descSequence      = 0x76
	descValue         = 0x77
	descFooter        = 0x78
	defaultPriority   = 4
	propertyCount     = 13
	propertyMessageID = 0
	propertyReplyTo   = 4
	propertyCorrelID  = 5
	propertyGroupID   = 10
)

// MessageHeader is the header section. TTL is in milliseconds, nil for none.
type MessageHeader struct {
	Durable       bool
	Priority      uint8
	TTL           *uint32
	FirstAcquirer bool
	DeliveryCount uint32
}

func (MessageHeader) descriptor() uint64 { return descHeader }

func (h MessageHeader) fields() List {
	return List{h.Durable, h.Priority, val(h.TTL), h.FirstAcquirer, h.DeliveryCount}
}

// Message is a message in its sections. Body (one or more data or sequence sections, or one value section) and
// Footer are kept as encoded, so that they leave as they came. A Message is not changed once it is shared.
type Message struct {
	Header                MessageHeader
	DeliveryAnnotations   Map
	Annotations           Map
	Properties            List
	ApplicationProperties Map
	Body                  []byte
	Footer                []byte
}

// ParseMessage reads a message; the result shares no memory with b.
func ParseMessage(b []byte) (*Message, error) {
	m := &Message{Header: MessageHeader{Priority: defaultPriority}}
	last := uint64(0)
	for len(b) > 0 {
		code, content, rest, err := nextSection(b)
		if err != nil {
			return nil, err
		}
		if repeats := code == last && (code == descData || code == descSequence); code <= last && !repeats ||
			isBody(code) && isBody(last) && code != last {
			return nil, malformed("message section 0x%x after 0x%x", code, last)
		}
		if err := m.section(code, b[:len(b)-len(rest)], content); err != nil {
			return nil, err
		}
		b, last = rest, code
	}
	return m, nil
}

func isBody(code uint64) bool { return code >= descData && code <= descValue }

// nextSection finds the extent of the section at the front of b without building its value.
func nextSection(b []byte) (code uint64, content, rest []byte, err error) {
	if b[0] != codeDescribed {
		return 0, nil, nil, malformed("message section starts with 0x%02x", b[0])
	}
	d := newDecoder(b[1:])
	descriptor, err := d.value(0)
	if err != nil {
		return 0, nil, nil, err
	}
	code, ok := descriptor.(uint64)
	if !ok || code < descHeader || code > descFooter {
		return 0, nil, nil, malformed("unknown message section %v", descriptor)
	}
	content = d.buf
	if err := d.skip(); err != nil {
		return 0, nil, nil, err
	}
	return code, content[:len(content)-len(d.buf)], d.buf, nil
}

// skip passes over one value by its announced size. What is inside a compound is not looked at.
func (d *decoder) skip() error {
	code, _, err := d.constructor(0)
	if err != nil {
		return err
	}
	n := fixedWidth(code)
	if n < 0 {
		if code>>4 < 0xa {
			return malformed("unknown constructor 0x%02x", code)
		}
		if n, err = d.size(code); err != nil {
			return err
		}
	}
	_, err = d.take(n)
	return err
}

// section stores one section: raw with its descriptor, content without.
func (m *Message) section(code uint64, raw, content []byte) error {
	switch {
	case isBody(code):
		m.Body = append(m.Body, raw...)
		return nil
	case code == descFooter:
		m.Footer = bytes.Clone(raw)
		return nil
	}
	v, _, err := Decode(content)
	if err != nil {
		return err
	}
	return m.decoded(code, v)
}

func (m *Message) decoded(code uint64, v any) error {
	var ok bool
	switch code {
	case descHeader:
		var l List
		if l, ok = v.(List); ok {
			return m.readHeader(l)
		}
	case descDeliveryAnn:
		m.DeliveryAnnotations, ok = v.(Map)
	case descMessageAnn:
		m.Annotations, ok = v.(Map)
	case descApplication:
		m.ApplicationProperties, ok = v.(Map)
		ok = ok && stringKeys(m.ApplicationProperties)
	case descProperties:
		m.Properties, ok = v.(List)
		ok = ok && validProperties(m.Properties)
	}
	if !ok {
		return malformed("message section 0x%x is %T", code, v)
	}
	return nil
}

func stringKeys(m Map) bool {
	for _, p := range m {
		if _, ok := p.Key.(string); !ok {
			return false
		}
	}
	return true
}

// validProperties checks the types of the properties section (part 3, 3.2.4): one wrong type in it, passed on, would
// end the connection of every receiver.
func validProperties(l List) bool {
	if len(l) > propertyCount {
		return false
	}
	for i, v := range l {
		if v != nil && !validProperty(i, v) {
			return false
		}
	}
	return true
}

func validProperty(i int, v any) bool {
	switch v.(type) {
	case string:
		return i != 1 && i != 6 && i != 7 && i != 8 && i != 9 && i != 11
	case uint64, UUID:
		return i == propertyMessageID || i == propertyCorrelID
	case []byte:
		return i == 1 || i == propertyMessageID || i == propertyCorrelID
	case Symbol:
		return i == 6 || i == 7
	case Timestamp:
		return i == 8 || i == 9
	case uint32:
		return i == 11
	}
	return false
}

func (m *Message) readHeader(l List) error {
	r := &reader{name: "message header", list: l}
	m.Header = MessageHeader{
		Durable:       opt[bool](r, 0),
		Priority:      orElse[uint8](r, 1, defaultPriority),
		TTL:           ptr[uint32](r, 2),
		FirstAcquirer: opt[bool](r, 3),
		DeliveryCount: opt[uint32](r, 4),
	}
	return r.err
}

// Append writes the message behind b. The header is always written: clients read the delivery count from it.
func (m *Message) Append(b []byte) ([]byte, error) {
	b, err := Append(b, describe(m.Header))
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		code  uint64
		value Map
	}{{descDeliveryAnn, m.DeliveryAnnotations}, {descMessageAnn, m.Annotations}} {
		if b, err = appendMapSection(b, s.code, s.value); err != nil {
			return nil, err
		}
	}
	if len(m.Properties) > 0 {
		if b, err = Append(b, Described{uint64(descProperties), m.Properties}); err != nil {
			return nil, err
		}
	}
	if b, err = appendMapSection(b, descApplication, m.ApplicationProperties); err != nil {
		return nil, err
	}
	return append(append(b, m.Body...), m.Footer...), nil
}

func appendMapSection(b []byte, code uint64, m Map) ([]byte, error) {
	if len(m) == 0 {
		return b, nil
	}
	return Append(b, Described{code, m})
}

func (m *Message) property(i int) any {
	if i >= len(m.Properties) {
		return nil
	}
	return m.Properties[i]
}

func (m *Message) setProperty(i int, v any) {
	l := make(List, max(len(m.Properties), i+1))
	copy(l, m.Properties)
	l[i] = v
	m.Properties = l
}

// MessageID is the message-id property: a string, ulong, uuid or binary, or nil.
func (m *Message) MessageID() any { return m.property(propertyMessageID) }

// SetMessageID sets the message-id property.
func (m *Message) SetMessageID(id any) { m.setProperty(propertyMessageID, id) }

// ReplyTo is the reply-to property, "" when it is no string.
func (m *Message) ReplyTo() string {
	s, _ := m.property(propertyReplyTo).(string)
	return s
}

// SetCorrelationID sets the correlation-id property.
func (m *Message) SetCorrelationID(id any) { m.setProperty(propertyCorrelID, id) }

// GroupID is the group-id property, which Service Bus uses as the session id; "" when there is none.
func (m *Message) GroupID() string {
	s, _ := m.property(propertyGroupID).(string)
	return s
}

// DataSections returns the content of each data section of the body. It fails when the body is of another kind.
func (m *Message) DataSections() ([][]byte, error) {
	var out [][]byte
	for b := m.Body; len(b) > 0; {
		code, content, rest, err := nextSection(b)
		if err != nil {
			return nil, err
		}
		data, ok := binaryContent(content)
		if code != descData || !ok {
			return nil, malformed("body is not made of data sections")
		}
		out, b = append(out, data), rest
	}
	return out, nil
}

// binaryContent is the payload of an encoded binary, not copied.
func binaryContent(b []byte) ([]byte, bool) {
	switch {
	case len(b) >= 2 && b[0] == codeBin8:
		return b[2:], true
	case len(b) >= 5 && b[0] == codeBin32:
		return b[5:], true
	}
	return nil, false
}

// Value decodes the body when it is one amqp-value section.
func (m *Message) Value() (any, error) {
	if len(m.Body) == 0 {
		return nil, malformed("no body")
	}
	code, content, rest, err := nextSection(m.Body)
	if err != nil {
		return nil, err
	}
	if code != descValue || len(rest) > 0 {
		return nil, malformed("body is not a single value")
	}
	v, _, err := Decode(content)
	return v, err
}

// SetValue makes the body one amqp-value section.
func (m *Message) SetValue(v any) (err error) {
	m.Body, err = Append(nil, Described{uint64(descValue), v})
	return err
}

// TTLMillis converts a number of milliseconds to the header's field, nil when it does not fit, which on the wire
// means for ever.
func TTLMillis(ms int64) *uint32 {
	if ms < 0 || ms >= math.MaxUint32 {
		return nil
	}
	v := uint32(ms)
	return &v
}

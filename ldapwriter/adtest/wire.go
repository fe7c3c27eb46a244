package adtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Bounds on what a client may send.
const (
	maxMessage = 256 << 10 // bytes
	maxNesting = 32        // elements in elements
)

// Protocol operations (RFC 4511 section 4.2 and following): application tags.
const (
	opBindRequest      = 0
	opBindResponse     = 1
	opUnbind           = 2
	opSearchRequest    = 3
	opSearchEntry      = 4
	opSearchDone       = 5
	opModifyRequest    = 6
	opModifyResponse   = 7
	opAbandon          = 16
	opSearchReference  = 19
	opExtendedRequest  = 23
	opExtendedResponse = 24
)

// message is one LDAPMessage of a client.
type message struct {
	id       int64
	op       *ber.Packet
	controls []control
}

// control is a request control. critical holds only where TRUE was encoded as RFC 4511 demands, 0xFF: what real servers make of
// 0x01 is FALSE.
type control struct {
	oid      string
	critical bool
	value    []byte
}

var errMalformed = errors.New("malformed LDAP message")

// readMessage reads one message. Anything beyond the bounds, of indefinite length or not an LDAPMessage ends the connection.
func readMessage(r *bufio.Reader) (*message, error) {
	raw, err := readElement(r)
	if err != nil {
		return nil, err
	}
	return decodeMessage(raw)
}

// readElement reads the bytes of one SEQUENCE of definite length.
func readElement(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	headLength, size := 2, int(head[1])
	if head[0] != 0x30 || head[1] == 0x80 || head[1] > 0x84 {
		return nil, errMalformed
	}
	if head[1] > 0x80 {
		headLength = 2 + int(head[1]&0x7f)
		if head, err = r.Peek(headLength); err != nil {
			return nil, err
		}
		size = 0
		for _, b := range head[2:] {
			size = size<<8 | int(b)
		}
	}
	if size > maxMessage {
		return nil, fmt.Errorf("%w: %d bytes", errMalformed, size)
	}
	raw := make([]byte, headLength+size)
	_, err = io.ReadFull(r, raw)
	return raw, err
}

// decodeMessage decodes the bytes of one LDAPMessage.
func decodeMessage(raw []byte) (*message, error) {
	if err := checkNesting(raw, 0); err != nil {
		return nil, err
	}
	packet, err := ber.DecodePacketErr(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if len(packet.Children) < 2 || len(packet.Children) > 3 || packet.Children[1].ClassType != ber.ClassApplication {
		return nil, errMalformed
	}
	id, ok := packet.Children[0].Value.(int64)
	if !ok || id <= 0 || id > 1<<31-1 {
		return nil, errMalformed
	}
	m := &message{id: id, op: packet.Children[1]}
	if len(packet.Children) == 3 {
		m.controls, err = decodeControls(packet.Children[2])
	}
	return m, err
}

// checkNesting walks the elements before the decoder does, which would copy the content once per level.
func checkNesting(b []byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("%w: nested too deeply", errMalformed)
	}
	for len(b) > 0 {
		content, rest, err := element(b)
		if err != nil {
			return err
		}
		if b[0]&0x20 != 0 {
			if err := checkNesting(content, depth+1); err != nil {
				return err
			}
		}
		b = rest
	}
	return nil
}

// element splits off the first element of b. LDAP uses neither high tags nor indefinite lengths (RFC 4511 section 5.1).
func element(b []byte) (content, rest []byte, err error) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return nil, nil, errMalformed
	}
	size, head := int(b[1]), 2
	if b[1] >= 0x80 {
		octets := int(b[1] & 0x7f)
		if octets == 0 || octets > 4 || len(b) < 2+octets {
			return nil, nil, errMalformed
		}
		size = 0
		for _, c := range b[2 : 2+octets] {
			size = size<<8 | int(c)
		}
		head += octets
	}
	if size > len(b)-head {
		return nil, nil, errMalformed
	}
	return b[head : head+size], b[head+size:], nil
}

func decodeControls(packet *ber.Packet) ([]control, error) {
	if packet.ClassType != ber.ClassContext || packet.Tag != 0 {
		return nil, errMalformed
	}
	var controls []control
	for _, child := range packet.Children {
		if len(child.Children) < 1 || len(child.Children) > 3 {
			return nil, errMalformed
		}
		c := control{oid: text(child.Children[0])}
		for _, part := range child.Children[1:] {
			if part.ClassType == ber.ClassUniversal && part.Tag == ber.TagBoolean {
				c.critical = bytes.Equal(part.ByteValue, []byte{0xff})
			} else {
				c.value = part.Data.Bytes()
			}
		}
		controls = append(controls, c)
	}
	return controls, nil
}

// text returns the content of a primitive element.
func text(p *ber.Packet) string { return p.Data.String() }

// child returns the i-th element of p; nil when there is none.
func child(p *ber.Packet, i int) *ber.Packet {
	if p == nil || i >= len(p.Children) {
		return nil
	}
	return p.Children[i]
}

// answer is an LDAPResult.
type answer struct {
	code       int64
	diagnostic string
}

// packet builds the response op with this result.
func (a answer) packet(op ber.Tag) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, op, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, a.code, ""))
	p.AppendChild(octets(""))
	p.AppendChild(octets(a.diagnostic))
	return p
}

// envelope wraps a response into an LDAPMessage.
func envelope(id int64, op *ber.Packet) []byte {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	return p.Bytes()
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

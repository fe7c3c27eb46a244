package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Flags of a context (RFC 4121 4.1.1.1). Integrity protects the choice of the security layer.
const (
	flagMutual    = 2
	flagIntegrity = 16
)

// initiator is the [Context] of a ticket.
type initiator struct {
	ticket  *Ticket
	binding Binding

	sent types.Authenticator
	key  types.EncryptionKey // for the last step: the controller's, or that of the ticket
	mine bool                // key is the controller's own
}

// Initiate begins a bind on the connection that binding identifies.
func (t *Ticket) Initiate(binding Binding) Context { return &initiator{ticket: t, binding: binding} }

// InitSecContext implements Context: it returns the first token, and checks the controller's answer to it.
func (i *initiator) InitSecContext(target string, answer []byte) (token []byte, more bool, err error) {
	return i.InitSecContextWithOptions(target, answer, nil)
}

// InitSecContextWithOptions implements Context; mutual authentication is always asked for, whatever the options.
func (i *initiator) InitSecContextWithOptions(_ string, answer []byte, _ []int) (token []byte, more bool, err error) {
	defer tamed(&err)
	if answer == nil {
		token, err = i.first()
		return token, true, err
	}
	return nil, false, i.accept(answer)
}

// DeleteSecContext implements Context: it forgets the keys.
func (i *initiator) DeleteSecContext() error {
	i.key = types.EncryptionKey{}
	return nil
}

// first makes the token with the AP-REQ.
func (i *initiator) first() ([]byte, error) {
	client := types.PrincipalName{NameType: nametype.KRB_NT_PRINCIPAL, NameString: []string{i.ticket.client}}
	authenticator, err := types.NewAuthenticator(i.ticket.realm, client)
	if err != nil {
		return nil, err
	}
	authenticator.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: checksum(i.binding)}
	request, err := messages.NewAPReq(i.ticket.granted.ticket, i.ticket.granted.key, authenticator)
	if err != nil {
		return nil, err
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	encoded, err := request.Marshal()
	i.sent = authenticator
	return framed(tokenRequest, encoded), err
}

// checksum is the field of the authenticator that carries binding and flags (RFC 4121 4.1.1).
func checksum(binding Binding) []byte {
	hash := binding.gss()
	content := binary.LittleEndian.AppendUint32(nil, uint32(len(hash)))
	content = append(content, hash[:]...)
	return binary.LittleEndian.AppendUint32(content, flagMutual|flagIntegrity)
}

// accept checks that the controller could read our time from the authenticator, which nobody can who lacks the ticket's key (RFC 4120
// 3.2.4), and takes over its key.
func (i *initiator) accept(answer []byte) error {
	encoded, err := unframed(tokenReply, answer)
	if err != nil {
		return err
	}
	var reply messages.APRep
	if err := reply.Unmarshal(encoded); err != nil {
		return errors.New("the controller's answer is not an AP-REP")
	}
	plain, err := crypto.DecryptEncPart(reply.EncPart, i.ticket.granted.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return ErrNotMutual
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return ErrNotMutual
	}
	if part.CTime.Unix() != i.sent.CTime.Unix() || part.Cusec != i.sent.Cusec {
		return ErrNotMutual
	}
	i.key = i.ticket.granted.key
	if len(part.Subkey.KeyValue) > 0 {
		i.key, i.mine = part.Subkey, true
	}
	return nil
}

// NegotiateSaslAuth implements Context.
func (i *initiator) NegotiateSaslAuth(offer []byte, name string) (choice []byte, err error) {
	defer tamed(&err)
	if i.key.KeyValue == nil {
		return nil, ErrNotMutual
	}
	layers, err := unwrap(offer, i.key, i.mine)
	if err != nil {
		return nil, err
	}
	choice, err = chooseLayer(layers, name)
	if err != nil {
		return nil, err
	}
	return wrap(choice, i.key, i.mine, uint64(i.sent.SeqNumber))
}

// Kinds of tokens (RFC 4121 4.1).
const (
	tokenRequest = 0x0100
	tokenReply   = 0x0200
)

// mechanism is the encoded object identifier of Kerberos 5, 1.2.840.113554.1.2.2 (RFC 1964 1).
func mechanism() []byte {
	return []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
}

// framed puts a message into the frame of a first token (RFC 2743 3.1).
func framed(kind uint16, message []byte) []byte {
	content := binary.BigEndian.AppendUint16(mechanism(), kind)
	content = append(content, message...)
	return append(append([]byte{0x60}, derLength(len(content))...), content...)
}

// derLength encodes a length as DER does.
func derLength(n int) []byte {
	if n < 0x80 {
		return []byte{byte(n)}
	}
	digits := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, uint32(n)), "\x00")
	return append([]byte{0x80 | byte(len(digits))}, digits...)
}

// unframed returns the message in a frame of the given kind.
func unframed(kind uint16, token []byte) ([]byte, error) {
	marker := binary.BigEndian.AppendUint16(mechanism(), kind)
	if len(token) < 2 || token[0] != 0x60 {
		return nil, errors.New("the controller's answer is not a Kerberos token")
	}
	header := 2
	if token[1] >= 0x80 {
		header += int(token[1] & 0x7f)
	}
	if len(token) < header || !bytes.HasPrefix(token[header:], marker) {
		return nil, errors.New("the controller's answer is not the Kerberos token that is due")
	}
	return token[header+len(marker):], nil
}

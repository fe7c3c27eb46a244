package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Flags of a wrap token (RFC 4121 4.2.2).
const (
	wrapFromAcceptor = 1
	wrapSealed       = 2
	wrapAcceptorsKey = 4
)

const wrapHeader = 16

var errWrap = errors.New("the controller's wrap token is not valid")

// unwrap returns the content of a wrap token that is signed and not sealed (RFC 4121 4.2.4 and 4.2.6.2): a header, then content and
// checksum, the two rotated to the right by the number in the header.
func unwrap(token []byte, key types.EncryptionKey, acceptors bool) ([]byte, error) {
	if len(token) < wrapHeader || !bytes.Equal(token[:2], []byte{5, 4}) || token[3] != 0xff {
		return nil, errWrap
	}
	flags, rest := token[2], token[wrapHeader:]
	if flags&wrapFromAcceptor == 0 || flags&wrapSealed != 0 || (flags&wrapAcceptorsKey != 0) != acceptors {
		return nil, errWrap
	}
	size, rotation := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	if size > len(rest) || len(rest) == 0 {
		return nil, errWrap
	}
	rotation %= len(rest)
	straight := append(bytes.Clone(rest[rotation:]), rest[:rotation]...)
	parsed := gssapi.WrapToken{
		Flags: flags, EC: uint16(size), SndSeqNum: binary.BigEndian.Uint64(token[8:]),
		Payload: straight[:len(straight)-size], CheckSum: straight[len(straight)-size:],
	}
	if valid, err := parsed.Verify(key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil || !valid {
		return nil, errWrap
	}
	return parsed.Payload, nil
}

// wrap signs content.
func wrap(content []byte, key types.EncryptionKey, acceptors bool, number uint64) ([]byte, error) {
	kind, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	token := gssapi.WrapToken{EC: uint16(kind.GetHMACBitLength() / 8), SndSeqNum: number, Payload: content}
	if acceptors {
		token.Flags = wrapAcceptorsKey
	}
	if err := token.SetCheckSum(key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil {
		return nil, err
	}
	return token.Marshal()
}

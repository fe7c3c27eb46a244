package envelope

import (
	"crypto"
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"io"

	"github.com/go-jose/go-jose/v4"
	josecipher "github.com/go-jose/go-jose/v4/cipher"
)

// contentEncryption is the one content encryption of all suites: AES-256-GCM.
const contentEncryption = jose.A256GCM

// contentKeySize is the length in bytes of its key.
const contentKeySize = 32

// agreement finds the content key of ECDH-ES with crypto/ecdh, which works in constant time on the fixed-length representation; go-jose's own path
// goes through math/big, which does not.
type agreement struct {
	private   *ecdh.PrivateKey
	ephemeral *ecdh.PublicKey
}

// agree prepares the opening of one JWE. The ephemeral key is read here, by our own strict reader.
func agree(private any, header object) (jose.OpaqueKeyDecrypter, error) {
	key, ok := private.(*ecdh.PrivateKey)
	if !ok {
		return nil, errors.New("not a P-256 sealing key")
	}
	ephemeral, err := readEphemeral(header)
	if err != nil {
		return nil, err
	}
	return agreement{private: key, ephemeral: ephemeral}, nil
}

// DecryptKey implements jose.OpaqueKeyDecrypter: the direct key agreement of RFC 7518 section 4.6. Header and encrypted key are not
// looked at again: both were checked before.
func (a agreement) DecryptKey([]byte, jose.Header) ([]byte, error) {
	shared, err := a.private.ECDH(a.ephemeral)
	if err != nil {
		return nil, err
	}
	defer clear(shared)
	return deriveKey(shared)
}

// deriveKey is the Concat KDF with the inputs that RFC 7518 section 4.6.2 names; apu and apv are not used by the protocol.
func deriveKey(shared []byte) ([]byte, error) {
	bits := binary.BigEndian.AppendUint32(nil, contentKeySize*8)
	kdf := josecipher.NewConcatKDF(crypto.SHA256, shared, lengthPrefixed(string(contentEncryption)), lengthPrefixed(""), lengthPrefixed(""), bits, nil)
	key := make([]byte, contentKeySize)
	if _, err := io.ReadFull(kdf, key); err != nil {
		return nil, err
	}
	return key, nil
}

func lengthPrefixed(data string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
}

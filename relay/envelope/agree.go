package envelope

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
)

// errNotSealing is why a key opens nothing.
var errNotSealing = errors.New("not a P-256 sealing key")

// readyECDH turns a private key into the form that crypto/ecdh takes.
func readyECDH(private any) (any, error) {
	if held, ok := private.(ecdh.KeyExchanger); ok {
		return held, nil
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errNotSealing
	}
	return key.ECDH()
}

// agree finds the content key of ECDH-ES, the direct key agreement of RFC 7518 section 4.6. The sender's one-time key is read here, by our own
// strict reader, and crypto/ecdh works in constant time on the fixed-length representation.
func agree(private any, header object, _ []byte) ([]byte, error) {
	key, ok := private.(ecdh.KeyExchanger)
	if !ok {
		return nil, errNotSealing
	}
	ephemeral, err := readEphemeral(header)
	if err != nil {
		return nil, err
	}
	shared, err := key.ECDH(ephemeral)
	if err != nil {
		return nil, err
	}
	defer clear(shared)
	return deriveKey(shared), nil
}

// otherInfo are the inputs of the Concat KDF that RFC 7518 section 4.6.2 names: the algorithm, PartyUInfo and PartyVInfo, each after its length
// in four bytes, and the key's length in bits. The protocol does not use apu and apv.
const otherInfo = "\x00\x00\x00\x07" + contentEncryption + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x01\x00"

// deriveKey is the Concat KDF of NIST SP 800-56A section 5.8.1 with SHA-256, whose one round yields just the 256 bits needed.
func deriveKey(shared []byte) []byte {
	input := make([]byte, 0, 4+len(shared)+len(otherInfo))
	defer func() { clear(input[:cap(input)]) }()
	input = append(input, 0, 0, 0, 1) // the round
	input = append(input, shared...)
	input = append(input, otherInfo...)
	key := sha256.Sum256(input)
	return key[:]
}

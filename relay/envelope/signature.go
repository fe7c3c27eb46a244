package envelope

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"math/big"
)

var (
	errOtherAlgorithm = errors.New("the header's alg is not the key's")
	errSignature      = errors.New("the signature does not verify")
)

// verifySignature checks a token's signature with the key's own algorithm, whatever the header says, and returns the payload and the digest of
// the signing input.
func verifySignature(parts compactJWS, header jwsHeader, key PublicKey) ([]byte, error) {
	if Algorithm(header.alg) != key.Algorithm() {
		return nil, errOtherAlgorithm
	}
	if !key.row.verify(key.key, parts.digest[:], parts.signature) {
		return nil, errSignature
	}
	return decodeBase64(parts.payload)
}

// scalarSize is the length in bytes of a number modulo the order of P-256.
const scalarSize = 32

// verifyES256 checks a signature of RFC 7518 section 3.4: r and s, 32 bytes each. crypto/ecdsa refuses numbers that are zero or beyond the order.
func verifyES256(public any, digest, signature []byte) bool {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || len(signature) != 2*scalarSize {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:scalarSize]), new(big.Int).SetBytes(signature[scalarSize:])
	return ecdsa.Verify(key, digest, r, s)
}

// verifyPS256 checks a signature of RFC 7518 section 3.5: as long as the modulus, with a salt as long as the hash. Another salt would verify with
// most libraries, and not with all.
func verifyPS256(public any, digest, signature []byte) bool {
	key, ok := public.(*rsa.PublicKey)
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return ok && len(signature) == key.Size() && rsa.VerifyPSS(key, crypto.SHA256, digest, signature, options) == nil
}

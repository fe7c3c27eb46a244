package envelope

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// KeyVault is where an agent's private keys are kept. [KeyStore] keeps them in files. A store in hardware (PKCS #11, a TPM, Windows CNG)
// implements the same four methods and makes its keys with [NewHeldKey]: their material never leaves it, and nobody else need know.
type KeyVault interface {
	// Scan returns all keys, newest first; one that cannot be used has a Fault.
	Scan() ([]StoredKey, error)
	// Make makes a key for an algorithm, and keeps it with its life.
	Make(name Algorithm, life KeyLife) (StoredKey, error)
	// SetLife changes how long a key is good.
	SetLife(key StoredKey, life KeyLife) error
	// Remove deletes a key for good.
	Remove(key StoredKey) error
}

var _ KeyVault = (*KeyStore)(nil)

// NewHeldKey makes a PrivateKey of one whose material cannot be had: worker does what the key does. It must be, by the key's algorithm,
//
//	ES256, PS256   a crypto.Signer, of SHA-256 digests; for PS256 with the salt as long as the hash
//	ECDH-ES        an ecdh.KeyExchanger
//	RSA-OAEP-256   a crypto.Decrypter that takes *rsa.OAEPOptions
//
// as drivers of hardware key stores offer them. Such a key cannot be encoded or saved.
func NewHeldKey(public PublicKey, worker any, created time.Time) (PrivateKey, error) {
	if public.IsZero() {
		return PrivateKey{}, errors.New("no key")
	}
	held, own, err := hold(public, worker)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("key %s: %w", public.id, err)
	}
	if same, ok := public.key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(own) {
		return PrivateKey{}, fmt.Errorf("key %s: the private and the public half do not belong together", public.id)
	}
	return PrivateKey{public: public, created: created.Truncate(time.Second), reveal: func() any { return held }}, nil
}

// hold returns the worker as the rest of the package takes it, and the public half that it says is its own.
func hold(public PublicKey, worker any) (held any, own crypto.PublicKey, err error) {
	switch public.row.name {
	case ES256, PS256:
		if signer, ok := worker.(crypto.Signer); ok {
			return heldSigner{public: public, signer: signer}, signer.Public(), nil
		}
	case ECDHES:
		if exchanger, ok := worker.(ecdh.KeyExchanger); ok {
			own, err := onCurve(exchanger.PublicKey())
			return exchanger, own, err
		}
	case RSAOAEP256:
		if decrypter, ok := worker.(crypto.Decrypter); ok {
			return decrypter, decrypter.Public(), nil
		}
	}
	return nil, nil, fmt.Errorf("a %T cannot do what %s needs", worker, public.row.name)
}

// onCurve returns a key of crypto/ecdh in the form in which public keys are kept.
func onCurve(key *ecdh.PublicKey) (crypto.PublicKey, error) {
	if key == nil || key.Curve() != ecdh.P256() {
		return nil, errNotP256
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key.Bytes())
}

// heldSigner implements jose.OpaqueSigner with a key that signs elsewhere.
type heldSigner struct {
	public PublicKey
	signer crypto.Signer
}

// Public returns the key as a header would embed it; ours embed none.
func (s heldSigner) Public() *jose.JSONWebKey { return &jose.JSONWebKey{Key: s.public.key} }

// Algs returns the one algorithm of the key.
func (s heldSigner) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.public.row.name)}
}

// SignPayload signs a signing input (RFC 7515 section 5.1).
func (s heldSigner) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	hash := crypto.SHA256.New()
	_, _ = hash.Write(payload)
	digest := hash.Sum(nil)
	if s.public.row.name == PS256 {
		return s.signer.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	signature, err := s.signer.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return fixedLength(signature)
}

// fixedLength turns the ASN.1 form of an ECDSA signature, which crypto.Signer returns, into that of RFC 7518 section 3.4.
func fixedLength(signature []byte) ([]byte, error) {
	var numbers struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &numbers)
	if err != nil || len(rest) > 0 {
		return nil, errors.New("the signer did not return an ECDSA signature")
	}
	const bits = 8 * scalarSize
	if numbers.R.Sign() <= 0 || numbers.S.Sign() <= 0 || numbers.R.BitLen() > bits || numbers.S.BitLen() > bits {
		return nil, errors.New("the signer did not return a P-256 signature")
	}
	fixed := make([]byte, 2*scalarSize)
	numbers.R.FillBytes(fixed[:scalarSize])
	numbers.S.FillBytes(fixed[scalarSize:])
	return fixed, nil
}

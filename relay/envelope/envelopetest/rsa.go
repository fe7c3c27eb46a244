package envelopetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"math/big"

	"github.com/password-writeback/writeback/relay/envelope"
)

// rsaSigner reads the private key back from its JWK and signs as PS256 says (RFC 7518 section 3.5).
type rsaSigner struct{ key *rsa.PrivateKey }

func (s rsaSigner) sign(digest []byte) ([]byte, error) {
	return rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: sha256.Size})
}

// RSAPrivate returns an RSA key as the standard library has it, to do with it what no portal should.
func RSAPrivate(key envelope.PrivateKey) (*rsa.PrivateKey, error) {
	parsed, err := readPrivate(key)
	if err != nil {
		return nil, err
	}
	private := &rsa.PrivateKey{
		PublicKey: parsed.rsaPublic(), D: parsed.number(parsed.D), Primes: []*big.Int{parsed.number(parsed.P), parsed.number(parsed.Q)},
	}
	private.Precompute()
	return private, private.Validate()
}

// RSAPublic is [RSAPrivate] for a public key.
func RSAPublic(key envelope.PublicKey) (*rsa.PublicKey, error) {
	parsed, err := readPublic(key)
	if err != nil {
		return nil, err
	}
	public := parsed.rsaPublic()
	return &public, nil
}

func (k jwk) rsaPublic() rsa.PublicKey {
	return rsa.PublicKey{N: k.number(k.N), E: int(k.number(k.E).Int64())}
}

func (k jwk) number(text string) *big.Int { return new(big.Int).SetBytes(k.decode(text)) }

// sealRSA encrypts a new content key with RSA-OAEP-256, and the plaintext with that.
func sealRSA(recipient envelope.PublicKey, header map[string]any, plaintext []byte) (string, error) {
	public, err := RSAPublic(recipient)
	if err != nil {
		return "", err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	encrypted, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil)
	if err != nil {
		return "", err
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	return Encrypt(Base64(encoded), encrypted, key, plaintext)
}

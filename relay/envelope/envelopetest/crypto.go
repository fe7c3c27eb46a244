package envelopetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"

	"github.com/password-writeback/writeback/relay/envelope"
)

// Base64 encodes base64url without padding.
func Base64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// signer makes signatures of SHA-256 digests with a key's own algorithm.
type signer interface {
	sign(digest []byte) ([]byte, error)
}

// Sign makes a compact JWS of any header and payload, signed with the key's own algorithm, whatever the header says.
func Sign(header, payload []byte, key envelope.PrivateKey) ([]byte, error) {
	return SignText(Base64(header)+"."+Base64(payload), key)
}

// SignText signs any text as a signing input, also one that is not base64url.
func SignText(input string, key envelope.PrivateKey) ([]byte, error) {
	signer, err := newSigner(key)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(input))
	signature, err := signer.sign(digest[:])
	if err != nil {
		return nil, err
	}
	return []byte(input + "." + Base64(signature)), nil
}

func newSigner(key envelope.PrivateKey) (signer, error) {
	if key.Public().Algorithm() == envelope.PS256 {
		private, err := RSAPrivate(key)
		return rsaSigner{private}, err
	}
	private, err := ecdsaPrivate(key)
	return ecdsaSigner{private}, err
}

// ecdsaSigner signs as ES256 says (RFC 7518 section 3.4).
type ecdsaSigner struct{ key *ecdsa.PrivateKey }

func (s ecdsaSigner) sign(digest []byte) ([]byte, error) {
	first, second, err := ecdsa.Sign(rand.Reader, s.key, digest)
	if err != nil {
		return nil, err
	}
	return joined(first, second), nil
}

// joined is a signature of RFC 7518 section 3.4: r and s, 32 bytes each.
func joined(r, s *big.Int) []byte {
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw
}

// Forged returns the token with another signature of the right form that does not verify.
func Forged(token []byte) []byte {
	cut := bytes.LastIndexByte(token, '.') + 1
	random := make([]byte, base64.RawURLEncoding.DecodedLen(len(token)-cut))
	_, _ = rand.Read(random)
	return append(bytes.Clone(token[:cut]), Base64(random)...)
}

// Malleated returns the token with the other valid signature that anybody can compute from the first: (r, n-s).
func Malleated(token []byte) ([]byte, error) {
	cut := bytes.LastIndexByte(token, '.') + 1
	raw, err := base64.RawURLEncoding.DecodeString(string(token[cut:]))
	if err != nil || len(raw) != 64 {
		return nil, errors.New("not an ES256 token")
	}
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:]))
	return append(bytes.Clone(token[:cut]), Base64(joined(new(big.Int).SetBytes(raw[:32]), s))...), nil
}

// Seal makes a compact JWE for recipient with the key's own algorithm and A256GCM. alg, kid and, where the algorithm has one, epk are added to
// the header unless they are there.
func Seal(recipient envelope.PublicKey, header map[string]any, plaintext []byte) (string, error) {
	complete := map[string]any{"alg": string(recipient.Algorithm()), "kid": recipient.KeyID()}
	maps.Copy(complete, header)
	if recipient.Algorithm() == envelope.RSAOAEP256 {
		return sealRSA(recipient, complete, plaintext)
	}
	return sealEC(recipient, complete, plaintext)
}

// sealEC encrypts with a content key that is agreed on with a one-time key.
func sealEC(recipient envelope.PublicKey, header map[string]any, plaintext []byte) (string, error) {
	public, err := ecdhPublic(recipient)
	if err != nil {
		return "", err
	}
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	shared, err := ephemeral.ECDH(public)
	if err != nil {
		return "", err
	}
	if _, set := header["epk"]; !set {
		header["epk"] = point(ephemeral.PublicKey())
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	return Encrypt(Base64(encoded), nil, contentKey(shared), plaintext)
}

// Encrypt makes a compact JWE of its encoded header, the encrypted key and the content key.
func Encrypt(header string, encryptedKey, key, plaintext []byte) (string, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce)
	sealed := gcm.Seal(nil, nonce, plaintext, []byte(header))
	cut := len(sealed) - gcm.Overhead()
	return strings.Join([]string{header, Base64(encryptedKey), Base64(nonce), Base64(sealed[:cut]), Base64(sealed[cut:])}, "."), nil
}

// contentKey is one round of the Concat KDF (NIST SP 800-56A) with the inputs of RFC 7518 section 4.6.2.
func contentKey(shared []byte) []byte {
	input := binary.BigEndian.AppendUint32(nil, 1)
	input = append(input, shared...)
	for _, info := range []string{"A256GCM", "", ""} {
		input = binary.BigEndian.AppendUint32(input, uint32(len(info)))
		input = append(input, info...)
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(input, 256))
	return sum[:]
}

// point writes a P-256 key as a JWK.
func point(key *ecdh.PublicKey) map[string]any {
	raw := key.Bytes()
	return map[string]any{"kty": "EC", "crv": "P-256", "x": Base64(raw[1:33]), "y": Base64(raw[33:])}
}

// jwk is what is needed of a JWK.
type jwk struct{ X, Y, D, N, E, P, Q string }

func (k jwk) decode(text string) []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(text) // made by envelope: canonical
	return raw
}

// readPrivate reads a private key back from its JWK.
func readPrivate(key envelope.PrivateKey) (parsed jwk, err error) {
	encoded, err := envelope.EncodePrivateKey(key)
	if err != nil {
		return jwk{}, err
	}
	defer encoded.Destroy()
	encoded.Use(func(text []byte) { err = json.Unmarshal(text, &parsed) })
	return parsed, err
}

func readPublic(key envelope.PublicKey) (parsed jwk, err error) {
	encoded, err := envelope.EncodePublicKey(key)
	if err != nil {
		return jwk{}, err
	}
	err = json.Unmarshal(encoded, &parsed)
	return parsed, err
}

func ecdsaPrivate(key envelope.PrivateKey) (*ecdsa.PrivateKey, error) {
	parsed, err := readPrivate(key)
	if err != nil {
		return nil, err
	}
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), parsed.decode(parsed.D))
}

func ecdhPublic(key envelope.PublicKey) (*ecdh.PublicKey, error) {
	parsed, err := readPublic(key)
	if err != nil {
		return nil, err
	}
	return ecdh.P256().NewPublicKey(append(append([]byte{4}, parsed.decode(parsed.X)...), parsed.decode(parsed.Y)...))
}

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
	"fmt"
	"maps"
	"math/big"

	"github.com/password-writeback/writeback/relay/envelope"
)

// Base64 encodes base64url without padding.
func Base64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// Sign makes a compact JWS of any header and payload with ES256.
func Sign(header, payload []byte, key envelope.PrivateKey) ([]byte, error) {
	private, err := signingKey(key)
	if err != nil {
		return nil, err
	}
	input := Base64(header) + "." + Base64(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	return []byte(input + "." + signature(r, s)), nil
}

func signature(r, s *big.Int) string {
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return Base64(raw)
}

// Forged returns the token with another signature of the right form that does not verify.
func Forged(token []byte) []byte {
	cut := bytes.LastIndexByte(token, '.') + 1
	random := make([]byte, 64)
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
	return append(bytes.Clone(token[:cut]), signature(new(big.Int).SetBytes(raw[:32]), s)...), nil
}

// Seal makes a compact JWE for recipient with ECDH-ES and A256GCM. kid and epk are added to the header unless they are there.
func Seal(recipient envelope.PublicKey, header map[string]any, plaintext []byte) (string, error) {
	public, err := sealingKey(recipient)
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
	complete := map[string]any{"kid": recipient.KeyID(), "epk": point(ephemeral.PublicKey())}
	maps.Copy(complete, header)
	encoded, err := json.Marshal(complete)
	if err != nil {
		return "", err
	}
	return encrypt(Base64(encoded), contentKey(shared), plaintext)
}

func encrypt(header string, key, plaintext []byte) (string, error) {
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
	return fmt.Sprintf("%s..%s.%s.%s", header, Base64(nonce), Base64(sealed[:cut]), Base64(sealed[cut:])), nil
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
type jwk struct{ X, Y, D string }

func (k jwk) decode(text string) []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(text) // made by envelope: canonical
	return raw
}

// signingKey reads the private key back from its JWK.
func signingKey(key envelope.PrivateKey) (*ecdsa.PrivateKey, error) {
	encoded, err := envelope.EncodePrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer encoded.Destroy()
	var parsed jwk
	encoded.Use(func(text []byte) { err = json.Unmarshal(text, &parsed) })
	if err != nil {
		return nil, err
	}
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), parsed.decode(parsed.D))
}

func sealingKey(key envelope.PublicKey) (*ecdh.PublicKey, error) {
	encoded, err := envelope.EncodePublicKey(key)
	if err != nil {
		return nil, err
	}
	var parsed jwk
	if err := json.Unmarshal(encoded, &parsed); err != nil {
		return nil, err
	}
	return ecdh.P256().NewPublicKey(append(append([]byte{4}, parsed.decode(parsed.X)...), parsed.decode(parsed.Y)...))
}

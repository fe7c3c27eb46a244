package envelope_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // for what must be refused
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// acceptedRSA are the requests that only rsa-1 has.
func (m *maker) acceptedRSA() []recipe {
	curve := sealingKey(m.t)
	mixed := m.portalWith(func(p *envelopetest.Portal) {
		p.Recipients = []envelope.PublicKey{curve.Public(), m.agentNew.Public()}
	})
	return []recipe{
		{name: "sealed-by-the-document", description: "Sealed step by step as the specification's text says, without a JOSE library.", edit: m.sealedUnder(func(map[string]any) {})},
		{name: "signed-again", description: "Another valid signature (PSS has a random salt) of the content of reset-sid: the same request, with the same req_sha256.", repeats: "reset-sid"},
		{name: "sealed-beside-ec-1", description: "Sealed for this agent with RSA-OAEP-256 and for another agent with ECDH-ES: each entry goes by its key.", by: mixed},
	}
}

// signatureWith puts another signature of the same signing input into a token.
func (m *maker) signatureWith(sign func(key *rsa.PrivateKey, digest []byte) []byte) func([]byte) []byte {
	return func(good []byte) []byte {
		key, err := envelopetest.RSAPrivate(m.portalKey)
		must(m.t, err)
		return signedWith(good, func(digest []byte) []byte { return sign(key, digest) })
	}
}

// signedWith signs the first two parts of a token.
func signedWith(token []byte, sign func(digest []byte) []byte) []byte {
	input := token[:bytes.LastIndexByte(token, '.')]
	digest := sha256.Sum256(input)
	return append(append(slices.Clone(input), '.'), envelopetest.Base64(sign(digest[:]))...)
}

// pss signs with a salt of another length than the hash's.
func (m *maker) pss(salt int) func(*rsa.PrivateKey, []byte) []byte {
	return func(key *rsa.PrivateKey, digest []byte) []byte {
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: salt})
		must(m.t, err)
		return signature
	}
}

// pkcs1 signs as RS256 does.
func (m *maker) pkcs1(key *rsa.PrivateKey, digest []byte) []byte {
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)
	must(m.t, err)
	return signature
}

// rejectedRSASignatures are what only PS256 has.
func (m *maker) rejectedRSASignatures() []recipe {
	return []recipe{
		{name: "signature-rs256-under-ps256", description: "The header says PS256, the signature is a good RS256 one (PKCS #1 v1.5).", token: m.signatureWith(m.pkcs1)},
		{name: "signature-rs256", description: "The header says RS256, the signature is a good RS256 one, with the portal's key: that key is for PS256.", edit: header("alg", "RS256"), token: m.signatureWith(m.pkcs1)},
		{name: "signature-salt-empty", description: "PSS without a salt.", token: m.signatureWith(func(key *rsa.PrivateKey, digest []byte) []byte {
			return handmadePSS(key, digest, nil, crypto.SHA256)
		})},
		{name: "signature-salt-20", description: "PSS with a salt of 20 bytes, the default of some libraries.", token: m.signatureWith(m.pss(20))},
		{name: "signature-salt-longest", description: "PSS with the longest salt that fits, the default of some libraries.", token: m.signatureWith(m.pss(350))},
		{name: "signature-mgf1-sha1", description: "PSS with MGF1 over SHA-1, the default of some libraries.", token: m.signatureWith(func(key *rsa.PrivateKey, digest []byte) []byte {
			return handmadePSS(key, digest, randomKey(32), crypto.SHA1)
		})},
		{name: "signature-beyond-the-modulus", description: "A good signature with the modulus added: the same number to careless arithmetic.", token: m.signatureWith(m.beyondModulus)},
	}
}

func (m *maker) rejectedRSAResults() []resultRecipe {
	key, err := envelopetest.RSAPrivate(m.agentSigning)
	must(m.t, err)
	with := func(sign func(*rsa.PrivateKey, []byte) []byte) func([]byte) []byte {
		return func(good []byte) []byte {
			return signedWith(good, func(digest []byte) []byte { return sign(key, digest) })
		}
	}
	return []resultRecipe{
		{name: "result-rs256-under-ps256", description: "The header says PS256, the signature is a good RS256 one (PKCS #1 v1.5).", token: with(m.pkcs1)},
		{name: "result-rs256", description: "The header says RS256, the signature is a good RS256 one, with the agent's key: that key is for PS256.", edit: heading("alg", "RS256"), token: with(m.pkcs1)},
		{name: "result-salt-20", description: "PSS with a salt of 20 bytes.", token: with(m.pss(20))},
	}
}

// beyondModulus adds the modulus to a signature. Not every signature leaves room for it, so several are made.
func (m *maker) beyondModulus(key *rsa.PrivateKey, digest []byte) []byte {
	for range 256 {
		sum := new(big.Int).SetBytes(m.pss(32)(key, digest))
		if sum.Add(sum, key.N).BitLen() <= key.Size()*8 {
			return sum.FillBytes(make([]byte, key.Size()))
		}
	}
	m.t.Fatal("no signature leaves room for the modulus")
	return nil
}

// handmadePSS is EMSA-PSS of RFC 8017 section 9.1.1 with any hash in the mask generation, and the bare private-key operation.
func handmadePSS(key *rsa.PrivateKey, digest, salt []byte, mask crypto.Hash) []byte {
	length := (key.N.BitLen() - 1 + 7) / 8
	hash := sha256.Sum256(slices.Concat(make([]byte, 8), digest, salt))
	block := make([]byte, length-len(hash)-1)
	block[len(block)-len(salt)-1] = 1
	copy(block[len(block)-len(salt):], salt)
	for i, pad := range mgf1(hash[:], len(block), mask) {
		block[i] ^= pad
	}
	block[0] &= 0xff >> (8*length - (key.N.BitLen() - 1))
	message := new(big.Int).SetBytes(slices.Concat(block, hash[:], []byte{0xbc}))
	return message.Exp(message, key.D, key.N).FillBytes(make([]byte, key.Size()))
}

// mgf1 is the mask generation of RFC 8017 appendix B.2.1.
func mgf1(seed []byte, length int, hash crypto.Hash) []byte {
	var mask []byte
	for i := byte(0); len(mask) < length; i++ {
		h := hash.New()
		h.Write(slices.Concat(seed, []byte{0, 0, 0, i}))
		mask = h.Sum(mask)
	}
	return mask[:length]
}

func randomKey(size int) []byte {
	key := make([]byte, size)
	_, _ = rand.Read(key)
	return key
}

// agentModulus is the public half of the agent's new key.
func (m *maker) agentModulus() *rsa.PublicKey {
	public, err := envelopetest.RSAPublic(m.agentNew.Public())
	must(m.t, err)
	return public
}

// wrapped encrypts a content key, and returns both.
func (m *maker) wrapped(contentKey []byte, options *rsa.OAEPOptions) (encryptedKey, key []byte) {
	encrypted, err := rsa.EncryptOAEPWithOptions(rand.Reader, m.agentModulus(), contentKey, options)
	must(m.t, err)
	return encrypted, contentKey
}

// pkcs1Wrapped encrypts a content key as RSA1_5 does (RFC 8017 section 7.2.1).
func (m *maker) pkcs1Wrapped(contentKey []byte) (encryptedKey, key []byte) {
	public := m.agentModulus()
	block := make([]byte, public.Size())
	_, _ = rand.Read(block)
	for i, b := range block {
		block[i] = max(b, 1)
	}
	block[0], block[1], block[len(block)-len(contentKey)-1] = 0, 2, 0
	copy(block[len(block)-len(contentKey):], contentKey)
	number := new(big.Int).SetBytes(block)
	return number.Exp(number, big.NewInt(int64(public.E)), public.N).FillBytes(make([]byte, public.Size())), contentKey
}

// sealedWith seals with an encrypted key and a content key that were made in any way; header, padding and content are as they should be.
func (m *maker) sealedWith(encryptedKey, contentKey []byte) func(*envelopetest.Draft) {
	return m.sealedBy(func(map[string]any) ([]byte, []byte) { return encryptedKey, contentKey })
}

// TestHandmadeSignaturesAreGoodUntilSpoiled keeps the crafting of wrong signatures honest.
func TestHandmadeSignaturesAreGoodUntilSpoiled(t *testing.T) {
	w := newRSAWorld(t)
	key, err := envelopetest.RSAPrivate(w.portalKey)
	must(t, err)
	good := w.token(t, func(*envelopetest.Draft) {})
	for name, mask := range map[string]crypto.Hash{"as PS256 does": crypto.SHA256, "with MGF1 over SHA-1": crypto.SHA1} {
		_, err := w.open(signedWith(good, func(digest []byte) []byte { return handmadePSS(key, digest, randomKey(32), mask) }))
		if (err == nil) != (mask == crypto.SHA256) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

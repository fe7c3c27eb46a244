package envelope_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// rejectedWrapping are the faults of an encrypted key. The content is encrypted well, with the key that a lenient opener would find.
func (m *maker) rejectedWrapping() []recipe {
	return fill(stepOpen, writeback.EnvelopeUndecryptable, true, slices.Concat(m.otherPaddings(), m.otherContentKeys(), m.otherEncryptedKeys())...)
}

func (m *maker) otherPaddings() []recipe {
	oaep := func(name, description string, options rsa.OAEPOptions) recipe {
		return recipe{name: "oaep-" + name, description: description, edit: m.sealedWith(m.wrapped(randomKey(32), &options))}
	}
	return []recipe{
		oaep("sha1", "OAEP with SHA-1, which is RSA-OAEP.", rsa.OAEPOptions{Hash: crypto.SHA1}),
		oaep("sha512", "OAEP with SHA-512, which is RSA-OAEP-512.", rsa.OAEPOptions{Hash: crypto.SHA512}),
		oaep("mgf1-sha1", "OAEP with SHA-256, and MGF1 over SHA-1: what Java does unless it is told otherwise.", rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}),
		oaep("label", "OAEP with a label.", rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte("json")}),
		{name: "oaep-pkcs1", description: "PKCS #1 v1.5, which is RSA1_5, under the header of RSA-OAEP-256.", edit: m.sealedWith(m.pkcs1Wrapped(randomKey(32)))},
		{name: "oaep-epk", description: "The header holds epk, which RSA-OAEP-256 does not have.", edit: m.sealedUnder(func(header map[string]any) {
			header["epk"] = map[string]any{"kty": "EC", "crv": "P-256"}
		})},
	}
}

// otherContentKeys are wrapped well, and are no keys of A256GCM. Where AES has no key of that length, the content is encrypted with a random one.
func (m *maker) otherContentKeys() []recipe {
	var recipes []recipe
	for _, size := range []int{0, 16, 24, 31, 33, 64} {
		encryptedKey, key := m.wrapped(randomKey(size), &rsa.OAEPOptions{Hash: crypto.SHA256})
		if size != 16 && size != 24 {
			key = randomKey(32)
		}
		recipes = append(recipes, recipe{
			name: fmt.Sprintf("content-key-%d", size), description: fmt.Sprintf("The encrypted key is a content key of %d bytes.", size),
			edit: m.sealedWith(encryptedKey, key),
		})
	}
	return recipes
}

// otherEncryptedKeys are numbers that are no encrypted key, or none of the right length.
func (m *maker) otherEncryptedKeys() []recipe {
	good, key := m.wrapped(randomKey(32), &rsa.OAEPOptions{Hash: crypto.SHA256})
	another, err := envelopetest.RSAPublic(m.otherAgent.Public())
	must(m.t, err)
	other, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, another, key, nil)
	must(m.t, err)
	public := m.agentModulus()
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, public.Size())) }
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	spoilt := func(name, description string, encryptedKey []byte) recipe {
		return recipe{name: "encrypted-key-" + name, description: description, edit: m.sealedWith(encryptedKey, key)}
	}
	return []recipe{
		spoilt("empty", "No encrypted key.", nil),
		spoilt("truncated", "The last byte is missing.", good[:len(good)-1]),
		spoilt("extended", "A zero byte behind it.", append(slices.Clone(good), 0)),
		spoilt("leading-zero", "A zero byte before it: the same number, too long.", append([]byte{0}, good...)),
		spoilt("changed", "One bit is another.", flipped),
		spoilt("zero", "All bytes are 0.", make([]byte, public.Size())),
		spoilt("one", "The number 1.", number(big.NewInt(1))),
		spoilt("the-modulus", "The modulus itself.", number(public.N)),
		spoilt("below-the-modulus", "The modulus less 1.", number(new(big.Int).Sub(public.N, big.NewInt(1)))),
		spoilt("of-ones", "All bits are 1: beyond the modulus.", slices.Repeat([]byte{0xff}, public.Size())),
		spoilt("of-another-key", "Encrypted with another agent's key.", other),
	}
}

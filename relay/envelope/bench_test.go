package envelope_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// BenchmarkOpen is verify and decrypt of one request. Compare with BenchmarkPrimitives of the same run.
func BenchmarkOpen(b *testing.B) {
	w := newWorld(b)
	token := w.token(b, func(*envelopetest.Draft) {})
	b.ReportAllocs()
	for b.Loop() {
		request, err := w.open(token)
		must(b, err)
		request.Destroy()
	}
}

// BenchmarkPrimitives is what no implementation can save: one ES256 verification, one ECDH on P-256 with the peer's point decoded, and AES-256-GCM over one block
// of plaintext.
func BenchmarkPrimitives(b *testing.B) {
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	digest := sha256.Sum256([]byte("signing input"))
	r, s, err := ecdsa.Sign(rand.Reader, signing, digest[:])
	must(b, err)
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	must(b, err)
	theirs, err := ecdh.P256().GenerateKey(rand.Reader)
	must(b, err)
	point := theirs.PublicKey().Bytes()
	plaintext, nonce := make([]byte, 512), make([]byte, 12)
	block, err := aes.NewCipher(digest[:])
	must(b, err)
	gcm, err := cipher.NewGCM(block)
	must(b, err)
	sealed := gcm.Seal(nil, nonce, plaintext, nil)
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.Verify(&signing.PublicKey, digest[:], r, s) {
			b.Fatal("does not verify")
		}
		ephemeral, err := ecdh.P256().NewPublicKey(point)
		must(b, err)
		_, err = ours.ECDH(ephemeral)
		must(b, err)
		_, err = gcm.Open(nil, nonce, sealed, nil)
		must(b, err)
	}
}

// BenchmarkSeal is what a portal pays for one request with one agent.
func BenchmarkSeal(b *testing.B) {
	w := newWorld(b)
	draft := request("reset")
	for b.Loop() {
		_, err := w.sealer.Seal(draft)
		must(b, err)
	}
}

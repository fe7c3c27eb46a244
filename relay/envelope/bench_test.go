package envelope_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// BenchmarkOpen is verify and decrypt of one request. Each opening is followed by the bare primitives that no implementation can save, so that
// whatever else the machine does slows both: "of-bare" is the part of their rate that opening reaches, by the medians.
func BenchmarkOpen(b *testing.B) {
	b.Run("ec-1", func(b *testing.B) { benchmarkOpen(b, newWorld(b), bareCurve) })
	b.Run("rsa-1", func(b *testing.B) { benchmarkOpen(b, newRSAWorld(b), bareRSA) })
}

// bare makes the primitives of a suite for a request whose signing input and sealed plaintext have the given lengths.
type bare func(b *testing.B, signed, sealed int) func()

func benchmarkOpen(b *testing.B, w world, bare bare) {
	b.Helper()
	token := w.token(b, func(*envelopetest.Draft) {})
	primitives := bare(b, len(token), 512)
	var opening, bareness []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		request, err := w.open(token)
		opened := time.Now()
		primitives()
		opening, bareness = append(opening, opened.Sub(start)), append(bareness, time.Since(opened))
		must(b, err)
		request.Destroy()
	}
	open, least := median(opening), median(bareness)
	b.ReportMetric(float64(open.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(least.Nanoseconds()), "bare-ns")
	b.ReportMetric(float64(least)/float64(open), "of-bare")
	b.ReportMetric(float64(time.Second)/float64(open), "opens/s")
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// bareCurve is one ES256 verification, one ECDH on P-256 with the sender's point decoded, one round of the KDF, and AES-256-GCM.
func bareCurve(b *testing.B, signed, sealed int) func() {
	b.Helper()
	input := make([]byte, signed)
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(b, err)
	digest := sha256.Sum256(input)
	signature, err := ecdsa.SignASN1(rand.Reader, signing, digest[:])
	must(b, err)
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	must(b, err)
	theirs, err := ecdh.P256().GenerateKey(rand.Reader)
	must(b, err)
	point, content := theirs.PublicKey().Bytes(), bareContent(b, sealed)
	return func() {
		digest := sha256.Sum256(input)
		if !ecdsa.VerifyASN1(&signing.PublicKey, digest[:], signature) {
			b.Fatal("does not verify")
		}
		ephemeral, err := ecdh.P256().NewPublicKey(point)
		must(b, err)
		shared, err := ours.ECDH(ephemeral)
		must(b, err)
		_ = sha256.Sum256(append(shared, make([]byte, 23)...))
		content()
	}
}

// bareRSA is one private-key operation of 3072 bits and nothing else.
func bareRSA(b *testing.B, _, _ int) func() {
	b.Helper()
	key, err := envelopetest.RSAPrivate(rsaKey(b, envelope.RSAOAEP256, 0))
	must(b, err)
	encrypted, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, make([]byte, 32), nil)
	must(b, err)
	return func() {
		_, err := key.Decrypt(nil, encrypted, &rsa.OAEPOptions{Hash: crypto.SHA256})
		must(b, err)
	}
}

// bareContent is AES-256-GCM with a new key over a plaintext of the given length.
func bareContent(b *testing.B, length int) func() {
	b.Helper()
	key, nonce := make([]byte, 32), make([]byte, 12)
	block, err := aes.NewCipher(key)
	must(b, err)
	gcm, err := cipher.NewGCM(block)
	must(b, err)
	sealed := gcm.Seal(nil, nonce, make([]byte, length), nil)
	return func() {
		block, err := aes.NewCipher(key)
		must(b, err)
		gcm, err := cipher.NewGCM(block)
		must(b, err)
		_, err = gcm.Open(nil, nonce, sealed, nil)
		must(b, err)
	}
}

// BenchmarkSeal is what a portal pays for one request with one agent.
func BenchmarkSeal(b *testing.B) {
	for suite, w := range map[string]world{"ec-1": newWorld(b), "rsa-1": newRSAWorld(b)} {
		b.Run(suite, func(b *testing.B) {
			draft := request(writeback.OpReset)
			for b.Loop() {
				_, err := w.sealer.Seal(draft)
				must(b, err)
			}
		})
	}
}

package envelope_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// hardware is a key that only works, as a driver shows it: each kind of work has a type of its own.
type (
	hardwareSigner    struct{ crypto.Signer }
	hardwareExchanger struct{ ecdh.KeyExchanger }
	hardwareDecrypter struct{ inner *rsa.PrivateKey }
	brokenSigner      struct{ crypto.Signer }
)

func (d hardwareDecrypter) Public() crypto.PublicKey { return d.inner.Public() }

func (d hardwareDecrypter) Decrypt(random io.Reader, message []byte, options crypto.DecrypterOpts) ([]byte, error) {
	return d.inner.Decrypt(random, message, options)
}

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{1, 2}, nil
}

// publicOf makes a public key of material, as its owner would export it.
func publicOf(t *testing.T, use, alg string, members map[string]any) envelope.PublicKey {
	t.Helper()
	members["use"], members["alg"] = use, alg
	text, err := json.Marshal(members)
	must(t, err)
	keys, err := envelope.ParsePublicKeys(text)
	must(t, err)
	return keys[0]
}

func ecMembers(t *testing.T, key *ecdsa.PublicKey) map[string]any {
	t.Helper()
	point, err := key.Bytes()
	must(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

func rsaMembers(key *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"}
}

// TestKeysWhoseMaterialNeverLeaves: a vault that only lends the work of its keys signs and opens as files do, in both suites.
func TestKeysWhoseMaterialNeverLeaves(t *testing.T) {
	signEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	sealEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	exchange, err := sealEC.ECDH()
	must(t, err)
	both, err := rsa.GenerateKey(rand.Reader, 3072)
	must(t, err)
	for name, c := range map[string]struct {
		sign, seal     envelope.PublicKey
		signer, opener any
	}{
		"ec-1": {
			publicOf(t, "sig", "ES256", ecMembers(t, &signEC.PublicKey)), publicOf(t, "enc", "ECDH-ES", ecMembers(t, &sealEC.PublicKey)),
			hardwareSigner{signEC}, hardwareExchanger{exchange},
		},
		"rsa-1": {
			publicOf(t, "sig", "PS256", rsaMembers(&both.PublicKey)), publicOf(t, "enc", "RSA-OAEP-256", rsaMembers(&both.PublicKey)),
			hardwareSigner{both}, hardwareDecrypter{both},
		},
	} {
		signing, err := envelope.NewHeldKey(c.sign, c.signer, time.Now())
		must(t, err)
		sealing, err := envelope.NewHeldKey(c.seal, c.opener, time.Now())
		must(t, err)
		opener, err := envelope.NewOpener(envelope.OpenerConfig{
			Group: "corp", Issuers: map[string][]envelope.PublicKey{"portal": {c.sign}}, SealingKeys: []envelope.PrivateKey{sealing},
		})
		must(t, err)
		sealer, err := envelope.NewSealer(envelope.SealerConfig{Issuer: "portal", Group: "corp", SigningKey: signing, Recipients: []envelope.PublicKey{c.seal}})
		must(t, err)
		token, err := sealer.Seal(heldRequest())
		must(t, err)
		verified, err := opener.Verify(token.Token)
		must(t, err)
		request, err := opener.Decrypt(verified)
		must(t, err)
		if request.Subject != heldRequest().Subject {
			t.Errorf("%s: opened %+v", name, request.Subject)
		}
		for _, key := range []envelope.PrivateKey{signing, sealing} {
			if _, err := envelope.EncodePrivateKey(key); err == nil {
				t.Errorf("%s: a key whose material cannot be had was encoded", name)
			}
			if err := envelope.SaveKey(filepath.Join(t.TempDir(), "k.jwk"), key); err == nil {
				t.Errorf("%s: it was saved", name)
			}
		}
		// The other's work does not fit, nor does another key's.
		if _, err := envelope.NewHeldKey(c.sign, c.opener, time.Now()); err == nil && name == "ec-1" {
			t.Errorf("%s: what opens was taken to sign", name)
		}
		if _, err := envelope.NewHeldKey(c.seal, struct{}{}, time.Now()); err == nil {
			t.Errorf("%s: what does nothing was taken", name)
		}
		if _, err := envelope.NewHeldKey(signingKey(t).Public(), c.signer, time.Now()); err == nil {
			t.Errorf("%s: another key's work was taken", name)
		}
	}
	if _, err := envelope.NewHeldKey(envelope.PublicKey{}, hardwareSigner{signEC}, time.Now()); err == nil {
		t.Error("no key was taken")
	}
	broken, err := envelope.NewHeldKey(publicOf(t, "sig", "ES256", ecMembers(t, &signEC.PublicKey)), brokenSigner{signEC}, time.Now())
	must(t, err)
	sealer, err := envelope.NewSealer(envelope.SealerConfig{Issuer: "portal", Group: "corp", SigningKey: broken, Recipients: []envelope.PublicKey{sealingKey(t).Public()}})
	must(t, err)
	if token, err := sealer.Seal(heldRequest()); err == nil {
		t.Errorf("a signature that is none: %s", token.Token)
	}
}

func heldRequest() writeback.Request {
	return writeback.Request{
		Claims:  writeback.Claims{Operation: writeback.OpUnlock, ReplySession: "held-key-session-0123456789", Actor: writeback.Actor{Kind: writeback.ActorSelf}},
		Subject: writeback.Subject{Kind: writeback.BySID, Value: "S-1-5-21-1-2-3-1001"},
	}
}

package envelope_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// typed demands that every refusal has a reason of the envelope's: an untyped error would look like a fault of the agent.
func typed(t *testing.T, err error) {
	t.Helper()
	var fault *writeback.Error
	if err != nil && !errors.As(err, &fault) {
		t.Errorf("without a reason: %v", err)
	}
}

func FuzzRequestToken(f *testing.F) {
	all := worlds(f)
	for _, w := range all {
		f.Add(w.token(f, func(*envelopetest.Draft) {}))
		f.Add(w.token(f, func(d *envelopetest.Draft) { d.For(writeback.OpPing, nil, "") }))
	}
	f.Add([]byte("e30.e30.AAAA"))
	f.Add([]byte(".."))
	f.Fuzz(func(t *testing.T, token []byte) {
		for _, w := range all {
			_, err := w.open(token)
			typed(t, err)
		}
	})
}

// FuzzEncryptedKey puts anything in the place of an encrypted key of RSA-OAEP-256. One that has the right length must be refused in the same
// words, whatever is wrong with it: an answer that told padding from content would be an oracle.
func FuzzEncryptedKey(f *testing.F) {
	w := newRSAWorld(f)
	draft := w.portal.Draft()
	entry, err := envelopetest.Seal(w.agentKey.Public(), draft.SealHeader, envelopetest.Pad([]byte("{}")))
	must(f, err)
	parts := strings.Split(entry, ".")
	f.Add(decodeText(f, parts[1]))
	f.Add(make([]byte, 384))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, encryptedKey []byte) {
		if len(encryptedKey) > 1<<10 || string(encryptedKey) == string(decodeText(t, parts[1])) {
			return
		}
		claims := claim("sealed", map[string]string{w.agentKey.KeyID(): strings.Join([]string{parts[0], envelopetest.Base64(encryptedKey), parts[2], parts[3], parts[4]}, ".")})
		_, err := w.open(w.token(t, claims))
		if writeback.ReasonOf(err) != writeback.EnvelopeUndecryptable {
			t.Errorf("%v, want envelope.undecryptable", err)
		}
		if len(encryptedKey) == 384 && !strings.HasSuffix(err.Error(), ": does not decrypt") {
			t.Errorf("told apart: %v", err)
		}
	})
}

// FuzzSignedClaims lets a trusted but mad portal sign anything: the fuzzer gets behind the signature.
func FuzzSignedClaims(f *testing.F) {
	w := newWorld(f)
	header, err := json.Marshal(w.portal.Draft().Header)
	must(f, err)
	claims, err := json.Marshal(w.portal.Draft().Claims)
	must(f, err)
	f.Add(header, claims)
	f.Add(header, []byte(`{"iss":"https://portal.example.test","aud":"corp","jti":"0123456789012345678901","reply":"0123456789012345678901","sealed":{}}`))
	f.Add([]byte(`{"typ":"writeback-request+jwt","alg":"ES256","kid":"\ud83d"}`), []byte(`{"a":[[[[{}]]]],"b":-0.0e+1}`))
	f.Fuzz(func(t *testing.T, header, claims []byte) {
		token, err := envelopetest.Sign(header, claims, w.portalKey)
		must(t, err)
		verified, err := w.opener.Verify(token)
		typed(t, err)
		if err != nil && verified.Answerable() && (verified.Claims().ID == "" || verified.Claims().Issuer != issuer || verified.Claims().ReplySession == "") {
			t.Errorf("answerable without an address: %+v", verified.Claims())
		}
		if err == nil {
			_, err = w.opener.Decrypt(verified)
			typed(t, err)
		}
	})
}

// FuzzSealedJSON puts any plaintext into a good envelope.
func FuzzSealedJSON(f *testing.F) {
	w := newWorld(f)
	draft := w.portal.Draft()
	good, err := json.Marshal(draft.Sealed)
	must(f, err)
	f.Add(good)
	f.Add([]byte(`{"password":"\ud83d\udd11\u0000\"\\"}`))
	f.Add([]byte(`{"user":{"sid":"x","immutable_id":"y"}}`))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		for _, text := range [][]byte{plaintext, envelopetest.Pad(plaintext)} {
			if len(text) > 8<<10 {
				return
			}
			draft.RawSealed = text
			token, err := w.portal.Token(draft)
			must(t, err)
			request, err := w.open(token)
			typed(t, err)
			if err == nil && (request.Issuer != issuer || request.Subject.Value == "") {
				t.Errorf("opened as %+v", request.Claims)
			}
		}
	})
}

func FuzzResultToken(f *testing.F) {
	key, other := signingKey(f), rsaKey(f, envelope.PS256, 0)
	signer, err := envelope.NewResultSigner(agentName, key)
	must(f, err)
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
		Issuer: issuer, Agents: map[string][]envelope.PublicKey{agentName: {key.Public(), other.Public()}},
	})
	must(f, err)
	token, err := signer.Sign(someResult())
	must(f, err)
	f.Add(token, []byte(`{}`))
	signer, err = envelope.NewResultSigner(agentName, other)
	must(f, err)
	token, err = signer.Sign(someResult())
	must(f, err)
	f.Add(token, []byte(`{}`))
	header, err := json.Marshal(map[string]any{"typ": "writeback-result+jwt", "alg": "ES256", "kid": key.KeyID()})
	must(f, err)
	f.Add(token, []byte(`{"iss":"corp/x","detail":{"retry_after":"2026-01-01T00:00:00Z","possible":["a"]}}`))
	f.Fuzz(func(t *testing.T, token, claims []byte) {
		_, err := verifier.Verify(token)
		typed(t, err)
		signed, err := envelopetest.Sign(header, claims, key)
		must(t, err)
		_, err = verifier.Verify(signed)
		typed(t, err)
	})
}

func FuzzKeys(f *testing.F) {
	public, err := envelope.EncodePublicKey(signingKey(f).Public())
	must(f, err)
	f.Add(public)
	public, err = envelope.EncodePublicKey(rsaKey(f, envelope.RSAOAEP256, 3).Public())
	must(f, err)
	f.Add(public)
	f.Add([]byte(`{"keys":[{"kty":"EC"},{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := envelope.ParsePublicKeys(text)
		if err == nil {
			for _, key := range keys {
				if key.IsZero() || len(key.KeyID()) != 43 {
					t.Errorf("parsed %v", key)
				}
			}
		}
	})
}

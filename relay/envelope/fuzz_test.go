package envelope_test

import (
	"encoding/json"
	"errors"
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
	w := newWorld(f)
	f.Add(w.token(f, func(*envelopetest.Draft) {}))
	f.Add(w.token(f, func(d *envelopetest.Draft) { d.For(writeback.OpPing, nil, "") }))
	f.Add([]byte("e30.e30.AAAA"))
	f.Add([]byte(".."))
	f.Fuzz(func(t *testing.T, token []byte) {
		verified, err := w.opener.Verify(token)
		typed(t, err)
		if err == nil {
			_, err = w.opener.Decrypt(verified)
			typed(t, err)
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
	key := signingKey(f)
	signer, err := envelope.NewResultSigner(agentName, key)
	must(f, err)
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
		Issuer: issuer, Agents: map[string][]envelope.PublicKey{agentName: {key.Public()}},
	})
	must(f, err)
	token, err := signer.Sign(someResult())
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

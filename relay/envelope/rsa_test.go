package envelope_test

import (
	"testing"

	"github.com/password-writeback/writeback/relay/envelope"
)

func TestRSAKeysSurviveTheirFileForm(t *testing.T) {
	for _, algorithm := range []envelope.Algorithm{envelope.PS256, envelope.RSAOAEP256} {
		key, err := envelope.GenerateKey(algorithm)
		must(t, err)
		text, err := envelope.EncodePrivateKey(key)
		must(t, err)
		parsed, err := envelope.ParsePrivateKey(text)
		must(t, err)
		if parsed.KeyID() != key.KeyID() || parsed.Public().Algorithm() != algorithm || !parsed.Created().Equal(key.Created()) {
			t.Errorf("%v became %v", key.Public(), parsed.Public())
		}
	}
}

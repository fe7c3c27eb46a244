package envelope_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
)

// rsaKey returns one of four keys that were made once, since making one takes long. They were made by another library. The last one has 4096 bits.
func rsaKey(tb testing.TB, algorithm envelope.Algorithm, number int) envelope.PrivateKey {
	tb.Helper()
	key, err := envelope.ParsePrivateKey(secret.New(rsaText(tb, algorithm, number)))
	must(tb, err)
	return key
}

// rsaText returns the private JWK of rsaKey.
func rsaText(tb testing.TB, algorithm envelope.Algorithm, number int) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "rsa-keys.json"))
	must(tb, err)
	var keys []json.RawMessage
	must(tb, json.Unmarshal(text, &keys))
	for _, key := range keys {
		var stated struct{ Alg envelope.Algorithm }
		must(tb, json.Unmarshal(key, &stated))
		if stated.Alg != algorithm {
			continue
		}
		if number == 0 {
			return key
		}
		number--
	}
	tb.Fatalf("testdata holds too few keys for %s", algorithm)
	return nil
}

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

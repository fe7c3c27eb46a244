package access

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"
)

// maxBearer bounds a bearer token, in bytes. Those of Entra have two to five thousand.
const maxBearer = 16 << 10

// maxAudiences bounds the list of audiences.
const maxAudiences = 16

// Algorithms of signatures, RFC 7518, 3.1.
const (
	algRS256 = "RS256"
	algES256 = "ES256"
)

// bearer is a token taken apart; nothing in it has been verified.
type bearer struct {
	signed    string // what the signature is over
	signature []byte

	algorithm, keyID string

	issuer, principal  string
	audience           []string
	notBefore, expires time.Time
}

// parseBearer reads the compact form, RFC 7515, 7.1, and the claims that matter here. All of them must be there.
func parseBearer(token string) (*bearer, error) {
	if len(token) > maxBearer {
		return nil, fmt.Errorf("the token has more than %d bytes", maxBearer)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("the token has %d parts instead of 3", len(parts))
	}
	raw := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		// The decoder passes over line ends, which RFC 7515 does not.
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return nil, fmt.Errorf("part %d of the token is not base64url", i+1)
		}
	}
	t := &bearer{signed: parts[0] + "." + parts[1], signature: raw[2]}
	if err := t.header(raw[0]); err != nil {
		return nil, fmt.Errorf("the token's header: %w", err)
	}
	if err := t.claims(raw[1]); err != nil {
		return nil, fmt.Errorf("the token's claims: %w", err)
	}
	return t, nil
}

// header reads the JOSE header. Headers that would change how the token is to be read, or that bring a key along, are
// refused; those that only describe the key are passed over.
func (t *bearer) header(data []byte) error {
	h, err := object(data)
	if err != nil {
		return err
	}
	for _, name := range []string{"crit", "b64", "zip", "enc", "jwk", "jku", "x5c", "x5u"} {
		if _, there := h[name]; there {
			return fmt.Errorf("%q is not accepted", name)
		}
	}
	if _, there := h["typ"]; there {
		var kind string
		if err := member(h, "typ", &kind); err != nil {
			return err
		}
		if !strings.EqualFold(kind, "JWT") && !strings.EqualFold(kind, "at+jwt") {
			return errors.New("the type is not JWT")
		}
	}
	return errors.Join(member(h, "alg", &t.algorithm), member(h, "kid", &t.keyID))
}

func (t *bearer) claims(data []byte) error {
	c, err := object(data)
	if err != nil {
		return err
	}
	t.audience, err = audiences(c)
	return errors.Join(err,
		member(c, "iss", &t.issuer), member(c, "oid", &t.principal),
		moment(c, "nbf", &t.notBefore), moment(c, "exp", &t.expires))
}

// signedBy verifies the signature, with the algorithm that belongs to the key.
func (t *bearer) signedBy(key crypto.PublicKey) bool {
	digest := sha256.Sum256([]byte(t.signed))
	switch key := key.(type) {
	case *rsa.PublicKey:
		return t.algorithm == algRS256 && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) == nil
	case *ecdsa.PublicKey:
		const half = 32 // of a signature: R and S, each as long as the curve's order, RFC 7518, 3.4
		if t.algorithm != algES256 || len(t.signature) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:])
		return ecdsa.Verify(key, digest[:], r, s)
	}
	return false
}

// object reads a JSON object whose names are compared exactly and occur once: two parsers must not see two different
// tokens.
func object(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errors.New("not JSON in UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		text, _ := name.(string) // the decoder admits nothing else here
		if _, twice := members[text]; twice {
			return nil, fmt.Errorf("%q is there twice", text)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		members[text] = value
	}
	return members, nil
}

// member reads a text that must be there and not be empty.
func member(from map[string]json.RawMessage, name string, into *string) error {
	if err := json.Unmarshal(from[name], into); err != nil || *into == "" {
		return fmt.Errorf("%q is missing or no text", name)
	}
	return nil
}

// audiences reads "aud": a text or a list of texts, RFC 7519, 4.1.3.
func audiences(from map[string]json.RawMessage) ([]string, error) {
	var one string
	if member(from, "aud", &one) == nil {
		return []string{one}, nil
	}
	var list []string
	if err := json.Unmarshal(from["aud"], &list); err != nil || len(list) == 0 || len(list) > maxAudiences {
		return nil, errors.New(`"aud" is missing or no text or short list of texts`)
	}
	return list, nil
}

// latestMoment is the last second of the year 9999.
const latestMoment = 253402300799

// moment reads a NumericDate, RFC 7519, 2: seconds since 1970, here always whole ones.
func moment(from map[string]json.RawMessage, name string, into *time.Time) error {
	var seconds int64
	raw := from[name]
	if err := json.Unmarshal(raw, &seconds); err != nil || bytes.Equal(raw, []byte("null")) || seconds < 0 || seconds > latestMoment {
		return fmt.Errorf("%q is missing or no time in whole seconds", name)
	}
	*into = time.Unix(seconds, 0)
	return nil
}

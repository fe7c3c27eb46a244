package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Bounds of the tokens, in bytes.
const (
	// MaxToken is the greatest length of a request or result token.
	MaxToken = 64 << 10
	// maxSealedEntry bounds one sealed entry: a compact JWE.
	maxSealedEntry = 16 << 10
	// maxHeader bounds a decoded JOSE header.
	maxHeader = 1 << 10
)

var (
	errParts     = errors.New("wrong number of dot-separated parts")
	errBase64    = errors.New("not canonical base64url without padding")
	errOversized = fmt.Errorf("empty, or longer than %d bytes", MaxToken)
)

// decodeBase64 decodes base64url in its one canonical form. The standard decoder skips line ends and, unless told otherwise, ignores
// unused bits, so that many texts would stand for the same bytes.
func decodeBase64(text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, '\n') >= 0 {
		return nil, errBase64
	}
	decoded, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return nil, errBase64
	}
	return decoded, nil
}

// compactJWS is a compact JWS taken apart; nothing in it is verified.
type compactJWS struct {
	token     []byte
	header    object
	digest    writeback.Digest // SHA-256 of the signing input: what the signature covers, everything before the second dot
	payload   []byte           // base64url of the payload
	signature []byte
}

// splitJWS takes a token apart and reads its header.
func splitJWS(token []byte) (compactJWS, error) {
	if len(token) == 0 || len(token) > MaxToken {
		return compactJWS{}, errOversized
	}
	parts, err := splitParts(token, 3)
	if err != nil {
		return compactJWS{}, err
	}
	header, err := decodeHeader(parts[0])
	if err != nil {
		return compactJWS{}, err
	}
	signature, err := decodeBase64(parts[2])
	if err != nil {
		return compactJWS{}, fmt.Errorf("signature: %w", err)
	}
	return compactJWS{
		token: token, header: header, payload: parts[1], signature: signature,
		digest: sha256.Sum256(token[:len(parts[0])+1+len(parts[1])]),
	}, nil
}

// splitParts cuts a compact serialization at its dots. It stops at one part too many: a token of nothing but dots would take a megabyte.
func splitParts(text []byte, want int) ([][]byte, error) {
	parts := bytes.SplitN(text, []byte("."), want+1)
	if len(parts) != want {
		return nil, errParts
	}
	return parts, nil
}

// decodeHeader reads the first part of either token.
func decodeHeader(part []byte) (object, error) {
	if len(part) > base64.RawURLEncoding.EncodedLen(maxHeader) {
		return nil, errors.New("header: too long")
	}
	text, err := decodeBase64(part)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	header, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return header, nil
}

// jwsHeader is all a JWS header may say.
type jwsHeader struct{ typ, alg, kid string }

// readJWSHeader reads a header that must hold exactly typ, alg and kid, and a type that must be exactly the given one: RFC 7515 lets
// "application/" be left out or written, and any case; one spelling is enough for us.
func readJWSHeader(members object, typ string) (jwsHeader, error) {
	if name, found := members.stranger("typ", "alg", "kid"); found {
		return jwsHeader{}, fmt.Errorf("header: unknown member %.32q", name)
	}
	f := fields{members: members}
	header := jwsHeader{
		typ: f.text("typ", nameForm()), alg: f.text("alg", nameForm()), kid: f.text("kid", thumbprintForm()),
	}
	if f.fault == nil && header.typ != typ {
		f.fail("typ", fmt.Errorf("is not %q", typ))
	}
	if f.fault != nil {
		return jwsHeader{}, fmt.Errorf("header: %w", f.fault)
	}
	return header, nil
}

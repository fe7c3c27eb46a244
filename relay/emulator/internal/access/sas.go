package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
)

// Rights are what a key allows.
type Rights uint8

// The three rights of Service Bus. Manage includes the other two.
const (
	Send Rights = 1 << iota
	Listen
	Manage
)

// Include says whether r allows everything in want.
func (r Rights) Include(want Rights) bool {
	if r&Manage != 0 {
		r |= Send | Listen
	}
	return r&want == want
}

// Key is a shared access key.
type Key struct {
	Name   string
	Secret secret.Value
	Rights Rights
}

// Denied is a refusal with the status that put-token answers.
type Denied struct {
	Status int
	Text   string
}

// Error is the text.
func (d *Denied) Error() string { return d.Text }

// Unauthorized is a refusal of the token itself.
func Unauthorized(text string) *Denied { return &Denied{401, text} }

func expiredText(at time.Time) string {
	return "ExpiredToken: The token is expired. Expiration time: " + at.UTC().Format(time.RFC1123)
}

// Keys finds a key by name: among those of the entity named by path ("" for the namespace) and those above it.
type Keys func(path, name string) (Key, bool)

const sasPrefix = "SharedAccessSignature "

// LooksLikeSAS tells a SharedAccessSignature token from a bearer token.
func LooksLikeSAS(token string) bool { return strings.HasPrefix(token, sasPrefix) }

// VerifySAS checks a SharedAccessSignature token for an audience: signature, expiry, and that its scope covers the
// audience. The signature is over the scope as it stands in the token, still percent-encoded.
func VerifySAS(token, audience string, keys Keys, now time.Time) (Claim, error) {
	fields, ok := sasFields(token)
	if !ok {
		return Claim{}, Unauthorized("MalformedToken: The token is malformed.")
	}
	scopeURI, err := url.QueryUnescape(fields["sr"])
	if err != nil {
		return Claim{}, Unauthorized("MalformedToken: The token's resource is malformed.")
	}
	scope, target := ParseResource(scopeURI), ParseResource(audience)
	key, found := keys(scope.Path, fields["skn"])
	if !found || !signedBy(key, fields) {
		return Claim{}, Unauthorized("InvalidSignature: The token has an invalid signature.")
	}
	seconds, err := strconv.ParseInt(fields["se"], 10, 64)
	if err != nil {
		return Claim{}, Unauthorized("MalformedToken: The token's expiry is malformed.")
	}
	expires := time.Unix(seconds, 0)
	if !expires.After(now) {
		return Claim{}, Unauthorized(expiredText(expires))
	}
	if !scope.Covers(target) {
		return Claim{}, Unauthorized("InvalidAudience: The authorization header contains a token for another resource.")
	}
	return Claim{Resource: target, Rights: key.Rights, Expires: expires}, nil
}

// sasFields splits the token. Values stay encoded, except the key's name.
func sasFields(token string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(token, sasPrefix)
	if !ok {
		return nil, false
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, "&") {
		k, v, ok := strings.Cut(part, "=")
		if _, twice := fields[k]; !ok || twice {
			return nil, false
		}
		fields[k] = v
	}
	name, err := url.QueryUnescape(fields["skn"])
	if err != nil {
		return nil, false
	}
	fields["skn"] = name
	return fields, fields["sr"] != "" && fields["sig"] != "" && fields["se"] != ""
}

func signedBy(key Key, fields map[string]string) bool {
	unescaped, err := url.QueryUnescape(fields["sig"])
	if err != nil {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(unescaped)
	if err != nil {
		return false
	}
	var want []byte
	key.Secret.Use(func(k []byte) {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(fields["sr"] + "\n" + fields["se"]))
		want = mac.Sum(nil)
	})
	return hmac.Equal(got, want)
}

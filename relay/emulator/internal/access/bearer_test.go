package access_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
)

const issuerName = "https://sts.windows.net/tenant/"

// members are a token's header or claims. A value of nil leaves the member out.
type members map[string]any

func (m members) with(more members) members {
	out := members{}
	for _, part := range []members{m, more} {
		for k, v := range part {
			out[k] = v
			if v == nil {
				delete(out, k)
			}
		}
	}
	return out
}

func (m members) encode(t testing.TB) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goodHeader and goodClaims make a token that is accepted at epoch.
func goodHeader() members { return members{"typ": "JWT", "alg": "ES256", "kid": "ec"} }

func goodClaims() members {
	return members{
		"iss": issuerName, "aud": "https://servicebus.azure.net", "oid": "agent",
		"nbf": epoch.Unix(), "exp": epoch.Add(time.Hour).Unix(), "roles": []string{"not", "looked", "at"},
	}
}

// ecKey is always the same, so that fuzzing processes agree on which tokens are good.
func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte("a key for tests"))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// compact signs header and claims as they stand.
func compact(t testing.TB, key crypto.PrivateKey, header, claims string) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(header)) + "." + encode([]byte(claims))
	return signed + "." + encode(signature(t, key, signed))
}

func signature(t testing.TB, key crypto.PrivateKey, signed string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(signed))
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		b, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return b
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
	return nil
}

func wantDenied(t *testing.T, err error, text string) {
	t.Helper()
	denied, ok := errors.AsType[*access.Denied](err)
	if !ok || denied.Status != 401 || !strings.HasPrefix(denied.Text, text) {
		t.Errorf("%v, want 401 %s", err, text)
	}
}

func TestVerifyBearer(t *testing.T) {
	ec, other, rs := ecKey(t), newECKey(t, elliptic.P256()), rsaKey(t, 2048)
	issuers := []access.Issuer{
		{Name: "https://elsewhere/", Keys: map[string]crypto.PublicKey{"other": &other.PublicKey}},
		{Name: issuerName, Keys: map[string]crypto.PublicKey{"ec": &ec.PublicKey, "rs": &rs.PublicKey}},
	}
	rsPublic, err := json.Marshal(rs.N)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		key            crypto.PrivateKey
		header, claims members // beyond the good ones
		refused        string  // start of the text, "" for a good one
	}{
		{"ES256", ec, nil, nil, ""},
		{"RS256", rs, members{"alg": "RS256", "kid": "rs"}, nil, ""},
		{"slash after the audience", ec, nil, members{"aud": "https://servicebus.azure.net/"}, ""},
		{"several audiences", ec, nil, members{"aud": []string{"https://a", "https://servicebus.azure.net"}}, ""},
		{"access token", ec, members{"typ": "at+JWT"}, nil, ""},
		{"no type", ec, members{"typ": nil}, nil, ""},
		{"names of the key that mean nothing", ec, members{"x5t": "abc"}, nil, ""},
		{"last second", ec, nil, members{"exp": epoch.Unix() + 1}, ""},

		{"expired this second", ec, nil, members{"exp": epoch.Unix()}, "ExpiredToken"},
		{"not valid yet", ec, nil, members{"nbf": epoch.Unix() + 1}, "InvalidToken"},
		{"no expiry", ec, nil, members{"exp": nil}, "MalformedToken"},
		{"expiry null", ec, nil, members{"exp": json.RawMessage("null")}, "MalformedToken"},
		{"expiry as text", ec, nil, members{"exp": "1893456000"}, "MalformedToken"},
		{"expiry with a fraction", ec, nil, members{"exp": 1893456000.5}, "MalformedToken"},
		{"expiry never", ec, nil, members{"exp": int64(1) << 60}, "MalformedToken"},
		{"start before 1970", ec, nil, members{"nbf": -1}, "MalformedToken"},
		{"no start", ec, nil, members{"nbf": nil}, "MalformedToken"},

		{"other audience", ec, nil, members{"aud": "https://vault.azure.net"}, "InvalidAudience"},
		{"audience with two slashes", ec, nil, members{"aud": "https://servicebus.azure.net//"}, "InvalidAudience"},
		{"audience goes on", ec, nil, members{"aud": "https://servicebus.azure.net.evil.example"}, "InvalidAudience"},
		{"audience in capitals", ec, nil, members{"aud": "https://SERVICEBUS.azure.net"}, "InvalidAudience"},
		{"no audience", ec, nil, members{"aud": nil}, "MalformedToken"},
		{"empty list of audiences", ec, nil, members{"aud": []string{}}, "MalformedToken"},
		{"audience is a number", ec, nil, members{"aud": 1}, "MalformedToken"},
		{"a crowd of audiences", ec, nil, members{"aud": slices.Repeat([]string{"https://servicebus.azure.net"}, 17)}, "MalformedToken"},

		{"other issuer", ec, nil, members{"iss": "https://sts.windows.net/other/"}, "InvalidIssuer"},
		{"issuer without its slash", ec, nil, members{"iss": strings.TrimSuffix(issuerName, "/")}, "InvalidIssuer"},
		{"no issuer", ec, nil, members{"iss": nil}, "MalformedToken"},
		{"no principal", ec, nil, members{"oid": nil}, "MalformedToken"},
		{"empty principal", ec, nil, members{"oid": ""}, "MalformedToken"},
		{"claim in another case", ec, nil, members{"oid": nil, "OID": "agent"}, "MalformedToken"},

		{"another key's signature", other, nil, nil, "InvalidSignature"},
		{"key of another issuer", other, members{"kid": "other"}, nil, "InvalidSignature"},
		{"unknown key", ec, members{"kid": "?"}, nil, "InvalidSignature"},
		{"no key id", ec, members{"kid": nil}, nil, "MalformedToken"},
		{"no algorithm", ec, members{"alg": nil}, nil, "MalformedToken"},
		{"alg none", nil, members{"alg": "none"}, nil, "InvalidSignature"},
		{"alg none with a signature", ec, members{"alg": "none"}, nil, "InvalidSignature"},
		{"alg of another key", ec, members{"alg": "RS256"}, nil, "InvalidSignature"},
		{"alg of another hash", rs, members{"alg": "RS512", "kid": "rs"}, nil, "InvalidSignature"},
		{"alg in lower case", ec, members{"alg": "es256"}, nil, "InvalidSignature"},
		{"public key as an HMAC key", rsPublic, members{"alg": "HS256", "kid": "rs"}, nil, "InvalidSignature"},
		{"RSA signature for the EC key", rs, nil, nil, "InvalidSignature"},

		{"critical header", ec, members{"crit": []string{"x"}, "x": 1}, nil, "MalformedToken"},
		{"key in the token", ec, members{"jwk": members{}}, nil, "MalformedToken"},
		{"key by URL", ec, members{"jku": "https://evil.example"}, nil, "MalformedToken"},
		{"certificate in the token", ec, members{"x5c": []string{}}, nil, "MalformedToken"},
		{"other type", ec, members{"typ": "JWE"}, nil, "MalformedToken"},
		{"type is no text", ec, members{"typ": 1}, nil, "MalformedToken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := compact(t, tt.key, goodHeader().with(tt.header).encode(t), goodClaims().with(tt.claims).encode(t))
			got, err := access.VerifyBearer(token, issuers, epoch)
			if tt.refused != "" {
				wantDenied(t, err, tt.refused)
				return
			}
			if err != nil || got.Principal != "agent" || !got.Expires.After(epoch) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func newECKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestBearersOfTheWrongForm(t *testing.T) {
	key := ecKey(t)
	issuers := []access.Issuer{{Name: issuerName, Keys: map[string]crypto.PublicKey{"ec": &key.PublicKey}}}
	header, claims := goodHeader().encode(t), goodClaims().encode(t)
	good := compact(t, key, header, claims)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"nothing":                 "",
		"one part":                "a",
		"two parts":               parts[0] + "." + parts[1],
		"four parts":              good + "." + parts[2],
		"padding":                 parts[0] + "==." + parts[1] + "." + parts[2],
		"line end":                good + "\n",
		"line end within":         parts[0] + ".\r\n" + parts[1] + "." + parts[2],
		"standard alphabet":       "+/+/." + parts[1] + "." + parts[2],
		"bits after the end":      parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + "_",
		"bearer scheme":           "Bearer " + good,
		"too long":                compact(t, key, header, goodClaims().with(members{"pad": strings.Repeat("x", 16<<10)}).encode(t)),
		"header is a list":        compact(t, key, "["+header+"]", claims),
		"header is empty":         compact(t, key, "", claims),
		"claims are null":         compact(t, key, header, "null"),
		"claims twice":            compact(t, key, header, claims+claims),
		"claims end early":        compact(t, key, header, claims[:len(claims)-1]),
		"comma at the end":        compact(t, key, header, claims[:len(claims)-1]+",}"),
		"algorithm twice":         compact(t, key, `{"alg":"none",`+header[1:], claims),
		"algorithm twice, hidden": compact(t, key, `{"\u0061lg":"none",`+header[1:], claims),
		"principal twice":         compact(t, key, header, claims[:len(claims)-1]+`,"oid":"admin"}`),
		"not UTF-8":               compact(t, key, header, strings.Replace(claims, "agent", "agent\xff", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := access.VerifyBearer(token, issuers, epoch)
			wantDenied(t, err, "MalformedToken")
		})
	}
}

func TestSignaturesOfTheWrongForm(t *testing.T) {
	key := ecKey(t)
	issuers := []access.Issuer{{Name: issuerName, Keys: map[string]crypto.PublicKey{"ec": &key.PublicKey}}}
	good := compact(t, key, goodHeader().encode(t), goodClaims().encode(t))
	if _, err := access.VerifyBearer(good, issuers, epoch); err != nil {
		t.Fatalf("the good token: %v", err)
	}
	signed := good[:strings.LastIndexByte(good, '.')]
	raw := signature(t, key, signed)
	short := raw
	for short[32] != 0 {
		short = signature(t, key, signed)
	}
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	order := key.Params().N
	r := new(big.Int).SetBytes(raw[:32])
	for name, sig := range map[string][]byte{
		"empty": {}, "DER": der, "too short": raw[:63], "too long": append([]byte{0}, raw...), "zeros": make([]byte, 64),
		"without a leading zero": append(slices.Clone(short[:32]), short[33:]...),
		"halves exchanged":       append(slices.Clone(raw[32:]), raw[:32]...),
		"order and zero":         append(order.FillBytes(make([]byte, 32)), make([]byte, 32)...),
		"R alone":                append(r.FillBytes(make([]byte, 32)), make([]byte, 32)...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := access.VerifyBearer(signed+"."+base64.RawURLEncoding.EncodeToString(sig), issuers, epoch)
			wantDenied(t, err, "InvalidSignature")
		})
	}
}

func TestCheckSigningKey(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	for name, tt := range map[string]struct {
		key  crypto.PublicKey
		good bool
	}{
		"P-256":        {&ecKey(t).PublicKey, true},
		"RSA 2048":     {&rsaKey(t, 2048).PublicKey, true},
		"P-384":        {&newECKey(t, elliptic.P384()).PublicKey, false},
		"RSA 1024":     {weak, false},
		"RSA, empty":   {&rsa.PublicKey{}, false},
		"RSA, nil":     {(*rsa.PublicKey)(nil), false},
		"ECDSA, nil":   {(*ecdsa.PublicKey)(nil), false},
		"Ed25519":      {ed, false},
		"private key":  {ecKey(t), false},
		"shared key":   {[]byte("secret"), false},
		"nothing":      {nil, false},
		"key by value": {ecKey(t).PublicKey, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := access.CheckSigningKey(tt.key); (err == nil) != tt.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	grants := []access.Grant{
		{Principal: "agent", Path: "requests", Rights: access.Listen},
		{Principal: "agent", Path: "results", Rights: access.Send},
		{Principal: "agent", Path: "results", Rights: access.Listen},
		{Principal: "owner", Rights: access.Manage},
	}
	for _, tt := range []struct {
		principal, audience string
		want                access.Rights
	}{
		{"agent", "amqps://ns/requests", access.Listen},
		{"agent", "amqps://ns/Requests/$management", access.Listen},
		{"agent", "amqps://ns/requests2", 0},
		{"agent", "amqps://ns/results", access.Send | access.Listen},
		{"agent", "amqps://ns/", 0},
		{"owner", "amqps://ns/requests", access.Manage},
		{"owner", "amqps://ns/", access.Manage},
		{"Agent", "amqps://ns/requests", 0},
		{"", "amqps://ns/requests", 0},
	} {
		b := access.Bearer{Principal: tt.principal, Expires: epoch}
		want := access.Claim{Resource: access.ParseResource(tt.audience), Rights: tt.want, Expires: epoch}
		if diff := cmp.Diff(want, b.Claim(tt.audience, grants)); diff != "" {
			t.Errorf("%s for %s (-want +got):\n%s", tt.principal, tt.audience, diff)
		}
	}
}

// FuzzVerifyBearer gives arbitrary text for a token: it must never be accepted unless what was signed is one of the two
// that the test itself has signed, and reading it must not take memory out of proportion.
func FuzzVerifyBearer(f *testing.F) {
	key := ecKey(f)
	issuers := []access.Issuer{{Name: issuerName, Keys: map[string]crypto.PublicKey{"ec": &key.PublicKey}}}
	header, claims := goodHeader().encode(f), goodClaims().encode(f)
	good := []string{compact(f, key, header, claims), compact(f, key, header, goodClaims().with(members{"x": []int{1}}).encode(f))}
	for _, token := range good {
		f.Add(token)
		f.Add(strings.Replace(token, ".", "..", 1))
		f.Add(token[:len(token)-1] + "A")
		f.Add(token[1:])
	}
	f.Add(compact(f, nil, `{"alg":"none","kid":"ec"}`, claims))
	f.Add(compact(f, key, `{"alg":"ES256","kid":"ec","\u0061lg":"none"}`, claims))
	f.Add(compact(f, key, header, fmt.Sprintf(`{"aud":%s1%s}`, strings.Repeat("[", 5000), strings.Repeat("]", 5000))))
	signed := func(token string) string { return token[:strings.LastIndexByte(token, '.')+1] }
	f.Fuzz(func(t *testing.T, token string) {
		got, err := access.VerifyBearer(token, issuers, epoch)
		if err != nil {
			wantDenied(t, err, "")
			return
		}
		if !slices.ContainsFunc(good, func(g string) bool { return signed(g) == signed(token) }) || got.Principal != "agent" {
			t.Errorf("accepted %q as %+v", token, got)
		}
	})
}

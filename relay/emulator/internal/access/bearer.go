package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"time"
)

// BearerAudience is what a bearer token must be for, in its claim "aud": the service as a whole. A slash may follow.
const BearerAudience = "https://servicebus.azure.net"

// Issuer is who signs bearer tokens. The key decides the algorithm, never the token.
type Issuer struct {
	// Name is the claim "iss", compared exactly.
	Name string
	// Keys by "kid"; only those that CheckSigningKey accepts.
	Keys map[string]crypto.PublicKey
}

// minRSABits is the least RFC 7518, 3.3, allows for RS256.
const minRSABits = 2048

// CheckSigningKey says what is wrong with a key to verify tokens with: it must be an RSA key of 2048 bits or more
// (RS256) or an ECDSA key on P-256 (ES256).
func CheckSigningKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key == nil || key.N == nil || key.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key needs %d bits", minRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if key == nil || key.Curve != elliptic.P256() {
			return errors.New("an ECDSA key must be on P-256")
		}
		return nil
	}
	return fmt.Errorf("%T is neither an RSA nor an ECDSA public key", key)
}

// Bearer is what a bearer token proves: who its holder is, not what the holder may do.
type Bearer struct {
	// Principal is the claim "oid": the object id of a user, an application or a managed identity.
	Principal string
	Expires   time.Time
}

// VerifyBearer checks a JSON Web Token as RFC 7519, 7.2, and RFC 8725 want it: form, issuer, signature by one of the
// issuer's keys with the algorithm of that key, audience, and that now is within "nbf" and "exp", both of which must be
// there. No leeway is given to clocks.
func VerifyBearer(token string, issuers []Issuer, now time.Time) (Bearer, error) {
	t, err := parseBearer(token)
	if err != nil {
		return Bearer{}, Unauthorized("MalformedToken: " + err.Error())
	}
	issuer, known := findIssuer(issuers, t.issuer)
	if !known {
		return Bearer{}, Unauthorized("InvalidIssuer: The token's issuer is not trusted.")
	}
	key, known := issuer.Keys[t.keyID]
	if !known || !t.signedBy(key) {
		return Bearer{}, Unauthorized("InvalidSignature: The token has an invalid signature.")
	}
	if !t.isFor(BearerAudience) {
		return Bearer{}, Unauthorized("InvalidAudience: The token is for another audience.")
	}
	switch {
	case !t.expires.After(now):
		return Bearer{}, Unauthorized(expiredText(t.expires))
	case t.notBefore.After(now):
		return Bearer{}, Unauthorized("InvalidToken: The token is not valid yet.")
	}
	return Bearer{Principal: t.principal, Expires: t.expires}, nil
}

func findIssuer(issuers []Issuer, name string) (Issuer, bool) {
	for _, i := range issuers {
		if i.Name == name {
			return i, true
		}
	}
	return Issuer{}, false
}

// isFor says whether one of the token's audiences is the wanted one.
func (t *bearer) isFor(want string) bool {
	for _, a := range t.audience {
		if strings.TrimSuffix(a, "/") == want {
			return true
		}
	}
	return false
}

// Grant lets a principal do something with an entity and all below it.
type Grant struct {
	Principal string
	Path      string // in lower case; "" for the whole namespace
	Rights    Rights
}

// Claim is what the bearer may do with the resource named by audience: all that the grants together allow, which may be
// nothing.
func (b Bearer) Claim(audience string, grants []Grant) Claim {
	c := Claim{Resource: ParseResource(audience), Expires: b.Expires}
	for _, g := range grants {
		if g.Principal == b.Principal && covers(g.Path, c.Resource.Path) {
			c.Rights |= g.Rights
		}
	}
	return c
}

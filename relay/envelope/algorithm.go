package envelope

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
)

// Use says what a key is for. A key has one use only.
type Use string

// The uses, named as in RFC 7517.
const (
	UseSign Use = "sig" // signs requests (portals) or results (agents)
	UseSeal Use = "enc" // opens what is sealed for an agent
)

// Algorithm is the JWA name (RFC 7518) of the one algorithm a key admits.
type Algorithm string

// The algorithms. Suite ec-1 is ES256 and ECDHES; suite rsa-1 is ES256 or PS256, and RSAOAEP256. A request may mix them: the signature
// goes by the portal's key, each sealed entry by the agent's.
const (
	ES256      Algorithm = "ES256"        // ECDSA on P-256 with SHA-256
	PS256      Algorithm = "PS256"        // RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 bytes; RSA of 3072 or 4096 bits
	ECDHES     Algorithm = "ECDH-ES"      // key agreement on P-256, direct, with A256GCM
	RSAOAEP256 Algorithm = "RSA-OAEP-256" // RSA-OAEP with SHA-256 and MGF1 with SHA-256, with A256GCM; RSA of 3072 or 4096 bits
)

// algorithm is one row of the suites: all that differs from one algorithm to the next. Another suite is two more rows.
type algorithm struct {
	name Algorithm
	use  Use
	// The members of the public and, beside them, of the private JWK besides kid, use and alg; check judges a parsed public key, match whether
	// a private key's halves belong together, which go-jose does not look at.
	members []string
	private []string
	// the length in bytes of the members that are coordinates; 0 where they are numbers as short as they can be.
	coordinate int
	check      func(public any) error
	match      func(private any) error
	// generate makes a private key that go-jose can hold.
	generate func() (any, error)
	// signing only: whether a signature of a SHA-256 digest is good.
	verify func(public any, digest, signature []byte) bool
	// sealing only: the JWE header's members, the private key as open takes it, the length of the encrypted key, and how to find the content key.
	header       []string
	ready        func(private any) (any, error)
	encryptedKey func(public any) int
	open         func(private any, header object, encryptedKey []byte) (contentKey []byte, err error)
}

// algorithms are the rows of the suites; never changed at run time.
//
//archtest:table
var algorithms = [...]algorithm{
	{
		name: ES256, use: UseSign,
		members: []string{"kty", "crv", "x", "y"}, private: []string{"d"}, coordinate: 32, check: checkP256, match: matchP256, generate: generateP256,
		verify: verifyES256,
	},
	{
		name: ECDHES, use: UseSeal,
		members: []string{"kty", "crv", "x", "y"}, private: []string{"d"}, coordinate: 32, check: checkP256, match: matchP256, generate: generateP256,
		header: []string{"alg", "enc", "kid", "cty", "epk"}, ready: readyECDH, encryptedKey: noEncryptedKey, open: agree,
	},
	{
		name: PS256, use: UseSign,
		members: []string{"kty", "n", "e"}, private: rsaPrivate(), check: checkRSA, match: matchRSA, generate: generateRSA,
		verify: verifyPS256,
	},
	{
		name: RSAOAEP256, use: UseSeal,
		members: []string{"kty", "n", "e"}, private: rsaPrivate(), check: checkRSA, match: matchRSA, generate: generateRSA,
		header: []string{"alg", "enc", "kid", "cty"}, ready: readyRSA, encryptedKey: sizeRSA, open: unwrap,
	},
}

// lookup finds the row of an algorithm.
func lookup(name Algorithm) (algorithm, bool) {
	for _, row := range algorithms {
		if row.name == name {
			return row, true
		}
	}
	return algorithm{}, false
}

var errNotP256 = errors.New("not a point on P-256")

// checkP256 accepts a public key on P-256.
func checkP256(public any) error {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return errNotP256
	}
	if _, err := key.ECDH(); err != nil {
		return errNotP256
	}
	return nil
}

// matchP256 accepts a private key whose public half is its own: with another one every signature would be refused, and nobody would see why.
func matchP256(private any) error {
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok {
		return errNotP256
	}
	own, err := key.ECDH()
	if err != nil {
		return errNotP256
	}
	stated, err := key.PublicKey.ECDH()
	if err != nil || !own.PublicKey().Equal(stated) {
		return errors.New("the private and the public half do not belong together")
	}
	return nil
}

func generateP256() (any, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// noEncryptedKey is the length of the encrypted key where the content key is agreed on directly.
func noEncryptedKey(any) int { return 0 }

// readEphemeral reads the sender's one-time key from a JWE header. crypto/ecdh refuses points that are not on the curve, which is what
// keeps an invalid-curve attack from learning the private key bit by bit.
func readEphemeral(header object) (*ecdh.PublicKey, error) {
	outer := fields{members: header}
	epk := outer.object("epk")
	if outer.fault != nil {
		return nil, outer.fault
	}
	if _, found := epk.members.stranger("kty", "crv", "x", "y"); found {
		return nil, errors.New("epk: unknown member")
	}
	return readPoint(epk)
}

// readPoint reads kty, crv, x and y of a P-256 key (RFC 7518 section 6.2.1).
func readPoint(f *fields) (*ecdh.PublicKey, error) {
	coordinate := form{43, 43, areURLSafe}
	kty, crv := f.text("kty", nameForm()), f.text("crv", nameForm())
	x, y := f.text("x", coordinate), f.text("y", coordinate)
	if f.fault != nil {
		return nil, f.fault
	}
	if kty != "EC" || crv != "P-256" {
		return nil, errNotP256
	}
	point := []byte{4} // uncompressed (SEC 1)
	for _, text := range []string{x, y} {
		bytes, err := decodeBase64([]byte(text))
		if err != nil {
			return nil, err
		}
		point = append(point, bytes...)
	}
	key, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, errNotP256
	}
	return key, nil
}

package envelope

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
)

const (
	// rsaBits is the size of the RSA keys we make: about the strength of P-256 (NIST SP 800-57 part 1, table 2).
	rsaBits = 3072
	// rsaBitsMore is the other size we take, for keys that a hardware store made. Smaller ones are too weak, greater ones only slow.
	rsaBitsMore = 4096
	// rsaExponent is the only public exponent we take: small ones weaken what is done carelessly elsewhere, great ones make every
	// verification slow.
	rsaExponent = 65537
)

var (
	errNotRSA  = errors.New("not an RSA key of 3072 or 4096 bits with the exponent 65537")
	errRSAPair = errors.New("the private and the public half do not belong together")
)

// rsaPrivate lists the members that a private JWK needs beside the public ones (RFC 7518 section 6.3.2). All of them: without the primes and
// the numbers derived from them every operation takes four times as long.
func rsaPrivate() []string { return []string{"d", "p", "q", "dp", "dq", "qi"} }

// checkRSA accepts a public RSA key of a size we take.
func checkRSA(public any) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok || key.E != rsaExponent || key.N.Bit(0) == 0 {
		return errNotRSA
	}
	if bits := key.N.BitLen(); bits != rsaBits && bits != rsaBitsMore {
		return errNotRSA
	}
	return nil
}

// matchRSA accepts a private key of two primes whose parts all belong together: with a wrong one a signature could give a prime away. It makes the
// key ready for use, which would otherwise be done anew for every message. go-jose has looked at the parts of a key that was read; they are
// looked at again because Precompute tells nobody that it failed.
func matchRSA(private any) error {
	key, ok := private.(*rsa.PrivateKey)
	if !ok || len(key.Primes) != 2 {
		return errNotRSA
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return errRSAPair
	}
	return nil
}

func generateRSA() (any, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }

func readyRSA(private any) (any, error) {
	key, ok := private.(crypto.Decrypter) // an *rsa.PrivateKey, or one that is held elsewhere
	if !ok {
		return nil, errNotRSA
	}
	return key, nil
}

// sizeRSA is the length in bytes of whatever is encrypted with a key.
func sizeRSA(public any) int {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return -1
	}
	return key.Size()
}

// unwrap finds the content key of RSA-OAEP-256 (RFC 7518 section 4.3). Where there is none, a random one takes its place, as RFC 7516 section 11.5
// asks: the content then does not decrypt, as with any wrong key, and neither answer nor time tells the sender whether the padding was good,
// which would let him decrypt what others sealed for this key (Manger 2001). crypto/rsa itself takes the padding off in constant time.
func unwrap(private any, _ object, encryptedKey []byte) ([]byte, error) {
	key, ok := private.(crypto.Decrypter)
	if !ok {
		return nil, errNotRSA
	}
	instead := make([]byte, contentKeySize)
	_, _ = rand.Read(instead) // crypto/rand.Read never fails (Go 1.24)
	found, err := key.Decrypt(nil, encryptedKey, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || len(found) != contentKeySize {
		clear(found)
		return instead, nil
	}
	return found, nil
}

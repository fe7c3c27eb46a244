package kerberos_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// The hash of the certificate is that of its signature, never a broken one (RFC 5929 4.1).
func TestEndPoint(t *testing.T) {
	raw := []byte("a certificate")
	sum256, sum384, sum512 := sha256.Sum256(raw), sha512.Sum384(raw), sha512.Sum512(raw)
	for signature, want := range map[x509.SignatureAlgorithm][]byte{
		x509.MD5WithRSA: sum256[:], x509.SHA1WithRSA: sum256[:], x509.ECDSAWithSHA1: sum256[:],
		x509.SHA256WithRSA: sum256[:], x509.SHA256WithRSAPSS: sum256[:], x509.ECDSAWithSHA256: sum256[:],
		x509.SHA384WithRSA: sum384[:], x509.SHA384WithRSAPSS: sum384[:], x509.ECDSAWithSHA384: sum384[:],
		x509.SHA512WithRSA: sum512[:], x509.SHA512WithRSAPSS: sum512[:], x509.ECDSAWithSHA512: sum512[:],
	} {
		got, err := kerberos.EndPoint(&x509.Certificate{Raw: raw, SignatureAlgorithm: signature})
		if err != nil || string(got) != "tls-server-end-point:"+string(want) {
			t.Errorf("%v: %x, %v", signature, got, err)
		}
	}
	for _, signature := range []x509.SignatureAlgorithm{x509.PureEd25519, x509.UnknownSignatureAlgorithm, x509.MD2WithRSA} {
		if got, err := kerberos.EndPoint(&x509.Certificate{Raw: raw, SignatureAlgorithm: signature}); err == nil {
			t.Errorf("%v: %x, want no binding", signature, got)
		}
	}
}

// SEC_CHANNEL_BINDINGS: initiator and acceptor (type, length, offset) are empty, then length and offset of the data.
func TestWindowsBinding(t *testing.T) {
	const want = "000000000000000000000000" + "000000000000000000000000" + "03000000" + "20000000" + "783a79"
	if diff := cmp.Diff(want, hex.EncodeToString(kerberos.Binding("x:y").Windows())); diff != "" {
		t.Errorf("structure (-want +got):\n%s", diff)
	}
}

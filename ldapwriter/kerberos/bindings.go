package kerberos

import (
	"crypto"
	"crypto/md5" //nolint:gosec // RFC 4121 4.1.1.2 prescribes it; what is bound is a SHA-2 hash
	"crypto/x509"
	"encoding/binary"
	"fmt"
)

// Binding is the application data of a channel binding: a name, a colon and what identifies the channel.
type Binding []byte

// EndPoint returns the tls-server-end-point binding of a connection whose server showed certificate (RFC 5929 4.1): the hash of the
// certificate by the hash function of its signature, SHA-256 in place of MD5 and SHA-1. It is the same in TLS 1.2 and 1.3 and fails for
// signatures without a hash function of their own, for which the RFC defines none.
func EndPoint(certificate *x509.Certificate) (Binding, error) {
	function, err := bindingHash(certificate.SignatureAlgorithm)
	if err != nil {
		return nil, err
	}
	hash := function.New()
	hash.Write(certificate.Raw)
	return hash.Sum(Binding("tls-server-end-point:")), nil
}

func bindingHash(signature x509.SignatureAlgorithm) (crypto.Hash, error) {
	switch signature {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.DSAWithSHA256, x509.ECDSAWithSHA256:
		return crypto.SHA256, nil
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		return crypto.SHA384, nil
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("no channel binding is defined for a certificate signed by %v", signature)
}

// gss returns the hash of gss_channel_bindings_struct without addresses (RFC 4121 4.1.1.2): five 32-bit numbers, of which only the
// last, the length of the data, is not zero.
func (b Binding) gss() [md5.Size]byte {
	content := make([]byte, 20, 20+len(b))
	binary.LittleEndian.PutUint32(content[16:], uint32(len(b)))
	return md5.Sum(append(content, b...)) //nolint:gosec // see the import
}

// Windows returns the binding as a SEC_CHANNEL_BINDINGS structure, as SSPI takes it: eight 32-bit numbers, of which the last two
// are length and offset of the data, and the data.
func (b Binding) Windows() []byte {
	const header = 32
	content := make([]byte, header, header+len(b))
	binary.LittleEndian.PutUint32(content[24:], uint32(len(b)))
	binary.LittleEndian.PutUint32(content[28:], header)
	return append(content, b...)
}

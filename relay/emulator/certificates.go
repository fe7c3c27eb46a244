package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Certificates are a private certificate authority and the one server certificate it has issued. Both live in memory
// for a day; the authority's key is forgotten as soon as it has signed, so nobody can issue another certificate.
type Certificates struct {
	authority *x509.Certificate
	server    tls.Certificate
}

// Lifetime of certificates. They start an hour early, for clients whose clock is behind.
const (
	certificateLife  = 24 * time.Hour
	certificateEarly = time.Hour
)

// NewCertificates makes a server certificate for hosts: DNS names and IP addresses, at least one. It must carry the
// name that clients ask for, which for the SDK is the namespace's host name even when it connects to a custom endpoint.
func NewCertificates(hosts ...string) (*Certificates, error) {
	if len(hosts) == 0 {
		return nil, errors.New("emulator: a certificate needs a host name")
	}
	authority, authorityKey, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("emulator: certificate authority: %w", err)
	}
	server, err := issue(authority, authorityKey, hosts)
	if err != nil {
		return nil, fmt.Errorf("emulator: server certificate for %q: %w", hosts, err)
	}
	return &Certificates{authority, server}, nil
}

// ServerTLS is what ServeTLS and ServeHTTPS need.
func (c *Certificates) ServerTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.server}, MinVersion: tls.VersionTLS12}
}

// RootCAs is a pool with the authority alone, for a client's tls.Config.
func (c *Certificates) RootCAs() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.authority)
	return pool
}

// AuthorityPEM is the authority's certificate for clients in other processes, which read it from a file.
func (c *Certificates) AuthorityPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.authority.Raw})
}

func newAuthority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Service Bus emulator CA"},
		NotBefore: now.Add(-certificateEarly), NotAfter: now.Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

func issue(authority *x509.Certificate, authorityKey *ecdsa.PrivateKey, hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: hosts[0]},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

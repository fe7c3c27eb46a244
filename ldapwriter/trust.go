package ldapwriter

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/password-writeback/writeback/internal/writeback"
)

// pinPrefix begins every pin; the rest is the base64 of a SHA-256, as in RFC 7469 section 2.4.
const pinPrefix = "sha256/"

// trust says which certificate a controller must present. Go verifies every one of them: a pin only decides what is verified against.
type trust struct {
	name  string // the certificate must carry it, unless a pin matches
	exact bool   // as it is: a wildcard above it does not count
	roots func() (*x509.CertPool, error)
	pins  []string

	mu     sync.Mutex
	pinned *x509.Certificate // the one that matched a pin last
}

// newTrust returns what a controller must prove. A name from DNS proves nothing, so a discovered one must show the domain's; one that
// is listed shows the host name it is listed by.
func newTrust(domain DomainConfig, address string) *trust {
	name, _, _ := net.SplitHostPort(address) // checked, or made, by us
	discovered := domain.Discovery != nil
	if discovered {
		name = domain.Name
	}
	roots := domain.ReadRootCAs
	if roots == nil {
		roots = func() (*x509.CertPool, error) { return domain.RootCAs, nil }
	}
	return &trust{name: name, exact: discovered, roots: roots, pins: domain.Pins}
}

// config returns how the next connection verifies the controller.
func (t *trust) config() (*tls.Config, error) {
	if len(t.pins) > 0 {
		return t.pinConfig(), nil
	}
	roots, err := t.roots()
	config := &tls.Config{RootCAs: roots, ServerName: t.name, MinVersion: tls.VersionTLS12}
	if t.exact {
		config.VerifyConnection = t.carries
	}
	return config, err
}

// carries asks, beside what Go has verified, for the domain's own name: *.example.com is on many a web server, and covers corp.example.com.
func (t *trust) carries(state tls.ConnectionState) error {
	shown := state.PeerCertificates[0]
	if slices.ContainsFunc(shown.DNSNames, func(name string) bool { return strings.EqualFold(name, t.name) }) {
		return nil
	}
	return x509.HostnameError{Certificate: shown, Host: t.name}
}

// pinConfig trusts nothing but the pinned certificate; while none was seen, nothing at all.
func (t *trust) pinConfig() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: t.name, MinVersion: tls.VersionTLS12}
	if t.pinned != nil {
		config.RootCAs.AddCert(t.pinned)
		config.ServerName = ownName(t.pinned)
	}
	return config
}

// learn looks at the certificate of a handshake that was refused. Where a pin names its key and it is not the one that was tried, it is
// the only root of the next try, which is then verified in full: dates, use, name, and that the controller holds the key.
func (t *trust) learn(err error) (again bool, _ error) {
	var refused *tls.CertificateVerificationError
	if len(t.pins) == 0 || !errors.As(err, &refused) || len(refused.UnverifiedCertificates) == 0 {
		return false, err
	}
	leaf := refused.UnverifiedCertificates[0]
	if shown := Pin(leaf); !slices.Contains(t.pins, shown) {
		return false, &pinError{shown: shown}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pinned != nil && t.pinned.Equal(leaf) {
		return false, err
	}
	t.pinned = leaf
	return true, nil
}

// ownName is a name that a certificate carries, in the form Go compares it in; empty where it carries none, which Go refuses.
func ownName(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return strings.Replace(c.DNSNames[0], "*", "controller", 1)
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return "pinned.invalid"
}

// Pin returns the pin of a certificate's key: "sha256/" and the base64 of the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 section
// 2.4). It stays the same when the certificate is renewed with the same key.
func Pin(c *x509.Certificate) string {
	digest := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(digest[:])
}

// checkPin reports what is wrong with the text of a pin.
func checkPin(pin string) error {
	encoded, prefixed := strings.CutPrefix(pin, pinPrefix)
	digest, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !prefixed || err != nil || len(digest) != sha256.Size {
		return fmt.Errorf("pin %q is not sha256/ and the base64 of 32 bytes", pin)
	}
	return nil
}

// pinError is a certificate that no pin names.
type pinError struct{ shown string }

func (e *pinError) Error() string {
	return "the controller's certificate has the pin " + e.shown + ", which is not among the configured ones"
}

// dialFailure gives the failure to connect its reason and a hint that names the remedy.
func dialFailure(err error) error {
	var typed *writeback.Error
	if errors.As(err, &typed) {
		return err
	}
	hint := connectionHint(err)
	var foreign *pinError
	if errors.As(err, &foreign) {
		hint = "The controller shows another certificate than the pinned ones. If it was renewed on purpose, add its pin to domains[].pins: " + foreign.shown
	}
	return &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: hint, Cause: err}
}

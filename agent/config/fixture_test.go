package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/config"
)

// minimal is the least that loads; the tests change single lines of it.
const minimal = `version: 1
group: corp
agent: a1
relay:
  connection_string_file: relay.secret
domains:
  - name: corp.example.com
    controllers: [dc1.corp.example.com]
    bind:
      user: svc@corp.example.com
      password_file: bind.secret
    scope:
      include: ["OU=Staff,DC=corp,DC=example,DC=com"]
issuers:
  - id: portal
    keys: [portal.jwk]
status:
  group: ""
`

// installation makes a folder with the files minimal names.
func installation(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "relay.secret", "Endpoint=sb://localhost/;SharedAccessKeyName=agent;SharedAccessKey=k\n", 0o600)
	put(t, dir, "bind.secret", "bind-password\n", 0o600)
	put(t, dir, "portal.jwk", "{}", 0o644)
	put(t, dir, "other.jwk", "{ }", 0o644)
	put(t, dir, "root.pem", certificate(t), 0o644)
	return dir
}

func put(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask must not decide what is tested
		t.Fatal(err)
	}
	return path
}

// load writes text as the configuration of the installation in dir and loads it.
func load(t *testing.T, dir, text string) (*config.Config, error) {
	t.Helper()
	return config.Load(put(t, dir, "config.yaml", text, 0o644))
}

// faultsOf returns the faults in err, and fails the test when err is of another kind.
func faultsOf(t *testing.T, err error) []config.Fault {
	t.Helper()
	if err == nil {
		return nil
	}
	var faults *config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Load failed with %T: %v", err, err)
	}
	return faults.List
}

// with replaces one line of minimal, or fails the test.
func with(t *testing.T, old, replacement string) string {
	t.Helper()
	if strings.Count(minimal, old) != 1 {
		t.Fatalf("%q stands %d times in the minimal configuration", old, strings.Count(minimal, old))
	}
	return strings.Replace(minimal, old, replacement, 1)
}

// certificate returns a self-signed certificate as PEM.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

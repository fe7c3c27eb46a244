package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
)

// Bounds of the files a configuration names.
const (
	maxSecretSize = 64 << 10
	maxKeySize    = 64 << 10
	maxCASize     = 4 << 20 // a system's whole bundle is a quarter of a MiB
)

// fileError is a file that is there but not as it must be.
type fileError struct{ problem, remedy string }

func (e *fileError) Error() string { return e.problem }

// access is a rule about who else may touch a file: nil, or what is wrong.
type access func(path string, info fs.FileInfo) *fileError

// ReadSecret reads a secret file: at most 64 KiB, one trailing newline removed, never empty. On unix it refuses a file that
// others than its owner may read; on Windows the file may be protected by internal/dpapi, which its first bytes say. Errors never repeat the path, which may be a secret in the wrong place; the caller names
// the field. The caller destroys the secret.
func ReadSecret(path string) (secret.Value, error) {
	value, err := readSecret(path)
	if err != nil {
		return secret.Value{}, errors.New(explain(err))
	}
	return value, nil
}

func readSecret(path string) (secret.Value, error) {
	content, err := readHidden(path)
	if err != nil {
		return secret.Value{}, err
	}
	trimmed := trimNewline(content)
	if len(trimmed) == 0 {
		return secret.Value{}, &fileError{"the secret file is empty", "Write the secret into it, as a single line."}
	}
	return secret.New(trimmed), nil
}

// readHidden reads what stands in a file that holds a secret, or what was protected to stand in it.
func readHidden(path string) ([]byte, error) {
	content, err := readBounded(path, maxSecretSize, private)
	if err != nil || !dpapi.IsProtected(content) {
		return content, err
	}
	plain, err := dpapi.Unprotect(secret.New(content), dpapi.Configuration)
	if err != nil {
		return nil, unprotectable(err)
	}
	defer plain.Destroy()
	return plain.Reveal(), nil
}

// unprotectable names the remedy for a protected file that does not open.
func unprotectable(err error) *fileError {
	const again = `Protect the secret again, on this host: writeback-agent secrets protect FILE`
	switch {
	case errors.Is(err, dpapi.ErrNotWindows):
		return &fileError{
			"the secret file is protected for a Windows host (DPAPI)",
			"Write the secret itself into a file with mode 0600, or hand it over as a systemd credential (credential:NAME).",
		}
	case errors.Is(err, dpapi.ErrDamaged):
		return &fileError{"the protected secret file (DPAPI) is damaged", again}
	}
	return &fileError{"the protected secret file does not open: " + err.Error(), again}
}

// ReadKeytab reads a keytab as [ReadSecret] reads a secret, every byte of it. The caller destroys it.
func ReadKeytab(path string) (secret.Value, error) {
	value, err := readKeytab(path)
	if err != nil {
		return secret.Value{}, errors.New(explain(err))
	}
	return value, nil
}

func readKeytab(path string) (secret.Value, error) {
	content, err := readHidden(path)
	if err == nil && len(content) == 0 {
		err = &fileError{"the keytab is empty", "Make it anew: docs/operations.md shows how."}
	}
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New(content), nil
}

// ReadKrb5Conf reads a krb5.conf, which holds no secret, but decides whom the agent asks for tickets.
func ReadKrb5Conf(path string) (string, error) {
	content, err := readBounded(path, maxKeySize, worldWritable)
	return string(content), err
}

// trimNewline removes the one line end an editor adds; further ones may belong to the secret.
func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
		if n = len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
	}
	return b
}

// ReadCAFile reads a PEM file of certificates, which become the only roots that are trusted.
func ReadCAFile(path string) (*x509.CertPool, error) {
	content, err := readBounded(path, maxCASize, worldWritable)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	count := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, &fileError{
				fmt.Sprintf("the file holds a block %q, not only certificates", block.Type),
				"Keep only the blocks that begin with -----BEGIN CERTIFICATE-----.",
			}
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &fileError{"the file holds a damaged certificate: " + err.Error(), "Export the CA's certificate again, as PEM (Base-64 encoded X.509)."}
		}
		pool.AddCert(certificate)
		count++
	}
	if count == 0 {
		return nil, &fileError{"the file holds no certificate in PEM form", "Export the CA's certificate as PEM (Base-64 encoded X.509), not as DER or PKCS #12."}
	}
	return pool, nil
}

// readBounded reads a regular file of at most limit bytes that passes the rule about access.
func readBounded(path string, limit int64, rule access) ([]byte, error) {
	// Opening a named pipe would block for as long as nobody writes, so look before opening, and again at what was opened.
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &fileError{"not a regular file", "Name a file, not a folder or device."}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if refused := rule(path, info); refused != nil {
		return nil, refused
	}
	return readAll(file, limit)
}

func readAll(file *os.File, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		clear(content)
		return nil, &fileError{fmt.Sprintf("the file is larger than %s", ByteSize(limit)), "Check that it is the right file."}
	}
	return content, nil
}

package dpapi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/password-writeback/writeback/internal/secret"
)

var (
	// ErrNotWindows is what DPAPI is met with elsewhere.
	ErrNotWindows = errors.New("DPAPI exists on Windows only")
	// ErrDamaged is a file with the header, but without what follows it.
	ErrDamaged = errors.New("the protected content is damaged")
)

// Purpose is what a secret is for. It is mixed into the protection, so that what is protected for one purpose, or by another program, is not
// taken for something else. It is no secret itself, and must never change: what was protected with another one cannot be read.
type Purpose string

// The purposes there are.
const (
	PrivateKey    Purpose = "password-writeback private key"
	Configuration Purpose = "password-writeback configured secret" // what the configuration names a file of
)

// header begins a protected file; the base64 of what CryptProtectData returned follows, and at most white space after it.
const header = "writeback-dpapi-1:"

// IsProtected says whether content was made by [Protect].
func IsProtected(content []byte) bool { return bytes.HasPrefix(content, []byte(header)) }

// Protect encrypts a secret for this machine and returns what a file holds in its place. The caller destroys it.
func Protect(plain secret.Value, purpose Purpose) (secret.Value, error) {
	var encrypted []byte
	var err error
	plain.Use(func(text []byte) { encrypted, err = encrypt(text, purpose) })
	if err != nil {
		return secret.Value{}, err
	}
	return frame(encrypted), nil
}

// Unprotect is the way back. Errors: [ErrDamaged], [ErrNotWindows], or what Windows says, which is the same for content that is damaged, was
// protected on another machine, or for another purpose. The caller destroys the secret.
func Unprotect(stored secret.Value, purpose Purpose) (secret.Value, error) {
	encrypted, err := unframe(stored)
	if err != nil {
		return secret.Value{}, err
	}
	plain, err := decrypt(encrypted, purpose)
	if err != nil {
		return secret.Value{}, err
	}
	return secret.New(plain), nil
}

func frame(encrypted []byte) secret.Value {
	return secret.New(base64.StdEncoding.AppendEncode([]byte(header), encrypted))
}

func unframe(stored secret.Value) (encrypted []byte, err error) {
	stored.Use(func(text []byte) {
		coded, found := bytes.CutPrefix(text, []byte(header))
		if !found {
			err = ErrDamaged
			return
		}
		encrypted, err = base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(coded))
		if err != nil || len(encrypted) == 0 {
			encrypted, err = nil, ErrDamaged // the decoder's own words tell what stands there
		}
	})
	return encrypted, err
}

// WriteFile protects a secret and writes it to a file made by [CreatePrivate], as a whole or not at all, in place of the one that may be
// there. It returns when the content is on disk.
func WriteFile(path string, plain secret.Value, purpose Purpose) error {
	protected, err := Protect(plain, purpose)
	if err != nil {
		return err
	}
	defer protected.Destroy()
	half := path + ".half"
	if err := os.Remove(half); err != nil && !os.IsNotExist(err) { // of a crash
		return fmt.Errorf("remove what was left over: %w", err)
	}
	file, err := CreatePrivate(half)
	if err != nil {
		return err
	}
	if err = fill(file, protected); err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(half))
	}
	return nil
}

func fill(file *os.File, content secret.Value) error {
	var err error
	content.Use(func(text []byte) { _, err = file.Write(text) })
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

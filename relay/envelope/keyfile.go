package envelope

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// SaveKey writes a private key to a new file that only its owner can read, and returns when it is on disk. An existing file is never
// overwritten: errors.Is(err, fs.ErrExist).
func SaveKey(path string, key PrivateKey) error {
	encoded, err := EncodePrivateKey(key)
	if err != nil {
		return err
	}
	defer encoded.Destroy()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := writeAndSync(file, encoded); err != nil {
		return errors.Join(fmt.Errorf("save key: %w", err), os.Remove(path))
	}
	return syncDirectory(filepath.Dir(path))
}

func writeAndSync(file *os.File, content secret.Value) error {
	var err error
	content.Use(func(text []byte) { _, err = file.Write(text) })
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// LoadKey reads a private key from a file. On Unix a file that others than its owner can use is refused: errors are
// *[writeback.Error] with the reason agent.misconfigured and a remedy.
func LoadKey(path string) (PrivateKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return PrivateKey{}, keyFault("Create it with the keys command, or correct the path.", err)
	}
	defer file.Close()
	// The open file is looked at, not the path, which could be exchanged in between.
	if err := checkPrivate(file); err != nil {
		return PrivateKey{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeySet+1))
	if err != nil {
		return PrivateKey{}, keyFault("Make sure that the file can be read.", err)
	}
	content := secret.New(text)
	defer content.Destroy()
	key, err := ParsePrivateKey(content)
	if err != nil {
		return PrivateKey{}, keyFault("Restore the file from a backup, or make a new key and hand out its public half.", fmt.Errorf("%s: %w", path, err))
	}
	return key, nil
}

// LoadPublicKeys reads a public JWK or a JWK Set from a file. Errors are *[writeback.Error] like those of LoadKey.
func LoadPublicKeys(path string) ([]PublicKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, keyFault("Correct the path, or put the exported public keys there.", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeySet+1))
	if err != nil {
		return nil, keyFault("Make sure that the file can be read.", err)
	}
	keys, err := ParsePublicKeys(text)
	if err != nil {
		return nil, keyFault("Export the public keys again (keys export).", fmt.Errorf("%s: %w", path, err))
	}
	return keys, nil
}

// keyFault is what a person reads about a key file.
func keyFault(remedy string, cause error) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: remedy, Cause: cause}
}

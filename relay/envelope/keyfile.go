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
	protected, err := protect(encoded)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	defer protected.Destroy()
	file, err := createPrivate(path)
	if err != nil {
		return fmt.Errorf("save key: %w", err)
	}
	if err := writeAndSync(file, protected); err != nil {
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

// openPrivate makes a directory for its owner only where it is missing but its parent is there, and refuses one that others can use.
func openPrivate(directory string) error {
	if err := makePrivate(directory); err != nil && !os.IsExist(err) {
		return keyFault("Create the state directory first.", err)
	}
	opened, err := os.Open(directory)
	if err != nil {
		return keyFault("Make sure that the directory can be read.", err)
	}
	defer opened.Close()
	return checkPrivate(opened)
}

// replaceFile writes a small file that only its owner can read, as a whole or not at all, in place of the one that may be there. It
// returns when it is on disk.
func replaceFile(path string, content []byte) error {
	half := path + ".half"
	if err := os.Remove(half); err != nil && !os.IsNotExist(err) { // of a crash
		return fmt.Errorf("store %s: %w", filepath.Base(path), err)
	}
	file, err := createPrivate(half)
	if err != nil {
		return fmt.Errorf("store %s: %w", filepath.Base(path), err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", filepath.Base(path), err), os.Remove(half))
	}
	return syncDirectory(filepath.Dir(path))
}

// maxStored bounds the files that replaceFile writes.
const maxStored = 64 << 10

// readStored reads a file that replaceFile wrote.
func readStored(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxStored+1))
	if err == nil && len(text) > maxStored {
		err = errors.New("it is too long")
	}
	return text, err
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
	plain, err := unprotect(content)
	if err != nil {
		return PrivateKey{}, keyFault("Run as the account and on the host that made the key, or make a new key and hand out its public half.", fmt.Errorf("%s: %w", path, err))
	}
	defer plain.Destroy()
	key, err := ParsePrivateKey(plain)
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
	if errors.Is(err, errOtherSuite) {
		return nil, keyFault("Have keys of the suite ec-1 or rsa-1 made and exported, or install a version that knows the others.", fmt.Errorf("%s: %w", path, err))
	}
	if err != nil {
		return nil, keyFault("Export the public keys again (keys export).", fmt.Errorf("%s: %w", path, err))
	}
	return keys, nil
}

// keyFault is what a person reads about a key file.
func keyFault(remedy string, cause error) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: remedy, Cause: cause}
}

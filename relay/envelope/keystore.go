package envelope

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keySuffix ends the name of every key file: <thumbprint>.jwk.
const keySuffix = ".jwk"

// KeyStore is a directory of an agent's private keys, one file each, named by thumbprint. Several keys of one use may be there at a
// time: requests sealed for any of them open, and the newest signing key signs.
type KeyStore struct {
	directory string
}

// OpenKeyStore opens a directory of keys, and makes it (mode 0700) where it is missing but its parent is there. On Unix a directory that others
// than its owner can use is refused with a remedy, as by [LoadKey].
func OpenKeyStore(directory string) (*KeyStore, error) {
	if err := os.Mkdir(directory, 0o700); err != nil && !os.IsExist(err) {
		return nil, keyFault("Create the state directory first.", err)
	}
	opened, err := os.Open(directory)
	if err != nil {
		return nil, keyFault("Make sure that the directory can be read.", err)
	}
	defer opened.Close()
	if err := checkPrivate(opened); err != nil {
		return nil, err
	}
	return &KeyStore{directory: directory}, nil
}

// Generate makes a key of the given use and stores it.
func (s *KeyStore) Generate(use Use) (PrivateKey, error) {
	var key PrivateKey
	var err error
	switch use {
	case UseSign:
		key, err = GenerateSigningKey()
	case UseSeal:
		key, err = GenerateSealingKey()
	default:
		err = fmt.Errorf("unknown use %q", use)
	}
	if err != nil {
		return PrivateKey{}, err
	}
	return key, SaveKey(filepath.Join(s.directory, key.KeyID()+keySuffix), key)
}

// List returns all keys, newest first. A file that cannot be used is an error, not left out: an agent that silently loses a key would
// look healthy and refuse requests.
func (s *KeyStore) List() ([]PrivateKey, error) {
	names, err := os.ReadDir(s.directory)
	if err != nil {
		return nil, keyFault("Make sure that the directory can be read.", err)
	}
	var keys []PrivateKey
	for _, entry := range names {
		id, isKey := strings.CutSuffix(entry.Name(), keySuffix)
		if !isKey {
			continue
		}
		path := filepath.Join(s.directory, entry.Name())
		key, err := LoadKey(path)
		if err != nil {
			return nil, err
		}
		if key.KeyID() != id {
			return nil, keyFault("Give the file the name of its key, or remove it.", fmt.Errorf("%s holds the key %s", path, key.KeyID()))
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, newestFirst)
	return keys, nil
}

// newestFirst orders by creation, and by thumbprint where that is the same second.
func newestFirst(a, b PrivateKey) int {
	if order := b.created.Compare(a.created); order != 0 {
		return order
	}
	return strings.Compare(a.KeyID(), b.KeyID())
}

// Keys returns the keys of one use, newest first. None is not an error.
func (s *KeyStore) Keys(use Use) ([]PrivateKey, error) {
	keys, err := s.List()
	return slices.DeleteFunc(keys, func(k PrivateKey) bool { return k.Public().Use() != use }), err
}

// PublicSet returns the JWK Set that portals need: all public keys, each with the member "agent" set to agent, "group/agent id".
func (s *KeyStore) PublicSet(agent string) ([]byte, error) {
	if err := checkAgent(agent); err != nil {
		return nil, err
	}
	keys, err := s.List()
	if err != nil {
		return nil, err
	}
	public := make([]PublicKey, 0, len(keys))
	for _, key := range keys {
		public = append(public, key.Public())
	}
	return EncodePublicKeys(public, agent)
}

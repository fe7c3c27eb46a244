package envelope

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The endings of the files of a key store: sealing-<thumbprint>.jwk holds the key, sealing-<thumbprint>.json beside it how long it is good.
const (
	keySuffix  = ".jwk"
	lifeSuffix = ".json"
)

// KeyStore is a directory of an agent's private keys, one file each, named by use and thumbprint. Several keys of one use may be there at
// a time; [SelectKeys] says what each is good for.
//
// # The life of a key
//
//	sealing   active ------------------ rotate --> retiring (opens, exported) -- expires --> retired: deleted
//	signing   next (exported) -- from --> active -- rotate --> retiring (signs until the next takes over) -- expires --> retired: deleted
//	          any state ---- revoke ----> revoked: opens and signs nothing, is exported no more, is deleted
//
// A rotation makes a key and gives those before it an expiry, one overlap later. A sealing key opens from its first moment, so that portals
// may seal for it as soon as they have it. A signing key must be with the portals before it signs, or its results mean nothing to
// them: it is exported at once and signs half an overlap later, or when an administrator says that all portals have it.
//
// An expired sealing key is deleted for good. Until then whoever steals it can open every recorded request that was sealed for it: there is
// no forward secrecy within the life of a key, and rotation is what bounds it.
type KeyStore struct {
	directory string
}

// StoredKey is what the store knows about one key.
type StoredKey struct {
	ID   string
	Use  Use
	Key  PrivateKey // none where there is a Fault
	Life KeyLife
	// Fault says why the key cannot be used, a *[writeback.Error] with a remedy. Such a key is good for nothing; the others are not concerned.
	Fault error
}

// OpenKeyStore opens a directory of keys, and makes it (mode 0700) where it is missing but its parent is there. On Unix a directory that others
// than its owner can use is refused with a remedy, as by [LoadKey].
func OpenKeyStore(directory string) (*KeyStore, error) {
	if err := openPrivate(directory); err != nil {
		return nil, err
	}
	return &KeyStore{directory: directory}, nil
}

// Generate makes a key of the given use, good at once and without end, and stores it.
func (s *KeyStore) Generate(use Use) (PrivateKey, error) {
	for _, name := range []Algorithm{ES256, ECDHES} {
		if row, _ := lookup(name); row.use == use {
			stored, err := s.Make(name, KeyLife{})
			return stored.Key, err
		}
	}
	return PrivateKey{}, fmt.Errorf("unknown use %q", use)
}

// Make makes a key for an algorithm, and stores it with its life.
func (s *KeyStore) Make(name Algorithm, life KeyLife) (StoredKey, error) {
	key, err := GenerateKey(name)
	if err != nil {
		return StoredKey{}, err
	}
	stored := StoredKey{ID: key.KeyID(), Use: key.Public().Use(), Key: key, Life: life}
	// The life first: there is no moment at which a key that must not sign yet looks as if it might.
	if err := s.SetLife(stored, life); err != nil {
		return StoredKey{}, err
	}
	encoded, err := EncodePrivateKey(key)
	if err != nil {
		return StoredKey{}, err
	}
	defer encoded.Destroy()
	protected, err := protect(encoded)
	if err != nil {
		return StoredKey{}, fmt.Errorf("store a key: %w", err)
	}
	defer protected.Destroy()
	protected.Use(func(text []byte) { err = replaceFile(s.path(stored, keySuffix), text) })
	return stored, err
}

// SetLife changes how long a key is good.
func (s *KeyStore) SetLife(key StoredKey, life KeyLife) error {
	path := s.path(key, lifeSuffix)
	if life == (KeyLife{}) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store the life of a key: %w", err)
		}
		return syncDirectory(s.directory)
	}
	text, err := life.encode()
	if err != nil {
		return err
	}
	return replaceFile(path, text)
}

// Remove deletes a key for good. What was sealed for it can never be opened again.
func (s *KeyStore) Remove(key StoredKey) error {
	for _, suffix := range []string{keySuffix, lifeSuffix} {
		if err := os.Remove(s.path(key, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete key %s: %w", key.ID, err)
		}
	}
	return syncDirectory(s.directory)
}

func (s *KeyStore) path(key StoredKey, suffix string) string {
	return filepath.Join(s.directory, useInFileNames(key.Use)+"-"+key.ID+suffix)
}

// useInFileNames also keeps a thumbprint's "-" from the beginning of a name, where programs would take it for an option.
func useInFileNames(use Use) string {
	if use == UseSeal {
		return "sealing"
	}
	return "signing"
}

// Scan returns all keys, newest first, those that cannot be used last. An error means that the directory cannot be read at all.
func (s *KeyStore) Scan() ([]StoredKey, error) {
	entries, err := os.ReadDir(s.directory)
	if err != nil {
		return nil, keyFault("Make sure that the directory can be read.", err)
	}
	var keys []StoredKey
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), keySuffix) {
			keys = append(keys, s.load(entry.Name()))
		}
	}
	slices.SortFunc(keys, newestFirst)
	return keys, nil
}

// load reads one key and its life.
func (s *KeyStore) load(name string) StoredKey {
	path := filepath.Join(s.directory, name)
	stored := namedKey(name)
	key, err := LoadKey(path)
	if err == nil && (key.KeyID() != stored.ID || key.Public().Use() != stored.Use) {
		right := StoredKey{ID: key.KeyID(), Use: key.Public().Use()}
		err = keyFault("Give the file the name of its key, or remove it.", fmt.Errorf("%s holds the key of %s", path, filepath.Base(s.path(right, keySuffix))))
	}
	if err == nil {
		stored.Life, err = loadLife(strings.TrimSuffix(path, keySuffix) + lifeSuffix)
	}
	if err != nil {
		stored.Fault = err
		return stored
	}
	stored.Key = key
	return stored
}

// namedKey reads use and thumbprint off the name of a file; where it has none, all of the name stands for the thumbprint.
func namedKey(name string) StoredKey {
	name = strings.TrimSuffix(name, keySuffix)
	for _, use := range []Use{UseSeal, UseSign} {
		if id, named := strings.CutPrefix(name, useInFileNames(use)+"-"); named {
			return StoredKey{ID: id, Use: use}
		}
	}
	return StoredKey{ID: name}
}

// newestFirst orders by creation, and by thumbprint where that is the same second.
func newestFirst(a, b StoredKey) int {
	if order := b.Key.created.Compare(a.Key.created); order != 0 {
		return order
	}
	return strings.Compare(a.ID, b.ID)
}

// PublicSet returns the JWK Set that portals need: the public halves of all keys that have not expired, each with the member "agent" set
// to agent, "group/agent id".
func (s *KeyStore) PublicSet(agent string) ([]byte, error) {
	if err := checkAgent(agent); err != nil {
		return nil, err
	}
	keys, err := s.Scan()
	if err != nil {
		return nil, err
	}
	return EncodePublicKeys(SelectKeys(keys, nil, time.Now()).Public, agent)
}

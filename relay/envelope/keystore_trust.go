package envelope

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The names of a trust store's files: key-<thumbprint>.json and revoked-<thumbprint>.json. A key has one file, so it cannot belong to two
// issuers.
const (
	pinnedPrefix  = "key-"
	revokedPrefix = "revoked-"
	storedSuffix  = ".json"
)

// TrustStore is a directory with the portals' public keys that an administrator pinned, and with the keys, of whomever, that were
// revoked. It holds no secret, but whoever can write to it can make the agent believe a portal.
type TrustStore struct {
	directory string
}

// TrustedKey is a portal's key in the store.
type TrustedKey struct {
	ID      string
	Issuer  string
	Key     PublicKey // none where there is a Fault
	Pinned  time.Time
	Expires time.Time // from then on it verifies nothing; zero: never
	Fault   error     // why it cannot be used, a *[writeback.Error] with a remedy
}

// Revocation is the end of a key.
type Revocation struct {
	ID     string
	At     time.Time // zero where the file cannot be read
	Reason string    // for people
	Fault  error     // why the file cannot be read; the key is revoked all the same
}

// Trust is all that a trust store holds.
type Trust struct {
	Keys    []TrustedKey // by thumbprint
	Revoked []Revocation // by thumbprint
}

// IsRevoked reports whether a key was revoked.
func (t Trust) IsRevoked(keyID string) bool {
	for _, revocation := range t.Revoked {
		if revocation.ID == keyID {
			return true
		}
	}
	return false
}

// Find returns the key with this thumbprint.
func (t Trust) Find(keyID string) (TrustedKey, bool) {
	for _, key := range t.Keys {
		if key.ID == keyID {
			return key, true
		}
	}
	return TrustedKey{}, false
}

// OpenTrustStore opens a store under the same rules as [OpenKeyStore].
func OpenTrustStore(directory string) (*TrustStore, error) {
	if err := openPrivate(directory); err != nil {
		return nil, err
	}
	return &TrustStore{directory: directory}, nil
}

// pinnedFile and revokedFile are the files as JSON, with times in seconds since 1970.
type pinnedFile struct {
	Version int             `json:"version"`
	Issuer  string          `json:"issuer"`
	Pinned  int64           `json:"pinned"`
	Expires int64           `json:"expires,omitempty"`
	Key     json.RawMessage `json:"key"`
}

type revokedFile struct {
	Version int    `json:"version"`
	Revoked int64  `json:"revoked"`
	Reason  string `json:"reason,omitempty"`
}

// Pin lets an issuer sign with a key, until expires where that is not zero. Pinning a key of the same issuer again changes its expiry. A key of
// another issuer and a revoked key are refused, with a *[writeback.Error].
func (s *TrustStore) Pin(issuer string, key PublicKey, now, expires time.Time) error {
	if err := nameForm().check(issuer); err != nil {
		return misconfigured("issuer %q %w", issuer, err)
	}
	if err := key.need(UseSign); err != nil {
		return keyFault("Pin the portal's signing key, as its owner exported it.", err)
	}
	trust, err := s.Load()
	if err != nil {
		return err
	}
	if trust.IsRevoked(key.KeyID()) {
		return keyFault("Have the portal make a new key: a revoked one never comes back.", fmt.Errorf("the key %s was revoked", key.KeyID()))
	}
	if known, found := trust.Find(key.KeyID()); found && known.Fault == nil && known.Issuer != issuer {
		return keyFault("Have the portal make a key of its own: one key never belongs to two.",
			fmt.Errorf("the key %s belongs to the issuer %q", key.KeyID(), known.Issuer))
	}
	encoded, err := EncodePublicKey(key)
	if err != nil {
		return err
	}
	return s.put(pinnedPrefix+key.KeyID(), pinnedFile{Version: storeVersion, Issuer: issuer, Pinned: now.Unix(), Expires: unixOf(expires), Key: encoded})
}

// Revoke ends the use of a key for good, whoever it belongs to and wherever it is pinned. Revoking it again changes nothing.
func (s *TrustStore) Revoke(keyID string, now time.Time, reason string) error {
	if err := thumbprintForm().check(keyID); err != nil {
		return misconfigured("key id %w", err)
	}
	if err := operatorForm().check(reason); reason != "" && err != nil {
		return keyFault("Say it in one line.", fmt.Errorf("the reason %w", err))
	}
	if _, err := os.Lstat(filepath.Join(s.directory, revokedPrefix+keyID+storedSuffix)); err == nil {
		return nil
	}
	return s.put(revokedPrefix+keyID, revokedFile{Version: storeVersion, Revoked: now.Unix(), Reason: reason})
}

func (s *TrustStore) put(name string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.directory, name+storedSuffix), text)
}

// Load reads the store. A file that cannot be used is the fault of its key only, and on the safe side: what cannot be read is not trusted, and
// a revocation counts by its name alone. An error means that the directory cannot be read at all.
func (s *TrustStore) Load() (Trust, error) {
	entries, err := os.ReadDir(s.directory)
	if err != nil {
		return Trust{}, keyFault("Make sure that the directory can be read.", err)
	}
	var trust Trust
	for _, entry := range entries {
		name, stored := strings.CutSuffix(entry.Name(), storedSuffix)
		if !stored {
			continue
		}
		path := filepath.Join(s.directory, entry.Name())
		if id, found := strings.CutPrefix(name, pinnedPrefix); found {
			trust.Keys = append(trust.Keys, loadPinned(path, id))
		}
		if id, found := strings.CutPrefix(name, revokedPrefix); found {
			trust.Revoked = append(trust.Revoked, loadRevoked(path, id))
		}
	}
	return trust, nil
}

func loadPinned(path, id string) TrustedKey {
	text, err := readStored(path)
	key := TrustedKey{ID: id}
	if err == nil {
		key, err = parsePinned(text)
	}
	if err == nil && key.Key.KeyID() != id {
		err = fmt.Errorf("it holds the key %s", key.Key.KeyID())
	}
	if err != nil {
		return TrustedKey{ID: id, Issuer: key.Issuer, Fault: keyFault("Pin the key again (keys trust), or remove the file.", fmt.Errorf("%s: %w", path, err))}
	}
	return key
}

func parsePinned(text []byte) (TrustedKey, error) {
	f, err := storedFields(text, "issuer", "pinned", "expires", "key")
	if err != nil {
		return TrustedKey{}, err
	}
	trusted := TrustedKey{Issuer: f.text("issuer", nameForm()), Pinned: f.seconds("pinned"), Expires: f.optionalSeconds("expires")}
	inner := f.object("key")
	if f.fault != nil {
		return trusted, f.fault
	}
	if trusted.Key, err = parsePublicKey(inner.members); err != nil {
		return trusted, err
	}
	trusted.ID = trusted.Key.KeyID()
	return trusted, trusted.Key.need(UseSign)
}

func loadRevoked(path, id string) Revocation {
	text, err := readStored(path)
	revocation := Revocation{ID: id}
	if err == nil {
		revocation.At, revocation.Reason, err = parseRevoked(text)
	}
	if err != nil {
		revocation.Fault = keyFault("Nothing need be done: the key stays revoked.", fmt.Errorf("%s: %w", path, err))
	}
	return revocation
}

func parseRevoked(text []byte) (at time.Time, reason string, err error) {
	f, err := storedFields(text, "revoked", "reason")
	if err != nil {
		return time.Time{}, "", err
	}
	if at = f.seconds("revoked"); f.has("reason") {
		reason = f.text("reason", operatorForm())
	}
	if f.fault != nil {
		return time.Time{}, "", f.fault
	}
	return at, reason, nil
}

// Usable returns the keys that verify at a time, by issuer: those that the configuration pins and those of the store. A revocation and
// an expiry of the store count for both. Objections name the keys of the store that belong to another issuer in the configuration:
// they are left out. until is when this changes by itself; zero: never.
func (t Trust) Usable(configured map[string][]PublicKey, now time.Time) (usable map[string][]PublicKey, until time.Time, objections []error) {
	usable = map[string][]PublicKey{}
	owner := map[string]string{}
	for issuer, keys := range configured {
		usable[issuer] = nil
		for _, key := range keys {
			owner[key.KeyID()] = issuer
			if stored, found := t.Find(key.KeyID()); !found || stored.Fault == nil && stored.Issuer != issuer {
				usable[issuer] = t.admit(usable[issuer], TrustedKey{ID: key.KeyID(), Key: key}, now)
			}
		}
	}
	for _, key := range t.Keys {
		if other, taken := owner[key.ID]; taken && key.Fault == nil && other != key.Issuer {
			objections = append(objections, keyFault("Revoke the key, and have each portal make its own.",
				errors.New("the key "+key.ID+" is pinned for the issuer "+key.Issuer+" and belongs to "+other+" in the configuration")))
			continue
		}
		if _, known := configured[key.Issuer]; !known || key.Fault != nil {
			continue
		}
		usable[key.Issuer] = t.admit(usable[key.Issuer], key, now)
		until = KeyLife{Expires: key.Expires}.next(now, until)
	}
	return usable, until, objections
}

// admit appends a key that is neither revoked nor expired.
func (t Trust) admit(keys []PublicKey, key TrustedKey, now time.Time) []PublicKey {
	if t.IsRevoked(key.ID) || (KeyLife{Expires: key.Expires}).expired(now) {
		return keys
	}
	return append(keys, key.Key)
}

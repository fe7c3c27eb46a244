package envelope

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// storeVersion is the version of the files beside keys and of those of the trust store.
const storeVersion = 1

// KeyLife says from when to when a key is good, to the second. Its zero value is a key that is good at once and without end.
type KeyLife struct {
	ActiveFrom time.Time // a signing key signs from then on; zero: at once
	Expires    time.Time // from then on it is good for nothing, and deleted; zero: never
}

// KeyState names where a key is in its life.
type KeyState string

// The states of a key; see [KeyStore].
const (
	KeyNext     KeyState = "next"     // exported, but it does not sign yet
	KeyActive   KeyState = "active"   // good, without an end
	KeyRetiring KeyState = "retiring" // good until it expires
	KeyRetired  KeyState = "retired"  // expired
	KeyRevoked  KeyState = "revoked"  // taken out of use before its time
	KeyBroken   KeyState = "broken"   // its file cannot be used
)

// State returns the state at a time of a key that is not revoked.
func (l KeyLife) State(now time.Time) KeyState {
	switch {
	case l.expired(now):
		return KeyRetired
	case l.ActiveFrom.After(now):
		return KeyNext
	case !l.Expires.IsZero():
		return KeyRetiring
	}
	return KeyActive
}

func (l KeyLife) expired(now time.Time) bool { return !l.Expires.IsZero() && !now.Before(l.Expires) }

// next returns the earlier of at and the next time after now at which the state changes; zero stands for never.
func (l KeyLife) next(now, at time.Time) time.Time {
	for _, change := range []time.Time{l.ActiveFrom, l.Expires} {
		if change.After(now) && (at.IsZero() || change.Before(at)) {
			at = change
		}
	}
	return at
}

// lifeFile is a life as JSON, in seconds since 1970.
type lifeFile struct {
	Version    int   `json:"version"`
	ActiveFrom int64 `json:"active_from,omitempty"`
	Expires    int64 `json:"expires,omitempty"`
}

func (l KeyLife) encode() ([]byte, error) {
	if !l.ActiveFrom.IsZero() && !l.Expires.IsZero() && !l.ActiveFrom.Before(l.Expires) {
		return nil, errors.New("a key would expire before it is active")
	}
	return json.Marshal(lifeFile{Version: storeVersion, ActiveFrom: unixOf(l.ActiveFrom), Expires: unixOf(l.Expires)})
}

// unixOf returns 0 for no time.
func unixOf(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// loadLife reads a life; where there is no file, the key is good without end.
func loadLife(path string) (KeyLife, error) {
	text, err := readStored(path)
	if errors.Is(err, fs.ErrNotExist) {
		return KeyLife{}, nil
	}
	if err != nil {
		return KeyLife{}, keyFault("Make sure that the file can be read.", err)
	}
	life, err := parseLife(text)
	if err != nil {
		return KeyLife{}, keyFault("Restore the file from a backup, or remove it together with its key.", fmt.Errorf("%s: %w", path, err))
	}
	return life, nil
}

func parseLife(text []byte) (KeyLife, error) {
	f, err := storedFields(text, "active_from", "expires")
	if err != nil {
		return KeyLife{}, err
	}
	life := KeyLife{ActiveFrom: f.optionalSeconds("active_from"), Expires: f.optionalSeconds("expires")}
	return life, f.fault
}

// storedFields reads an object of the present version that holds no members but those named.
func storedFields(text []byte, names ...string) (*fields, error) {
	members, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	if _, found := members.stranger(append(names, "version")...); found {
		return nil, errors.New("unknown member")
	}
	version, found := members.get("version")
	if number, err := whole(version); !found || err != nil || number != storeVersion {
		return nil, fmt.Errorf("not of version %d", storeVersion)
	}
	return &fields{members: members}, nil
}

// KeySet is what an agent's own keys are good for at one moment.
type KeySet struct {
	Signing PrivateKey   // signs results; none where there is none
	Opening []PrivateKey // open requests, newest first
	Public  []PublicKey  // what portals must have, newest first
	Until   time.Time    // when this changes by itself; zero: never
}

// SelectKeys says what the keys, newest first, are good for at a time. Revoked keys and those with a fault are good for nothing; revoked may
// be nil. The signing key that became active last signs; where none is active yet, the one that will be first.
func SelectKeys(keys []StoredKey, revoked func(keyID string) bool, now time.Time) KeySet {
	var set KeySet
	var signing StoredKey
	for _, key := range keys {
		if key.Fault != nil || revoked != nil && revoked(key.ID) || key.Life.expired(now) {
			continue
		}
		set.Public = append(set.Public, key.Key.Public())
		set.Until = key.Life.next(now, set.Until)
		switch {
		case key.Use == UseSeal:
			set.Opening = append(set.Opening, key.Key)
		case signing.Key.IsZero() || signsRather(key, signing, now):
			signing = key
		}
	}
	set.Signing = signing.Key
	return set
}

// signsRather reports whether key signs in place of one that is as new or newer.
func signsRather(key, other StoredKey, now time.Time) bool {
	from, otherFrom := key.signsFrom(), other.signsFrom()
	started, otherStarted := !from.After(now), !otherFrom.After(now)
	switch {
	case started && otherStarted && from.Equal(otherFrom):
		return other.Life.ActiveFrom.IsZero() && !key.Life.ActiveFrom.IsZero() // what was let sign in the second of the other's making came after it
	case started && otherStarted:
		return from.After(otherFrom)
	case started || otherStarted:
		return started
	}
	return from.Before(otherFrom)
}

func (k StoredKey) signsFrom() time.Time {
	if k.Life.ActiveFrom.IsZero() {
		return k.Key.Created()
	}
	return k.Life.ActiveFrom
}

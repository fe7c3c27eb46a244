package kerberos

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/password-writeback/writeback/internal/secret"
)

// keys is what an account proves itself with.
type keys interface {
	// offers lists the encryption types there can be a key for, best first.
	offers() []int32
	// key returns the key of a type, and its version where it has one.
	key(hint types.ETypeInfo2Entry) (types.EncryptionKey, int, error)
}

// keytab is the newest keys of one account.
type keytab map[int32]keyEntry

// readKeytab picks the account's keys from the content of a keytab. Letter case does not matter, as nowhere in Active Directory.
func readKeytab(content secret.Value, user, realm string) (keytab, error) {
	var entries []keyEntry
	var err error
	content.Use(func(plain []byte) { entries, err = parseKeytab(plain) })
	if err != nil {
		return nil, err
	}
	found := make(keytab)
	for _, entry := range entries {
		if !strings.EqualFold(entry.realm, realm) || !strings.EqualFold(entry.principal, user) {
			continue
		}
		if known, ok := found[entry.key.KeyType]; !ok || entry.version > known.version {
			found[entry.key.KeyType] = entry
		}
	}
	if len(found.offers()) == 0 {
		return nil, ErrNoKey
	}
	return found, nil
}

// CheckKeytab reports whether the content of a keytab has keys for an account: [ErrNoKey], [ErrKeytab] or nil.
func CheckKeytab(content secret.Value, user, realm string) error {
	_, err := readKeytab(content, user, realm)
	return err
}

func (k keytab) offers() []int32 {
	var types []int32
	for _, each := range accepted() {
		if _, ok := k[each]; ok {
			types = append(types, each)
		}
	}
	return types
}

func (k keytab) key(hint types.ETypeInfo2Entry) (types.EncryptionKey, int, error) {
	entry, ok := k[hint.EType]
	if !ok {
		return types.EncryptionKey{}, 0, ErrNoKey
	}
	return entry.key, int(entry.version), nil
}

// password derives keys from a password. The copy that the library needs as a string cannot be cleared.
type password struct{ value secret.Value }

func (p password) offers() []int32 { return accepted() }

func (p password) key(hint types.ETypeInfo2Entry) (types.EncryptionKey, int, error) {
	kind, err := crypto.GetEtype(hint.EType)
	if err != nil {
		return types.EncryptionKey{}, 0, err
	}
	// The answer is not authenticated: a number of rounds of the sender's choice could keep us busy for hours.
	rounds := kind.GetDefaultStringToKeyParams()
	if len(hint.S2KParams) > 0 && hex.EncodeToString(hint.S2KParams) != rounds {
		return types.EncryptionKey{}, 0, fmt.Errorf("the KDC asks for unusual key derivation (parameters %x)", hint.S2KParams)
	}
	var derived []byte
	p.value.Use(func(plain []byte) { derived, err = kind.StringToKey(string(plain), hint.Salt, rounds) })
	return types.EncryptionKey{KeyType: hint.EType, KeyValue: derived}, 0, err
}

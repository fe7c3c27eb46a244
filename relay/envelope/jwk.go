package envelope

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/password-writeback/writeback/internal/secret"
)

const (
	// maxKeySet bounds a JWK or JWK Set in bytes.
	maxKeySet = 256 << 10
	// maxOwnMembers bounds the members that make one key: RSA of 4096 bits takes 3.2 kB.
	maxOwnMembers = 4 << 10
)

// errNotCanonical is why a key is refused whose numbers are not written as RFC 7518 says.
var errNotCanonical = errors.New("a number of the key is not base64url in its one canonical form")

// errOtherSuite is why a key is left out of its set: it is of a suite, or for a use, that this version does not know.
var errOtherSuite = errors.New("is not known")

// jwkFile is what we write beside the key's own members: RFC 7517 names, and two of our own.
type jwkFile struct {
	Created int64  `json:"iat,omitempty"`   // when the key was made; private keys only
	Agent   string `json:"agent,omitempty"` // group/agent id; public keys of agents only
}

// EncodePrivateKey returns the private JWK (RFC 7517) of k, the content of a key file.
func EncodePrivateKey(k PrivateKey) (secret.Value, error) {
	if k.IsZero() {
		return secret.Value{}, errors.New("no key")
	}
	var more jwkFile
	if !k.created.IsZero() {
		more.Created = k.created.Unix()
	}
	encoded, err := encodeJWK(k.public, k.reveal(), more)
	return secret.New(encoded), err
}

// EncodePublicKey returns the public JWK (RFC 7517) of k.
func EncodePublicKey(k PublicKey) ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("no key")
	}
	return encodeJWK(k, k.key, jwkFile{Agent: k.agent})
}

// EncodePublicKeys returns a JWK Set (RFC 7517 section 5). A non-empty agent ("group/agent id") is written into each key as the member
// "agent", so that a portal can pin keys to agents.
func EncodePublicKeys(keys []PublicKey, agent string) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, key := range keys {
		if agent != "" {
			key.agent = agent
		}
		encoded, err := EncodePublicKey(key)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, encoded)
	}
	return json.MarshalIndent(set, "", "  ")
}

// encodeJWK joins go-jose's members and ours.
func encodeJWK(public PublicKey, material any, more jwkFile) ([]byte, error) {
	base, err := json.Marshal(jose.JSONWebKey{
		Key: material, KeyID: public.id, Algorithm: string(public.row.name), Use: string(public.row.use),
	})
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", public.id, err)
	}
	defer clear(base)
	extra, err := json.Marshal(more)
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", public.id, err)
	}
	if string(extra) == "{}" {
		return slices.Clone(base), nil
	}
	joined := make([]byte, 0, len(base)+len(extra))
	joined = append(joined, base[:len(base)-1]...)
	joined = append(joined, ',')
	return append(joined, extra[1:]...), nil
}

// ParsePublicKeys reads a public JWK or a JWK Set. Each key must state use and alg; a stated kid must be the thumbprint. Private key
// material is refused: whoever hands over a private key by mistake should hear of it. A key that stands twice counts once.
//
// Keys of a set whose alg or use is not known are left out, so that keys of a new suite can be handed over beside the old ones. Where no other is
// left, and for a key that stands alone, it is an error that names the alg or use.
func ParsePublicKeys(text []byte) ([]PublicKey, error) {
	members, err := parseKeyText(text)
	if err != nil {
		return nil, err
	}
	value, isSet := members.get("keys")
	if !isSet {
		key, err := parsePublicKey(members)
		return []PublicKey{key}, err
	}
	return parseKeyList(value)
}

func parseKeyText(text []byte) (object, error) {
	if len(text) > maxKeySet {
		return nil, errors.New("JWK too long")
	}
	members, err := parseObject(text)
	if err != nil {
		return nil, fmt.Errorf("JWK: %w", err)
	}
	return members, nil
}

func parseKeyList(list rawValue) ([]PublicKey, error) {
	elements, err := parseArray(list)
	if err != nil {
		return nil, fmt.Errorf("JWK Set: keys: %w", err)
	}
	if len(elements) == 0 {
		return nil, errors.New("JWK Set: holds no key")
	}
	keys := make([]PublicKey, 0, len(elements))
	var leftOut []error
	for i, element := range elements {
		key, err := parseKeyOfSet(element)
		if err == nil {
			keys, err = addKey(keys, key)
		}
		switch {
		case errors.Is(err, errOtherSuite):
			leftOut = append(leftOut, fmt.Errorf("key %d: %w", i+1, err))
		case err != nil:
			return nil, fmt.Errorf("JWK Set: key %d: %w", i+1, err)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("JWK Set: no key is left: %w", errors.Join(leftOut...))
	}
	return keys, nil
}

func parseKeyOfSet(text rawValue) (PublicKey, error) {
	members, err := parseKeyText(text)
	if err != nil {
		return PublicKey{}, err
	}
	return parsePublicKey(members)
}

// addKey adds a key that is not there yet. One for two uses or of two agents is refused: nobody could say what it is for.
func addKey(keys []PublicKey, key PublicKey) ([]PublicKey, error) {
	i := slices.IndexFunc(keys, func(k PublicKey) bool { return k.id == key.id })
	switch {
	case i < 0:
		return append(keys, key), nil
	case keys[i].row.use != key.row.use:
		return nil, fmt.Errorf("%s is there for two uses", key.id)
	case keys[i].agent != key.agent:
		return nil, fmt.Errorf("%s is there for the agents %q and %q", key.id, keys[i].agent, key.agent)
	}
	return keys, nil
}

func parsePublicKey(members object) (PublicKey, error) {
	// Before anything else is looked at: priv is the private half in keys of suites to come (kty AKP).
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, found := members.get(private); found {
			return PublicKey{}, errors.New("JWK: this is a private key; hand over only the exported public one")
		}
	}
	row, parsed, err := parseJWK(members, false)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := newPublicKey(row, parsed.Key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("JWK: %w", err)
	}
	if agent, stated := members.get("agent"); stated {
		if key.agent, err = nameForm().read(agent); err != nil {
			return PublicKey{}, fmt.Errorf("JWK: agent %w", err)
		}
	}
	return key, checkKeyID(members, key)
}

// ParsePrivateKey reads a private JWK under the same rules.
func ParsePrivateKey(text secret.Value) (key PrivateKey, err error) {
	text.Use(func(text []byte) { key, err = parsePrivateKey(text) })
	return key, err
}

func parsePrivateKey(text []byte) (PrivateKey, error) {
	members, err := parseKeyText(text)
	if err != nil {
		return PrivateKey{}, err
	}
	if _, found := members.get("d"); !found {
		return PrivateKey{}, errors.New("JWK: not a private key")
	}
	if _, found := members.get("oth"); found {
		return PrivateKey{}, errors.New("JWK: an RSA key of more than two primes")
	}
	row, parsed, err := parseJWK(members, true)
	if err != nil {
		return PrivateKey{}, err
	}
	f := fields{members: members}
	created := f.optionalSeconds("iat")
	if f.fault != nil {
		return PrivateKey{}, fmt.Errorf("JWK: %w", f.fault)
	}
	key, err := newPrivateKey(row, parsed.Key, created)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("JWK: %w", err)
	}
	return key, checkKeyID(members, key.public)
}

// parseJWK finds the row that use and alg name, and lets go-jose read the key.
func parseJWK(members object, private bool) (algorithm, jose.JSONWebKey, error) {
	f := fields{members: members}
	use, alg := f.text("use", nameForm()), f.text("alg", nameForm())
	if f.fault != nil {
		return algorithm{}, jose.JSONWebKey{}, fmt.Errorf("JWK: %w", f.fault)
	}
	row, err := findRow(Use(use), alg)
	if err != nil {
		return algorithm{}, jose.JSONWebKey{}, fmt.Errorf("JWK: %w", err)
	}
	own, err := ownMembers(members, row, private)
	defer clear(own)
	if err != nil {
		return algorithm{}, jose.JSONWebKey{}, fmt.Errorf("JWK: %w", err)
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(own); err != nil {
		return algorithm{}, jose.JSONWebKey{}, errors.New("JWK: not a key of its alg")
	}
	return row, parsed, nil
}

// findRow finds the row of an alg, whose use must be the one stated.
func findRow(use Use, alg string) (algorithm, error) {
	row, known := lookup(Algorithm(alg))
	switch {
	case !known:
		return algorithm{}, fmt.Errorf("alg %.32q %w", alg, errOtherSuite)
	case use != UseSign && use != UseSeal:
		return algorithm{}, fmt.Errorf("use %.32q %w", string(use), errOtherSuite)
	case row.use != use:
		return algorithm{}, fmt.Errorf("alg %s needs use %q", alg, row.use)
	}
	return row, nil
}

// ownMembers keeps only what makes the key itself: RFC 7517 says that members nobody understands are ignored, and go-jose would read
// certificates and the like. All that make the key must be there, and in the one form they have.
func ownMembers(members object, row algorithm, private bool) ([]byte, error) {
	names := row.members
	if private {
		names = slices.Concat(names, row.private)
	}
	text := make([]byte, 0, maxOwnMembers)
	text = append(text, '{')
	for i, name := range names {
		value, found := members.get(name)
		if !found {
			return text, fmt.Errorf("the member %q of a key for %s is missing", name, row.name)
		}
		if len(text)+len(name)+len(value)+4 > cap(text) {
			return text, errNotCanonical
		}
		if name != "kty" && name != "crv" && !isCanonicalNumber(value, row) {
			return text, errNotCanonical
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendQuoted(text, []byte(name)), ':')
		text = append(text, value...)
	}
	return append(text, '}'), nil
}

// isCanonicalNumber reports whether value is a number of a key as RFC 7518 has it: base64url of all bytes of a coordinate, or of as few bytes as
// an RSA number needs. Another form would stand for the same key under the same name.
func isCanonicalNumber(value rawValue, row algorithm) bool {
	text, err := unquote(value)
	defer clear(text)
	if err != nil {
		return false
	}
	number, err := decodeBase64(text)
	defer clear(number)
	if err != nil || len(number) == 0 {
		return false
	}
	if row.coordinate > 0 {
		return len(number) == row.coordinate
	}
	return number[0] != 0
}

// checkKeyID refuses a key that states another name than its own.
func checkKeyID(members object, key PublicKey) error {
	stated, found := members.get("kid")
	if !found {
		return nil
	}
	id, err := thumbprintForm().read(stated)
	if err != nil || id != key.id {
		return fmt.Errorf("JWK: kid is not the key's RFC 7638 thumbprint, %s", key.id)
	}
	return nil
}

package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// padTo is the multiple of bytes that the sealed plaintext is padded to with spaces, so that its length says nothing about the
// password's.
const padTo = 512

// maxPassword bounds a password in bytes of UTF-8. Windows' own limit, 256 UTF-16 units, is below it and is judged later, where
// the person can be told.
const maxPassword = 4096

// gcm's lengths in bytes.
const (
	nonceSize = 12
	tagSize   = 16
)

// contentEncryption is the one content encryption of all suites, AES-256-GCM, by its JWA name (RFC 7518 section 5.3).
const contentEncryption = "A256GCM"

// contentKeySize is the length in bytes of its key.
const contentKeySize = 32

// errUndecryptable is all that is said of an entry whose key or content does not open: why is nobody's business.
var errUndecryptable = errors.New("does not decrypt")

// compactJWE is a compact JWE taken apart, whose shape and header are those the key demands.
type compactJWE struct {
	header       object
	encoded      []byte // the header as it stands: additional data of the encryption
	encryptedKey []byte
	nonce        []byte
	sealed       []byte // ciphertext and tag, as crypto/cipher takes them
}

// openEntry decrypts one sealed entry. The caller clears the plaintext.
func openEntry(key openingKey, entry []byte) ([]byte, error) {
	parts, err := splitJWE(key.public, entry)
	if err != nil {
		return nil, err
	}
	contentKey, err := key.public.row.open(key.material, parts.header, parts.encryptedKey)
	if err != nil {
		return nil, err
	}
	defer clear(contentKey)
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plaintext, err := gcm.Open(parts.sealed[:0], parts.nonce, parts.sealed, parts.encoded)
	if err != nil {
		return nil, errUndecryptable
	}
	return plaintext, nil
}

// splitJWE takes a compact JWE apart and checks everything about it that can be checked without a secret.
func splitJWE(key PublicKey, entry []byte) (compactJWE, error) {
	parts, err := splitParts(entry, 5)
	if err != nil {
		return compactJWE{}, err
	}
	header, err := decodeHeader(parts[0])
	if err != nil {
		return compactJWE{}, err
	}
	if err := checkJWEHeader(key, header); err != nil {
		return compactJWE{}, err
	}
	decoded := make([][]byte, len(parts))
	want := []int{-1, key.row.encryptedKey(key.key), nonceSize, -1, tagSize} // -1: any length
	for i, part := range parts[1:] {
		if decoded[i+1], err = decodeBase64(part); err != nil {
			return compactJWE{}, err
		}
		if want[i+1] >= 0 && len(decoded[i+1]) != want[i+1] {
			return compactJWE{}, fmt.Errorf("part %d is not %d bytes long", i+2, want[i+1])
		}
	}
	return compactJWE{
		header: header, encoded: parts[0], encryptedKey: decoded[1], nonce: decoded[2], sealed: slices.Concat(decoded[3], decoded[4]),
	}, nil
}

// checkJWEHeader demands exactly the members the key's algorithm needs, with exactly the values the key fixes.
func checkJWEHeader(key PublicKey, header object) error {
	if _, found := header.stranger(key.row.header...); found {
		return errors.New("header: unknown member")
	}
	f := fields{members: header}
	alg, enc := f.text("alg", nameForm()), f.text("enc", nameForm())
	kid, cty := f.text("kid", thumbprintForm()), f.text("cty", nameForm())
	switch {
	case f.fault != nil:
		return fmt.Errorf("header: %w", f.fault)
	case Algorithm(alg) != key.row.name || enc != contentEncryption:
		return errors.New("header: not the key's algorithm")
	case kid != key.id:
		return errors.New("header: kid is not the entry's name")
	case cty != "json":
		return errors.New("header: cty is not json")
	}
	return nil
}

// unpad checks the padding and returns the JSON text.
func unpad(plaintext []byte) ([]byte, error) {
	if len(plaintext) == 0 || len(plaintext)%padTo != 0 {
		return nil, fmt.Errorf("not padded to a multiple of %d bytes", padTo)
	}
	text := bytes.TrimRight(plaintext, " ")
	if len(text) == 0 || text[len(text)-1] != '}' {
		return nil, errors.New("padded with something else than spaces")
	}
	return text, nil
}

// readSealed reads the sealed plaintext of a request whose claims are known. Nothing of the plaintext gets into an error.
func readSealed(plaintext []byte, claims writeback.Claims) (*writeback.Request, error) {
	text, err := unpad(plaintext)
	if err != nil {
		return nil, fault(writeback.EnvelopeUndecryptable, "sealed: %w", err)
	}
	members, err := parseObject(text)
	if err != nil {
		return nil, fault(writeback.EnvelopeUndecryptable, "sealed: %w", err)
	}
	if _, found := members.stranger(sealedMembers(claims.Operation)...); found {
		return nil, strangeMember(members)
	}
	f := &fields{members: members}
	if err := sameRequest(f, claims); err != nil {
		return nil, fault(writeback.EnvelopeUndecryptable, "sealed: %w", err)
	}
	return readRequest(f, claims)
}

// sealedMembers lists what an operation's sealed part may hold.
func sealedMembers(operation writeback.Operation) []string {
	members := []string{"jti", "iss", "aud", "op"}
	if operation != writeback.OpPing {
		members = append(members, "user")
	}
	switch operation {
	case writeback.OpReset:
		return append(members, "password", "must_change", "unlock")
	case writeback.OpChange:
		return append(members, "password", "old_password")
	}
	return members
}

// strangeMember tells a member no operation has, which a newer protocol may, from one that this operation must not have.
func strangeMember(members object) error {
	all := append(sealedMembers(writeback.OpReset), "old_password")
	if _, found := members.stranger(all...); found {
		return fault(writeback.RequestUnsupported, "sealed: unknown member")
	}
	return fault(writeback.EnvelopeUndecryptable, "sealed: a member the operation does not have")
}

// sameRequest demands that the sealed part speaks of the request it travels in: else a second issuer could sign a request around
// somebody else's ciphertext and have the password set for a purpose of its own.
func sameRequest(f *fields, claims writeback.Claims) error {
	same := f.text("jti", idForm()) == claims.ID &&
		f.text("iss", nameForm()) == claims.Issuer &&
		f.text("aud", nameForm()) == claims.Audience &&
		f.text("op", nameForm()) == string(claims.Operation)
	if f.fault != nil {
		return f.fault
	}
	if !same {
		return errors.New("jti, iss, aud or op differ from the signed ones")
	}
	return nil
}

// readRequest reads what the operation asks for. On an error no secret is left behind.
func readRequest(f *fields, claims writeback.Claims) (*writeback.Request, error) {
	request := &writeback.Request{Claims: claims}
	var err error
	if claims.Operation != writeback.OpPing {
		request.Subject, err = readSubject(f)
	}
	if claims.Operation.SetsPassword() {
		request.Password = readPassword(f, "password", &err)
	}
	switch claims.Operation {
	case writeback.OpChange:
		request.OldPassword = readPassword(f, "old_password", &err)
	case writeback.OpReset:
		request.MustChange, request.Unlock = f.boolean("must_change", false), f.boolean("unlock", true)
	}
	if err == nil && f.fault != nil {
		err = fault(writeback.EnvelopeUndecryptable, "sealed: %w", f.fault)
	}
	if err != nil {
		request.Destroy()
		return nil, err
	}
	return request, nil
}

// readPassword reads a password. Half of a surrogate pair gets a reason of its own: it is what a person typed, not a fault of the portal.
func readPassword(f *fields, name string, err *error) secret.Value {
	password := f.secret(name, maxPassword)
	if *err == nil && errors.Is(f.fault, errSurrogate) {
		*err = fault(writeback.PasswordInvalidCharacters, "sealed: %w", f.fault)
	}
	return password
}

// identifierKinds lists the ways to name a user.
func identifierKinds() []writeback.IdentifierKind {
	return []writeback.IdentifierKind{
		writeback.BySID, writeback.ByGUID, writeback.ByUPN, writeback.BySAM, writeback.ByImmutableID, writeback.ByMail,
	}
}

// readSubject reads the user: exactly one identifier, beside which immutable_id may stand as an assertion.
func readSubject(f *fields) (writeback.Subject, error) {
	user := f.object("user")
	if f.fault != nil {
		return writeback.Subject{}, nil
	}
	var known []string
	var named []writeback.Subject
	for _, kind := range identifierKinds() {
		known = append(known, string(kind))
		if user.has(string(kind)) {
			named = append(named, writeback.Subject{Kind: kind, Value: user.text(string(kind), userForm())})
		}
	}
	if _, found := user.members.stranger(known...); found {
		return writeback.Subject{}, fault(writeback.RequestUnsupported, "sealed: unknown kind of user id")
	}
	subject, ok := pickSubject(named)
	if user.fault == nil && !ok {
		user.fault = errors.New("needs exactly one identifier, beside which immutable_id may stand")
	}
	if user.fault != nil {
		f.fail("user", user.fault)
	}
	return subject, nil
}

// pickSubject makes a subject of the identifiers a request names.
func pickSubject(named []writeback.Subject) (writeback.Subject, bool) {
	if len(named) == 2 {
		for i, other := range []int{1, 0} {
			if named[i].Kind == writeback.ByImmutableID {
				subject := named[other]
				subject.AssertedImmutableID = named[i].Value
				return subject, true
			}
		}
	}
	if len(named) != 1 {
		return writeback.Subject{}, false
	}
	return named[0], true
}

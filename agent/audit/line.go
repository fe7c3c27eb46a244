package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/password-writeback/writeback/internal/writeback"
)

// lineVersion is the version of a line's members.
const lineVersion = 1

const (
	maxString = 4 << 10 // bytes of any one string in a line
	maxLine   = 1 << 20 // bytes of a line; what Append makes is far shorter
	hashSize  = 2 * sha256.Size
)

// hashMember is how a line ends: this, the hash, lineEnd.
const (
	hashMember = `,"hash":"`
	lineEnd    = `"}`
)

// firstPrevious is the prev of line 1.
func firstPrevious() string { return strings.Repeat("0", hashSize) }

// line is the JSON of one event. Its own type with its own names: the format does not follow renamed Go fields.
type line struct {
	Version  int    `json:"v"`
	Sequence uint64 `json:"seq"`
	Previous string `json:"prev"`

	Time      time.Time           `json:"time"`
	Kind      Kind                `json:"kind"`
	Issuer    string              `json:"issuer,omitempty"`
	ID        string              `json:"id,omitempty"`
	Digest    string              `json:"digest,omitempty"`
	Operation writeback.Operation `json:"op,omitempty"`
	IssuedAt  time.Time           `json:"iat,omitzero"`
	KeyID     string              `json:"kid,omitempty"`
	Actor     writeback.ActorKind `json:"actor,omitempty"`
	ActorID   string              `json:"actor_id,omitempty"`
	AuthTime  time.Time           `json:"auth_time,omitzero"`
	Methods   []string            `json:"methods,omitempty"`

	SubjectKind     writeback.IdentifierKind `json:"user_by,omitempty"`
	SubjectValue    string                   `json:"user,omitempty"`
	SubjectAsserted string                   `json:"user_immutable_id,omitempty"`

	Account           string                  `json:"guid,omitempty"`
	SID               string                  `json:"sid,omitempty"`
	DistinguishedName string                  `json:"dn,omitempty"`
	Domain            string                  `json:"domain,omitempty"`
	Controller        string                  `json:"controller,omitempty"`
	PasswordVersion   uint32                  `json:"password_version,omitempty"`
	VersionSource     writeback.VersionSource `json:"version_source,omitempty"`
	PasswordChangedAt time.Time               `json:"password_changed_at,omitzero"`

	Verdict  writeback.Verdict `json:"verdict,omitempty"`
	Reason   writeback.Reason  `json:"reason,omitempty"`
	Detail   writeback.Detail  `json:"detail,omitzero"`
	Replayed bool              `json:"replayed,omitempty"`
	Cause    string            `json:"cause,omitempty"`
	Note     string            `json:"note,omitempty"`

	Hash string `json:"hash,omitempty"` // only when reading: it is appended after the rest was hashed
}

// render makes the line that follows after.
func render(event Event, after Position) ([]byte, Position, error) {
	l := newLine(event)
	l.Version, l.Sequence, l.Previous = lineVersion, after.Sequence+1, after.Hash
	payload, err := json.Marshal(l)
	if err != nil {
		return nil, Position{}, fmt.Errorf("audit: %w", err)
	}
	payload = escapeInvisible(payload)
	hash := hashOf(payload)
	text := append(payload[:len(payload)-1], hashMember+hash+lineEnd+"\n"...)
	return text, Position{Sequence: l.Sequence, Hash: hash, Time: l.Time}, nil
}

func hashOf(payload []byte) string {
	sum := sha256.Sum256(payload)
	return hex.EncodeToString(sum[:])
}

func newLine(e Event) line {
	l := line{
		Time: e.Time.UTC().Round(0), Kind: Kind(cut(string(e.Kind))),
		Issuer: cut(e.Request.Issuer), ID: cut(e.Request.ID), Operation: writeback.Operation(cut(string(e.Operation))),
		IssuedAt: e.IssuedAt.UTC(), KeyID: cut(e.KeyID), Actor: writeback.ActorKind(cut(string(e.Actor.Kind))), ActorID: cut(e.Actor.ID),
		AuthTime: e.AuthTime.UTC(), Methods: cutAll(e.Methods),
		SubjectKind: writeback.IdentifierKind(cut(string(e.Subject.Kind))), SubjectValue: cut(e.Subject.Value),
		SubjectAsserted: cut(e.Subject.AssertedImmutableID),
		SID:             cut(e.SID), DistinguishedName: cut(e.DistinguishedName), Domain: cut(e.Domain), Controller: cut(e.Controller),
		PasswordVersion: e.PasswordVersion, VersionSource: e.VersionSource, PasswordChangedAt: e.PasswordChangedAt.UTC(),
		Verdict: e.Verdict, Reason: e.Reason, Detail: e.Detail, Replayed: e.Replayed, Cause: cut(e.Cause), Note: cut(e.Note),
	}
	if e.Digest != (writeback.Digest{}) {
		l.Digest = e.Digest.String()
	}
	if !e.Account.IsZero() {
		l.Account = e.Account.String()
	}
	return l
}

// cut bounds a string at a rune boundary, marking the cut, and replaces what is not UTF-8.
func cut(s string) string {
	if len(s) <= maxString {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	end := maxString
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
}

const maxMethods = 32

func cutAll(all []string) []string {
	all = all[:min(len(all), maxMethods)]
	short := make([]string, len(all))
	for i, s := range all {
		short[i] = cut(s)
	}
	return short
}

// escapeInvisible escapes what JSON does not but terminals obey: C1 controls, DEL, and characters that turn the direction
// of text. Outside of strings JSON is ASCII without controls, so only string contents are touched.
func escapeInvisible(payload []byte) []byte {
	visible := func(r rune) bool { return !unicode.In(r, unicode.Cc, unicode.Cf) }
	if !bytes.ContainsFunc(payload, func(r rune) bool { return !visible(r) }) {
		return payload
	}
	var out bytes.Buffer
	for _, r := range string(payload) {
		switch {
		case visible(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// Why a line is not one.
var (
	errNoHash     = errors.New("it does not end with a hash")
	errWrongHash  = errors.New("its hash does not match its content")
	errTooLong    = errors.New("it is too long")
	errUnfinished = errors.New("it is unfinished")
)

// parse reads a line without its newline. With errWrongHash the line is returned as far as it could be read.
func parse(text []byte) (line, error) {
	tail := len(hashMember) + hashSize + len(lineEnd)
	if len(text) < tail || !bytes.HasPrefix(text[len(text)-tail:], []byte(hashMember)) || !bytes.HasSuffix(text, []byte(lineEnd)) {
		return line{}, errNoHash
	}
	payload := append(bytes.Clone(text[:len(text)-tail]), '}')
	stored := string(text[len(text)-len(lineEnd)-hashSize : len(text)-len(lineEnd)])
	l, err := decode(text)
	if hashOf(payload) != stored {
		l.Hash = stored
		return l, errWrongHash
	}
	return l, err
}

func decode(text []byte) (line, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return l, fmt.Errorf("its content is not that of an audit line: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return l, errors.New("something follows its content")
	}
	if l.Version != lineVersion {
		return l, fmt.Errorf("its version %d is not known", l.Version)
	}
	return l, nil
}

func (l line) position() Position {
	return Position{Sequence: l.Sequence, Hash: l.Hash, Time: l.Time}
}

// event turns a line back. Digest and account stay zero when they are not what they should be: the line's hash vouches for
// what was written, and reading the rest is worth more than refusing all.
func (l line) event() Event {
	e := Event{
		Time: l.Time, Kind: l.Kind, Request: writeback.RequestKey{Issuer: l.Issuer, ID: l.ID}, Operation: l.Operation,
		IssuedAt: l.IssuedAt, KeyID: l.KeyID, Actor: writeback.Actor{Kind: l.Actor, ID: l.ActorID}, AuthTime: l.AuthTime, Methods: l.Methods,
		Subject: writeback.Subject{Kind: l.SubjectKind, Value: l.SubjectValue, AssertedImmutableID: l.SubjectAsserted},
		SID:     l.SID, DistinguishedName: l.DistinguishedName, Domain: l.Domain, Controller: l.Controller,
		PasswordVersion: l.PasswordVersion, VersionSource: l.VersionSource, PasswordChangedAt: l.PasswordChangedAt,
		Verdict: l.Verdict, Reason: l.Reason, Detail: l.Detail, Replayed: l.Replayed, Cause: l.Cause, Note: l.Note,
	}
	if raw, err := hex.DecodeString(l.Digest); err == nil && len(raw) == len(e.Digest) {
		copy(e.Digest[:], raw)
	}
	if guid, err := writeback.ParseGUID(l.Account); err == nil {
		e.Account = guid
	}
	return e
}

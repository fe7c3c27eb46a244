package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
	"unicode/utf8"

	"github.com/password-writeback/writeback/internal/writeback"
)

// valueVersion is the first byte of every stored value. The second to fifth are a CRC-32C over the bucket, the key and the
// JSON that follows: bbolt itself checks only its two meta pages.
const valueVersion = 1

const valueHeader = 1 + crc32.Size

// Bounds of what a key is made of; the envelope admits less.
const (
	maxIssuer = 512
	maxID     = 128
)

// recordKey is the stored form of a request key: the length of the issuer, the issuer, the id. The length keeps
// ("ab","c") and ("a","bc") apart whatever bytes the issuer holds.
func recordKey(key writeback.RequestKey) ([]byte, error) {
	if !utf8.ValidString(key.Issuer) || !utf8.ValidString(key.ID) {
		return nil, fmt.Errorf("%w: request key that is not UTF-8", ErrInvalid)
	}
	if key.Issuer == "" || key.ID == "" || len(key.Issuer) > maxIssuer || len(key.ID) > maxID {
		return nil, fmt.Errorf("%w: request key with an issuer of %d bytes and an id of %d bytes", ErrInvalid, len(key.Issuer), len(key.ID))
	}
	stored := binary.BigEndian.AppendUint16(nil, uint16(len(key.Issuer)))
	stored = append(stored, key.Issuer...)
	return append(stored, key.ID...), nil
}

func checksum(bucket string, key, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, []byte(bucket))
	sum = crc32.Update(sum, table, []byte{0})
	sum = crc32.Update(sum, table, binary.BigEndian.AppendUint32(nil, uint32(len(key))))
	sum = crc32.Update(sum, table, key)
	return crc32.Update(sum, table, payload)
}

// encode frames v for its place.
func encode(bucket string, key []byte, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", bucket, err)
	}
	framed := binary.BigEndian.AppendUint32([]byte{valueVersion}, checksum(bucket, key, payload))
	return append(framed, payload...), nil
}

// decode reads a framed value into v, strictly.
func decode(bucket string, key, framed []byte, v any) error {
	fail := func(why string, cause error) error {
		return fmt.Errorf("%w: value in %s under %x: %s: %w", ErrCorrupt, bucket, key, why, cause)
	}
	if len(framed) < valueHeader {
		return fail("too short", io.ErrUnexpectedEOF)
	}
	if framed[0] != valueVersion {
		return fail("version", fmt.Errorf("%d is not known", framed[0]))
	}
	payload := framed[valueHeader:]
	if binary.BigEndian.Uint32(framed[1:valueHeader]) != checksum(bucket, key, payload) {
		return fail("checksum", errors.New("it does not match"))
	}
	if err := decodeJSON(payload, v); err != nil {
		return fail("content", err)
	}
	return nil
}

func decodeJSON(payload []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// storedRecord is a Record as the file holds it: its own type with its own names, so that a renamed Go field elsewhere
// cannot change the format.
type storedRecord struct {
	Issuer     string              `json:"issuer"`
	ID         string              `json:"id"`
	Digest     string              `json:"digest"`
	Operation  writeback.Operation `json:"operation"`
	IssuedAt   time.Time           `json:"issued_at"`
	ExpiresAt  time.Time           `json:"expires_at"`
	Reply      string              `json:"reply"`
	State      State               `json:"state"`
	ClaimedAt  time.Time           `json:"claimed_at"`
	Intent     *storedIntent       `json:"intent,omitempty"`
	Probed     bool                `json:"probed,omitempty"`
	Outcome    *writeback.Outcome  `json:"outcome,omitempty"`
	FinishedAt time.Time           `json:"finished_at,omitzero"`
	Settled    bool                `json:"settled,omitempty"`
	Revised    bool                `json:"revised,omitempty"`
	Audited    bool                `json:"audited,omitempty"`
}

type storedIntent struct {
	Account    string              `json:"account"`
	Domain     string              `json:"domain"`
	Controller string              `json:"controller"`
	Operation  writeback.Operation `json:"operation"`
	MustChange bool                `json:"must_change,omitempty"`
	Unlock     bool                `json:"unlock,omitempty"`
	Seen       storedState         `json:"seen"`
	WritingAt  time.Time           `json:"writing_at"`
}

type storedState struct {
	Version          uint32                  `json:"version,omitempty"`
	VersionSource    writeback.VersionSource `json:"version_source,omitempty"`
	ChangedAt        time.Time               `json:"changed_at,omitzero"`
	Originating      string                  `json:"originating,omitempty"`
	Own              string                  `json:"own,omitempty"`
	PasswordLastSet  time.Time               `json:"password_last_set,omitzero"`
	MustChange       bool                    `json:"must_change,omitempty"`
	LockoutTimeSet   bool                    `json:"lockout_time_set,omitempty"`
	BadPasswordCount int                     `json:"bad_password_count,omitempty"`
	LockoutThreshold int                     `json:"lockout_threshold,omitempty"`
	ThresholdKnown   bool                    `json:"threshold_known,omitempty"`
	ControllerTime   time.Time               `json:"controller_time,omitzero"`
	ReadAt           time.Time               `json:"read_at,omitzero"`
}

type storedResult struct {
	Issuer    string    `json:"issuer"`
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	Queue     string    `json:"queue"`
	Session   string    `json:"session"`
	Token     []byte    `json:"token"`
	Expires   time.Time `json:"expires"`
}

type storedWrite struct {
	Issuer        string                  `json:"issuer"`
	ID            string                  `json:"id"`
	IssuedAt      time.Time               `json:"issued_at"`
	WrittenAt     time.Time               `json:"written_at"`
	Version       uint32                  `json:"version,omitempty"`
	VersionSource writeback.VersionSource `json:"version_source,omitempty"`
	Controller    string                  `json:"controller"`
}

func storeRecord(r Record) storedRecord {
	stored := storedRecord{
		Issuer: r.Key.Issuer, ID: r.Key.ID, Digest: r.Digest.String(), Operation: r.Operation,
		IssuedAt: r.IssuedAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(), Reply: r.ReplySession,
		State: r.State, ClaimedAt: r.ClaimedAt.UTC(), Probed: r.Probed,
		Outcome: r.Outcome, FinishedAt: r.FinishedAt.UTC(), Settled: r.Settled, Revised: r.Revised, Audited: r.Audited,
	}
	if r.Intent != nil {
		intent := storeIntent(*r.Intent)
		stored.Intent = &intent
	}
	return stored
}

func storeIntent(i Intent) storedIntent {
	return storedIntent{
		Account: i.Account.String(), Domain: i.Domain, Controller: i.Controller, Operation: i.Operation,
		MustChange: i.MustChange, Unlock: i.Unlock, Seen: storeState(i.Seen), WritingAt: i.WritingAt.UTC(),
	}
}

func storeState(s writeback.PasswordState) storedState {
	stored := storedState(s)
	for _, t := range []*time.Time{&stored.ChangedAt, &stored.PasswordLastSet, &stored.ControllerTime, &stored.ReadAt} {
		*t = t.UTC()
	}
	return stored
}

// record turns the stored form back, and refuses what no ledger would have written.
func (s storedRecord) record() (Record, error) {
	r := Record{
		Key:       writeback.RequestKey{Issuer: s.Issuer, ID: s.ID},
		Operation: s.Operation, IssuedAt: s.IssuedAt, ExpiresAt: s.ExpiresAt, ReplySession: s.Reply,
		State: s.State, ClaimedAt: s.ClaimedAt, Probed: s.Probed,
		Outcome: s.Outcome, FinishedAt: s.FinishedAt, Settled: s.Settled, Revised: s.Revised, Audited: s.Audited,
	}
	digest, err := hex.DecodeString(s.Digest)
	if err != nil || len(digest) != len(r.Digest) {
		return Record{}, errors.New("the digest is not one")
	}
	copy(r.Digest[:], digest)
	if s.Intent != nil {
		intent, err := s.Intent.intent()
		if err != nil {
			return Record{}, err
		}
		r.Intent = &intent
	}
	return r, r.check()
}

func (s storedIntent) intent() (Intent, error) {
	account, err := writeback.ParseGUID(s.Account)
	return Intent{
		Account: account, Domain: s.Domain, Controller: s.Controller, Operation: s.Operation,
		MustChange: s.MustChange, Unlock: s.Unlock, Seen: writeback.PasswordState(s.Seen), WritingAt: s.WritingAt,
	}, err
}

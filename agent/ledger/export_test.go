package ledger

import "go.etcd.io/bbolt"

// DecodeRecord and EncodeRecord let the fuzz test reach the codec without a file.
var DecodeRecord = decodeRecord

// EncodeRecord frames a record for its place.
func EncodeRecord(r Record) (key, framed []byte, err error) {
	if key, err = recordKey(r.Key); err != nil {
		return nil, nil, err
	}
	framed, err = encode(bucketRecords, key, storeRecord(r))
	return key, framed, err
}

// Frame puts any payload where a record would stand, with a checksum that fits.
func Frame(key, payload []byte) []byte {
	framed, err := encode(bucketRecords, key, rawJSON(payload))
	if err != nil {
		return nil
	}
	return framed
}

// DecodeTries lets the fuzz test reach the tries of an account; FrameTries puts any payload where they would stand.
func DecodeTries(key, framed []byte) (int, error) {
	tries, err := decodeTries(key, framed)
	return len(tries), err
}

// FrameTries is [Frame] for tries.
func FrameTries(key, payload []byte) []byte {
	framed, err := encode(bucketTries, key, rawJSON(payload))
	if err != nil {
		return nil
	}
	return framed
}

type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// Tries counts the accounts with tries.
func (l *Ledger) Tries(t interface{ Fatal(...any) }) (n int) {
	err := l.db.View(func(tx *bbolt.Tx) error { n = tx.Bucket([]byte(bucketTries)).Stats().KeyN; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

package kerberos

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/types"
)

// keyEntry is one key of a keytab.
type keyEntry struct {
	principal string // name/instance, without the realm
	realm     string
	version   uint32
	key       types.EncryptionKey
}

// ErrKeytab is a file that is no keytab. It never quotes from the file, which holds keys.
var ErrKeytab = errors.New("the file is not a keytab, or is damaged")

// parseKeytab reads the file format of MIT Kerberos, version 2, which ktutil, ktpass, msktutil and samba-tool write.
func parseKeytab(content []byte) ([]keyEntry, error) {
	if len(content) < 2 || content[0] != 5 || content[1] != 2 {
		return nil, ErrKeytab
	}
	var entries []keyEntry
	rest := reader{content[2:], false}
	for len(rest.bytes) > 0 {
		size := int32(rest.number(4))
		if size < 0 { // a hole that a deleted entry left
			rest.take(-int(size))
			continue
		}
		record := reader{rest.take(int(size)), false}
		if rest.short {
			return nil, ErrKeytab
		}
		if size == 0 {
			break
		}
		entry := record.entry()
		if record.short {
			return nil, ErrKeytab
		}
		entries = append(entries, entry)
	}
	if rest.short {
		return nil, ErrKeytab
	}
	return entries, nil
}

// reader takes numbers and texts from the front; short says that there was not enough.
type reader struct {
	bytes []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.bytes) {
		r.short, r.bytes = true, nil
		return nil
	}
	taken := r.bytes[:n]
	r.bytes = r.bytes[n:]
	return taken
}

func (r *reader) number(size int) uint32 {
	var wide [4]byte
	copy(wide[4-size:], r.take(size))
	return binary.BigEndian.Uint32(wide[:])
}

func (r *reader) text() string { return string(r.take(int(r.number(2)))) }

func (r *reader) entry() keyEntry {
	components := int(r.number(2))
	entry := keyEntry{realm: r.text()}
	var names []string
	for i := 0; i < components && !r.short; i++ {
		names = append(names, r.text())
	}
	entry.principal = strings.Join(names, "/")
	r.take(4 + 4) // name type and time
	entry.version = r.number(1)
	entry.key.KeyType = int32(r.number(2))
	entry.key.KeyValue = append([]byte(nil), r.take(int(r.number(2)))...)
	if len(r.bytes) >= 4 { // a longer version number, which counts unless it is 0
		if version := r.number(4); version != 0 {
			entry.version = version
		}
	}
	return entry
}

// accepted lists the encryption types that are asked for, best first: AES only (RFC 3962, RFC 8009).
func accepted() []int32 {
	return []int32{
		etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96,
		etypeID.AES256_CTS_HMAC_SHA384_192, etypeID.AES128_CTS_HMAC_SHA256_128,
	}
}

package ldapwriter

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// unicodePwdID is the ATTRTYP of unicodePwd, 1.2.840.113556.1.4.90 in the default prefix table (MS-DRSR 5.16.4): AD names
// it "Att 9005a" in its messages too.
const unicodePwdID = 0x9005a

// Sizes in replPropertyMetaData (MS-DRSR 5.160 PROPERTY_META_DATA_VECTOR): a header of version, reserved, count and
// reserved, then entries of attribute (4), version (4), time (8), originating invocation id (16) and two USNs (8 + 8).
const (
	metadataHeader = 16
	metadataEntry  = 48
)

// passwordMetadata is the replication metadata of unicodePwd: who wrote it last, when, and how often it was written.
type passwordMetadata struct {
	version    uint32
	changed    time.Time // of the originating controller's clock, whole seconds
	originator string    // invocation id
}

// parsePasswordMetadata finds unicodePwd in a replPropertyMetaData value. An account whose password was never set has no
// entry: found is false.
func parsePasswordMetadata(blob []byte) (m passwordMetadata, found bool, err error) {
	if len(blob) < metadataHeader || binary.LittleEndian.Uint32(blob) != 1 {
		return m, false, errors.New("replPropertyMetaData: unknown version")
	}
	count := int64(binary.LittleEndian.Uint32(blob[8:]))
	entries := blob[metadataHeader:]
	if count*metadataEntry != int64(len(entries)) {
		return m, false, errors.New("replPropertyMetaData: length and count disagree")
	}
	for ; len(entries) > 0; entries = entries[metadataEntry:] {
		if binary.LittleEndian.Uint32(entries) != unicodePwdID {
			continue
		}
		return passwordMetadata{
			version:    binary.LittleEndian.Uint32(entries[4:]),
			changed:    secondsTime(binary.LittleEndian.Uint64(entries[8:])),
			originator: writeback.GUID(entries[16:32]).String(),
		}, true, nil
	}
	return m, false, nil
}

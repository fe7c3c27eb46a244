package ldapwriter

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
)

// metadataBlob builds a replPropertyMetaData of attribute ids with version 7.
func metadataBlob(attributes ...uint32) []byte {
	blob := binary.LittleEndian.AppendUint32(nil, 1)
	blob = binary.LittleEndian.AppendUint32(blob, 0)
	blob = binary.LittleEndian.AppendUint32(blob, uint32(len(attributes)))
	blob = binary.LittleEndian.AppendUint32(blob, 0)
	for _, attribute := range attributes {
		blob = binary.LittleEndian.AppendUint32(blob, attribute)
		blob = binary.LittleEndian.AppendUint32(blob, 7)
		blob = binary.LittleEndian.AppendUint64(blob, 13439606400) // 2026-11-20 00:00 UTC in seconds since 1601
		blob = append(blob, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff)
		blob = binary.LittleEndian.AppendUint64(blob, 1)
		blob = binary.LittleEndian.AppendUint64(blob, 2)
	}
	return blob
}

func TestPasswordMetadata(t *testing.T) {
	got, found, err := parsePasswordMetadata(metadataBlob(0, unicodePwdID, 0x90060))
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if got.version != 7 || got.originator != "00112233-4455-6677-8899-aabbccddeeff" || !got.changed.Equal(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	if _, found, err := parsePasswordMetadata(metadataBlob(0, 0x90060)); found || err != nil {
		t.Errorf("without unicodePwd: found %v, %v", found, err)
	}
	good := metadataBlob(0, unicodePwdID)
	for name, blob := range map[string][]byte{
		"empty": nil, "short": good[:12], "cut": good[:len(good)-1], "longer": append(good[:len(good):len(good)], 0),
		"version 2": append([]byte{2}, good[1:]...), "count too large": append(append(good[:8:8], 0xff, 0xff, 0xff, 0xff), good[12:]...),
	} {
		if _, _, err := parsePasswordMetadata(blob); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzPasswordMetadata(f *testing.F) {
	f.Add(metadataBlob())
	f.Add(metadataBlob(0, unicodePwdID))
	f.Add(metadataBlob(unicodePwdID)[:40])
	f.Fuzz(func(t *testing.T, blob []byte) {
		m, found, err := parsePasswordMetadata(blob)
		if found && (err != nil || len(m.originator) != 36) {
			t.Fatalf("%+v %v", m, err)
		}
	})
}

func TestSIDs(t *testing.T) {
	admins := []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}
	if got, err := sidString(admins); err != nil || got != "S-1-5-32-544" {
		t.Errorf("%q %v", got, err)
	}
	for _, bad := range [][]byte{nil, admins[:15], append([]byte{2}, admins[1:]...), {1, 16, 0, 0, 0, 0, 0, 5}, {1, 1, 0, 0, 0, 0, 0, 5}} {
		if got, err := sidString(bad); err == nil {
			t.Errorf("%v is accepted as %s", bad, got)
		}
	}
	if sid, domain, err := accountSID("s-1-5-21-1-2-3-1103"); err != nil || sid != "S-1-5-21-1-2-3-1103" || domain != "S-1-5-21-1-2-3" {
		t.Errorf("%q %q %v", sid, domain, err)
	}
	for _, bad := range []string{
		"", "S-1-5-21", "S-1-5-21-1-2-3", "S-1-5-21-1-2-3-4-5", "S-1-5-32-544", "S-1-5-21-01-2-3-4", "S-1-5-21-1-2-3-4294967296",
		"S-1-5-21-1-2-3-", "S-1-5-21-1-2-3- 4", "S-1-5-21-1-2-3-4>", "S-1-5-21-1-2-3-٤",
	} {
		if _, _, err := accountSID(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzSID(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0})
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := sidString(b); err == nil && len(s) < len("S-1-0") {
			t.Fatalf("%q of %v", s, b)
		}
	})
}

func TestTimes(t *testing.T) {
	for ticks, want := range map[int64]time.Time{
		0: {}, neverExpires: {}, -1: {}, 132000000000000000: time.Date(2019, 4, 17, 18, 40, 0, 0, time.UTC),
	} {
		if got := fileTime(ticks); !got.Equal(want) {
			t.Errorf("%d: %v, want %v", ticks, got, want)
		}
	}
	if got, err := generalizedTime("20261122145017.0Z"); err != nil || !got.Equal(time.Date(2026, 11, 22, 14, 50, 17, 0, time.UTC)) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "2026", "20261122145017Z0"} {
		if _, err := generalizedTime(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestEncodedPassword(t *testing.T) {
	got, err := encodePassword(secret.NewString("Aé😀"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte("\"\x00A\x00\xe9\x00\x3d\xd8\x00\xde\"\x00"), got); diff != "" {
		t.Errorf("UTF-16LE (-want +got):\n%s", diff)
	}
}

func TestBuffersAreCleared(t *testing.T) {
	m := &modification{request: ldap.NewModifyRequest("", nil)}
	if _, err := m.encode(secret.NewString("a secret")); err != nil {
		t.Fatal(err)
	}
	m.clear()
	for _, b := range m.secrets[0] {
		if b != 0 {
			t.Fatalf("left over: % x", m.secrets[0])
		}
	}
}

// go-ldap's own control type encodes TRUE as 0x01, which real servers read as FALSE: the control would be skipped silently.
func TestCriticalIsEncodedAsTheStandardSays(t *testing.T) {
	got := criticalControl{oid: policyHintsOID, value: policyHintsOn}.Encode().Bytes()
	want := append([]byte{0x30, 0x23, 0x04, 0x17}, policyHintsOID...)
	want = append(want, 0x01, 0x01, 0xff, 0x04, 0x05, 0x30, 0x03, 0x02, 0x01, 0x01)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("control (-want +got):\n%s", diff)
	}
}

func FuzzDiagnostic(f *testing.F) {
	for _, seed := range []string{
		"0000052D: SvcErr: DSID-031A126C, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00",
		"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1",
		"It should be equal to or longer than 99999999999 characters!", "\xff\x00", "0000052D",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		err := ldap.NewError(ldap.LDAPResultUnwillingToPerform, errorText(message))
		typed := classify(err, "reset")
		if n := typed.Detail.MinLength; n < 0 || n > 1024 {
			t.Fatalf("minimum length %d", n)
		}
		for _, r := range typed.Error() {
			if r < ' ' || r == 0x7f {
				t.Fatalf("control character in %q", typed.Error())
			}
		}
		_ = bindCode(ldap.NewError(ldap.LDAPResultInvalidCredentials, errorText(message)))
	})
}

type errorText string

func (e errorText) Error() string { return string(e) }

package ldapwriter

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
)

// sambaDescriptor is that of a user who cannot change the password, below a delegated OU, as Samba 4.24 shows it with its access control list alone.
func sambaDescriptor(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/samba-cannot-change.sd.hex")
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return descriptor
}

// Well-known identities (MS-DTYP 2.4.2.4).
const (
	everyone           = "S-1-1-0"
	principalSelf      = "S-1-5-10"
	authenticatedUsers = "S-1-5-11"
)

const (
	sambaDomain  = "S-1-5-21-3361329067-1088342148-1533856058"
	sambaService = sambaDomain + "-1103"
	preWindows   = "S-1-5-32-554"
)

func TestAccessListOfARealUser(t *testing.T) {
	list, err := parseDACL(sambaDescriptor(t))
	if err != nil {
		t.Fatal(err)
	}
	service := []string{sambaService, everyone, authenticatedUsers, preWindows}
	for name, row := range map[string]struct {
		who    []string
		right  uint32
		object string
		want   bool
	}{
		"the delegated account resets":      {service, rightControlAccess, rightToReset, true},
		"nobody else does":                  {[]string{everyone, authenticatedUsers, preWindows}, rightControlAccess, rightToReset, false},
		"domain admins do":                  {[]string{sambaDomain + "-512"}, rightControlAccess, rightToReset, true},
		"everybody is denied the change":    {service, rightControlAccess, rightToChange, false},
		"the user too":                      {[]string{principalSelf}, rightControlAccess, rightToChange, false},
		"the policy's name may be read":     {service, rightReadProperty, resultantPSOID, true},
		"not outside pre-Windows 2000":      {[]string{everyone, authenticatedUsers}, rightReadProperty, resultantPSOID, false},
		"an inherit-only grant is no grant": {[]string{"S-1-3-0"}, rightReadProperty, resultantPSOID, false},
		"nobody may nothing":                {nil, rightReadProperty, resultantPSOID, false},
	} {
		if got := list.grants(row.who, row.right, row.object); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// descriptorOf builds one with these entries.
func descriptorOf(entries ...[]byte) []byte {
	body := slices.Concat(entries...)
	b := []byte{1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 4, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(8+len(body)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	return append(append(b, 0, 0), body...)
}

// entryFor is one about S-1-1-0.
func entryFor(kind, flags byte, mask uint32, object string, inherited bool) []byte {
	body := binary.LittleEndian.AppendUint32(nil, mask)
	if kind == aceAllowObject || kind == aceDenyObject || kind == aceDenyCallbackObj {
		present := uint32(0)
		var guids []byte
		if object != "" {
			guid, _ := writeback.ParseGUID(object)
			present, guids = present|aceObjectPresent, append(guids, guid[:]...)
		}
		if inherited {
			present, guids = present|aceInheritedPresent, append(guids, make([]byte, 16)...)
		}
		body = append(binary.LittleEndian.AppendUint32(body, present), guids...)
	}
	body = append(body, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
	return append(binary.LittleEndian.AppendUint16([]byte{kind, flags}, uint16(4+len(body))), body...)
}

func TestEntriesThatSpeakOfAnAttribute(t *testing.T) {
	const other = "00000000-1111-2222-3333-444444444444"
	for name, row := range map[string]struct {
		entries [][]byte
		want    bool
	}{
		"none":                      {nil, false},
		"read everything":           {[][]byte{entryFor(aceAllow, 0, rightReadProperty, "", false)}, true},
		"generic read":              {[][]byte{entryFor(aceAllow, 0, rightGenericRead, "", false)}, true},
		"generic all":               {[][]byte{entryFor(aceAllow, 0, rightGenericAll, "", false)}, true},
		"another right":             {[][]byte{entryFor(aceAllow, 0, rightControlAccess, "", false)}, false},
		"inherit only":              {[][]byte{entryFor(aceAllow, aceInheritOnly, rightReadProperty, "", false)}, false},
		"this attribute":            {[][]byte{entryFor(aceAllowObject, 0, rightReadProperty, resultantPSOID, false)}, true},
		"this attribute, inherited": {[][]byte{entryFor(aceAllowObject, 0, rightReadProperty, resultantPSOID, true)}, true},
		"another attribute":         {[][]byte{entryFor(aceAllowObject, 0, rightReadProperty, other, false)}, false},
		"object entry without one":  {[][]byte{entryFor(aceAllowObject, 0, rightReadProperty, "", true)}, true},
		"denied first":              {[][]byte{entryFor(aceDeny, 0, rightReadProperty, "", false), entryFor(aceAllow, 0, rightReadProperty, "", false)}, false},
		"denied, the attribute":     {[][]byte{entryFor(aceDenyObject, 0, rightReadProperty, resultantPSOID, false), entryFor(aceAllow, 0, rightReadProperty, "", false)}, false},
		"denied, another":           {[][]byte{entryFor(aceDenyObject, 0, rightReadProperty, other, false), entryFor(aceAllow, 0, rightReadProperty, "", false)}, true},
		"denied on a condition":     {[][]byte{entryFor(aceDenyCallback, 0, rightReadProperty, "", false), entryFor(aceAllow, 0, rightReadProperty, "", false)}, false},
		"granted on a condition":    {[][]byte{entryFor(9, 0, rightReadProperty, "", false)}, false},
		"denied after the grant":    {[][]byte{entryFor(aceAllow, 0, rightReadProperty, "", false), entryFor(aceDeny, 0, rightReadProperty, "", false)}, true},
	} {
		list, err := parseDACL(descriptorOf(row.entries...))
		if got := list.grants([]string{everyone}, rightReadProperty, resultantPSOID); err != nil || got != row.want {
			t.Errorf("%s: %v (%v)", name, got, err)
		}
	}
}

func TestWhatIsNoAccessList(t *testing.T) {
	good := descriptorOf(entryFor(aceAllow, 0, rightReadProperty, "", false))
	changed := func(at int, to byte) []byte { b := slices.Clone(good); b[at] = to; return b }
	for name, b := range map[string][]byte{
		"nothing": nil, "short": good[:19], "revision": changed(0, 2), "no list": changed(2, 0), "offset": changed(16, 0xff),
		"list too long": changed(22, 0xff), "list too short": changed(22, 4), "more entries": changed(24, 2), "entry too long": changed(30, 0xff),
		"entry too short": changed(30, 4), "identity too long": changed(37, 9), "cut": good[:len(good)-1],
	} {
		if list, err := parseDACL(b); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
	if list, err := parseDACL(changed(16, 0)); err != nil || !list.grants(nil, rightReadProperty, "") {
		t.Errorf("a descriptor whose list is null grants everything: %v", err)
	}
}

func FuzzAccessList(f *testing.F) {
	f.Add(sambaDescriptor(f))
	f.Add(descriptorOf(entryFor(aceDenyObject, 0, rightReadProperty, resultantPSOID, true)))
	f.Add(descriptorOf())
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseDACL(b)
		if err != nil && (list.open || len(list.entries) != 0) {
			t.Fatalf("%+v with %v", list, err)
		}
		for _, e := range list.entries {
			if !strings.HasPrefix(e.sid, "S-1-") || (e.object != "" && len(e.object) != 36) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

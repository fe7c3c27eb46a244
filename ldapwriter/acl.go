package ldapwriter

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Rights in access masks (MS-ADTS 5.1.3.2).
const (
	rightReadProperty  = 0x10
	rightControlAccess = 0x100
	rightGenericAll    = 0x10000000
	rightGenericRead   = 0x80000000
)

// What rights are about, by GUID: control access rights (MS-ADTS 5.1.3.2.1) and attributes (schemaIDGUID).
const (
	rightToReset   = "00299570-246d-11d0-a768-00aa006e0529" // User-Force-Change-Password
	rightToChange  = "ab721a53-1e2f-11d0-9819-00aa0040529b" // User-Change-Password
	resultantPSOID = "b77ea093-88d0-4780-9a98-911f8e8b1dca" // msDS-ResultantPSO, in no property set (MS-ADA2 2.452)
)

// acl is the access control list of an object, as far as the question goes who may do what to it.
type acl struct {
	entries []ace
	open    bool // there is none: everybody may do everything
}

// ace is one entry (MS-DTYP 2.4.4).
type ace struct {
	allow  bool
	mask   uint32
	object string // GUID of the right, attribute or property set it is about; empty: everything
	sid    string
}

// grants reports whether somebody with these security identifiers has a right on the object, or on one attribute or control access right
// of it. The first entry that speaks of it decides, denials coming first in the order the directory keeps (MS-ADTS 5.1.3.3).
func (l acl) grants(identities []string, right uint32, object string) bool {
	for _, e := range l.entries {
		if e.covers(right) && (e.object == "" || e.object == object) && slices.Contains(identities, e.sid) {
			return e.allow
		}
	}
	return l.open
}

// covers also reads the generic rights, which the directory replaces when it stores an entry.
func (e ace) covers(right uint32) bool {
	generic := e.mask&rightGenericAll != 0 || (right == rightReadProperty && e.mask&rightGenericRead != 0)
	return generic || e.mask&right != 0
}

var errDescriptor = errors.New("not a security descriptor with an access control list")

// Control flag, and offsets in a self-relative security descriptor (MS-DTYP 2.4.6).
const (
	daclPresent      = 0x4
	descriptorHeader = 20
	aclHeader        = 8
)

// parseDACL reads the access control list out of an nTSecurityDescriptor.
func parseDACL(descriptor []byte) (acl, error) {
	if len(descriptor) < descriptorHeader || descriptor[0] != 1 || binary.LittleEndian.Uint16(descriptor[2:])&daclPresent == 0 {
		return acl{}, errDescriptor
	}
	offset := int64(binary.LittleEndian.Uint32(descriptor[16:]))
	if offset == 0 {
		return acl{open: true}, nil
	}
	if offset+aclHeader > int64(len(descriptor)) {
		return acl{}, errDescriptor
	}
	list := descriptor[offset:]
	size, count := int(binary.LittleEndian.Uint16(list[2:])), int(binary.LittleEndian.Uint16(list[4:]))
	if size < aclHeader || size > len(list) {
		return acl{}, errDescriptor
	}
	return parseEntries(list[aclHeader:size], count)
}

func parseEntries(list []byte, count int) (acl, error) {
	var parsed acl
	for range count {
		if len(list) < 4 {
			return acl{}, errDescriptor
		}
		size := int(binary.LittleEndian.Uint16(list[2:]))
		if size < 8 || size > len(list) {
			return acl{}, errDescriptor
		}
		entry, applies, err := parseEntry(list[:size])
		if err != nil {
			return acl{}, err
		}
		if applies {
			parsed.entries = append(parsed.entries, entry)
		}
		list = list[size:]
	}
	return parsed, nil
}

// Types and flags of entries (MS-DTYP 2.4.4.1 to 2.4.4.4).
const (
	aceAllow            = 0
	aceDeny             = 1
	aceAllowObject      = 5
	aceDenyObject       = 6
	aceDenyCallback     = 0xa
	aceDenyCallbackObj  = 0xc
	aceInheritOnly      = 0x8
	aceObjectPresent    = 1
	aceInheritedPresent = 2
)

// parseEntry reads one entry; applies is false for one that says nothing about this object. A condition on a grant is taken as not met and one
// on a denial as met: both err on the side of "no".
func parseEntry(b []byte) (e ace, applies bool, err error) {
	kind, inheritOnly := b[0], b[1]&aceInheritOnly != 0
	e.mask = binary.LittleEndian.Uint32(b[4:])
	rest := b[8:]
	switch kind {
	case aceAllow, aceDeny, aceDenyCallback:
	case aceAllowObject, aceDenyObject, aceDenyCallbackObj:
		if e.object, rest, err = objectOf(rest); err != nil {
			return e, false, err
		}
	default:
		return e, false, nil
	}
	e.allow = kind == aceAllow || kind == aceAllowObject
	e.sid, err = leadingSID(rest)
	return e, !inheritOnly, err
}

// objectOf reads what an object entry is about, and skips the class that may inherit it.
func objectOf(b []byte) (object string, rest []byte, err error) {
	if len(b) < 4 {
		return "", nil, errDescriptor
	}
	flags := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if flags&aceObjectPresent != 0 {
		if len(b) < 16 {
			return "", nil, errDescriptor
		}
		object, b = writeback.GUID(b[:16]).String(), b[16:]
	}
	if flags&aceInheritedPresent != 0 {
		if len(b) < 16 {
			return "", nil, errDescriptor
		}
		b = b[16:]
	}
	return object, b, nil
}

// leadingSID reads the security identifier b starts with; conditions may follow it.
func leadingSID(b []byte) (string, error) {
	if len(b) < 8 || len(b) < 8+4*int(b[1]) {
		return "", errDescriptor
	}
	return sidString(b[:8+4*int(b[1])])
}

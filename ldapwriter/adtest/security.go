package adtest

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// Well-known identities (MS-DTYP 2.4.2.4).
const (
	everyone           = "S-1-1-0"
	networkLogon       = "S-1-5-2"
	principalSelf      = "S-1-5-10"
	authenticatedUsers = "S-1-5-11"
	preWindows2000     = "S-1-5-32-554" // may read everything of users; Authenticated Users are in it by default
)

// token returns whom a session acts as: what the rootDSE's tokenGroups shows.
func (e *entry) token() []string {
	identities := []string{e.sid, everyone, networkLogon, authenticatedUsers, preWindows2000}
	for _, group := range e.groups() {
		identities = append(identities, group.sid)
	}
	return identities
}

// Rights and what they are about (MS-ADTS 5.1.3.2).
const (
	mayControl   = 0x100
	mayReadAll   = 0x20094 // read property, list, list object, read control
	mayReadOne   = 0x10
	mayWriteOne  = 0x20
	mayReadOwner = 0x20000 // read control

	resetPassword  = "00299570-246d-11d0-a768-00aa006e0529"
	changePassword = "ab721a53-1e2f-11d0-9819-00aa0040529b"
	lockoutTimeID  = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
	pwdLastSetID   = "bf967a0a-0de6-11d0-a285-00aa003049e2"
	resultantPSOID = "b77ea093-88d0-4780-9a98-911f8e8b1dca"
)

// descriptor is the part of nTSecurityDescriptor that LDAP_SERVER_SD_FLAGS asks for with 4, the access control list, in the order Windows keeps
// (MS-ADTS 5.1.3): explicit denials, explicit grants, inherited ones. The entries are those of the schema's default for users, as far as the
// rules of this fake need them.
func (d *directory) descriptor(e *entry, unreadable []string) string {
	const header = 20
	control := uint16(0x8004) // self-relative, with an access control list
	var list []string
	if e.account.cannotChange {
		list = append(list, objectACE(6, mayControl, changePassword, principalSelf), objectACE(6, mayControl, changePassword, everyone))
	}
	if slices.ContainsFunc(unreadable, func(name string) bool { return strings.EqualFold(name, "msDS-ResultantPSO") }) {
		list = append(list, objectACE(6, mayReadOne, resultantPSOID, everyone))
	}
	list = append(list, objectACE(5, mayControl, changePassword, principalSelf), objectACE(5, mayControl, changePassword, everyone))
	if e.account.protected {
		control |= 0x1000 // nothing is inherited: the list is AdminSDHolder's
		list = append(list, plainACE(mayReadAll, authenticatedUsers))
	} else {
		list = append(list, plainACE(mayReadOwner, authenticatedUsers), plainACE(mayReadAll, preWindows2000))
		list = append(list, d.delegated(e)...)
	}
	entries := strings.Join(list, "")
	b := []byte{1, 0}
	b = binary.LittleEndian.AppendUint16(b, control)
	b = append(b, make([]byte, 12)...) // neither owner, group nor audit list
	b = binary.LittleEndian.AppendUint32(b, header)
	b = append(b, 4, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(8+len(entries)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(list)))
	b = append(b, 0, 0)
	return string(b) + entries
}

// delegated are the three entries of docs/operations.md, for each delegation above the account.
func (d *directory) delegated(e *entry) []string {
	var list []string
	for _, delegation := range d.domain.Delegations {
		holder := d.byLogin[strings.ToLower(delegation.Login)]
		if holder == nil || !d.covers(delegation, e) {
			continue
		}
		list = append(list, objectACE(5, mayControl, resetPassword, holder.sid),
			objectACE(5, mayWriteOne, lockoutTimeID, holder.sid), objectACE(5, mayWriteOne, pwdLastSetID, holder.sid))
	}
	return list
}

// covers reports whether an account is below the delegation's OU.
func (d *directory) covers(delegation Delegation, e *entry) bool {
	ou, err := ldapwriter.NormalizeDN(delegation.OU + "," + d.base)
	return err == nil && strings.HasSuffix(e.key, ","+ou)
}

// mayWrite reports whether the bound account was delegated the password rights on the target.
func (d *directory) mayWrite(bound, target *entry) bool {
	return !target.account.protected && slices.ContainsFunc(d.domain.Delegations, func(delegation Delegation) bool {
		return strings.EqualFold(delegation.Login, bound.account.login) && d.covers(delegation, target)
	})
}

// plainACE is an ACCESS_ALLOWED_ACE (MS-DTYP 2.4.4.2).
func plainACE(mask uint32, sid string) string {
	return entryOf(0, binary.LittleEndian.AppendUint32(nil, mask), sid)
}

// objectACE is an ACCESS_ALLOWED_OBJECT_ACE (5) or ACCESS_DENIED_OBJECT_ACE (6) (MS-DTYP 2.4.4.3).
func objectACE(kind byte, mask uint32, object, sid string) string {
	guid, _ := writeback.ParseGUID(object) // one of the constants above
	body := binary.LittleEndian.AppendUint32(nil, mask)
	body = binary.LittleEndian.AppendUint32(body, 1) // an object type, and no inherited one
	return entryOf(kind, append(body, guid[:]...), sid)
}

func entryOf(kind byte, body []byte, sid string) string {
	body = append(body, binarySID(sid)...)
	head := binary.LittleEndian.AppendUint16([]byte{kind, 0}, uint16(4+len(body)))
	return string(append(head, body...))
}

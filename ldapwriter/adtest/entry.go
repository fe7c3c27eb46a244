package adtest

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// entry is one object of the directory.
type entry struct {
	dn       string
	key      string // normalised name
	guid     writeback.GUID
	sid      string
	created  time.Time
	fixed    map[string][]string // attributes that never change, by their schema name
	memberOf []*entry
	account  *account // nil: not an account
	hidden   bool     // nobody here may see it
}

// set stores an attribute that never changes.
func (e *entry) set(attribute string, values ...string) {
	if e.fixed == nil {
		e.fixed = make(map[string][]string)
	}
	e.fixed[attribute] = values
}

// ticksTo1970 is the Unix epoch in 100 ns ticks since 1601.
const ticksTo1970 = 116444736000000000

// ticks writes a time as AD stores it; the zero time is 0.
func ticks(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixNano()/100+ticksTo1970, 10)
}

func generalizedTime(t time.Time) string { return t.UTC().Format("20060102150405.0Z") }

// stored returns every attribute that a search sees, by its schema name.
func (e *entry) stored() map[string][]string {
	all := make(map[string][]string, len(e.fixed)+12)
	for name, values := range e.fixed {
		all[name] = values
	}
	all["objectGUID"] = []string{string(e.guid[:])}
	all["distinguishedName"] = []string{e.dn}
	if e.sid != "" {
		all["objectSid"] = []string{binarySID(e.sid)}
	}
	for _, group := range e.memberOf {
		all["memberOf"] = append(all["memberOf"], group.dn)
	}
	if e.account != nil {
		e.account.stored(all, e.created)
	}
	return all
}

func (a *account) stored(all map[string][]string, created time.Time) {
	all["userAccountControl"] = []string{strconv.FormatUint(uint64(a.flags), 10)}
	all["pwdLastSet"] = []string{ticks(a.pwdLastSet)}
	all["badPwdCount"] = []string{strconv.Itoa(a.badPasswords)}
	all["whenChanged"] = []string{generalizedTime(a.changed)}
	all["replPropertyMetaData"] = []string{a.metadata(created)}
	all["accountExpires"] = []string{ticks(a.expires)}
	if !a.lockoutTime.IsZero() {
		all["lockoutTime"] = []string{ticks(a.lockoutTime)}
	}
	if a.protected {
		all["adminCount"] = []string{"1"}
	}
}

// constructed returns the attributes only a base read sees (MS-ADTS 3.1.1.4.5).
func (d *directory) constructed(e, reader *entry, now time.Time) map[string][]string {
	if e.account == nil {
		return nil
	}
	computed := 0
	if e.account.lockedOut(d.policyOf(e), now) {
		computed |= 0x10
	}
	all := map[string][]string{
		"msDS-KeyVersionNumber":              {strconv.FormatUint(uint64(d.keyVersion(e)), 10)},
		"msDS-User-Account-Control-Computed": {strconv.Itoa(computed)},
	}
	if d.mayWrite(reader, e) {
		all["allowedAttributesEffective"] = []string{"lockoutTime", "pwdLastSet"}
	}
	if own := d.resultantPSO(e); own != nil {
		all["msDS-ResultantPSO"] = []string{own.dn}
	}
	for _, group := range e.groups() {
		all["tokenGroups"] = append(all["tokenGroups"], binarySID(group.sid))
	}
	return all
}

// keyVersion counts the writes of the password, unless the 17th character of dSHeuristics stops it (fKVNOEmuW2K).
func (d *directory) keyVersion(e *entry) uint32 {
	if h := d.domain.Heuristics; len(h) >= 17 && h[16] != '0' {
		return 1
	}
	return e.account.version
}

// groups returns all groups the entry is in, by nesting too.
func (e *entry) groups() []*entry {
	var all []*entry
	pending := slices.Clone(e.memberOf)
	for len(pending) > 0 {
		group := pending[0]
		pending = pending[1:]
		if slices.Contains(all, group) {
			continue
		}
		all = append(all, group)
		pending = append(pending, group.memberOf...)
	}
	return all
}

// unicodePwd is its ATTRTYP.
const unicodePwd = 0x0009005a

// metadata is replPropertyMetaData (MS-DRSR 5.160): some attribute before unicodePwd, unicodePwd, and one after it.
func (a *account) metadata(created time.Time) string {
	rows := []struct {
		attribute, version uint32
		changed            time.Time
	}{
		{0x00000000, 1, created}, // objectClass
		{0x00090008, 1, created}, // userAccountControl
		{unicodePwd, a.version, a.changed},
		{0x00090060, a.version + 1, a.changed},    // pwdLastSet
		{0x00090290, 1, created.Add(time.Second)}, // userPrincipalName
	}
	blob := binary.LittleEndian.AppendUint32(nil, 1)
	blob = binary.LittleEndian.AppendUint32(blob, 0)
	blob = binary.LittleEndian.AppendUint32(blob, uint32(len(rows)))
	blob = binary.LittleEndian.AppendUint32(blob, 0)
	for _, row := range rows {
		blob = binary.LittleEndian.AppendUint32(blob, row.attribute)
		blob = binary.LittleEndian.AppendUint32(blob, row.version)
		blob = binary.LittleEndian.AppendUint64(blob, uint64(row.changed.Unix()+ticksTo1970/1e7))
		blob = append(blob, a.originator[:]...) // of all of them: nobody asks who wrote the others
		blob = binary.LittleEndian.AppendUint64(blob, uint64(row.version)+1000)
		blob = binary.LittleEndian.AppendUint64(blob, uint64(row.version)+1000)
	}
	return string(blob)
}

// binarySID encodes a SID of the text form (MS-DTYP 2.4.2.2). The SIDs here are our own, and well formed.
func binarySID(sid string) string {
	parts := strings.Split(sid, "-")[3:]
	b := []byte{1, byte(len(parts)), 0, 0, 0, 0, 0, 5}
	for _, part := range parts {
		n, _ := strconv.ParseUint(part, 10, 32)
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return string(b)
}

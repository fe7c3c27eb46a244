package adtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// directory is the data behind the server. Everything that changes is guarded by mu.
type directory struct {
	domain Domain
	base   string // DN of the domain

	mu      sync.RWMutex
	entries []*entry
	byName  map[string]*entry // normalised DN
	byGUID  map[writeback.GUID]*entry
	bySID   map[string]*entry
	byLogin map[string]*entry // lower case
	psos    []*pso
	nextRID int
}

// newDirectory builds the population. Its faults are the caller's.
func newDirectory(d Domain, now time.Time) (*directory, error) {
	dir := &directory{
		domain: d, base: "DC=" + strings.ReplaceAll(d.Name, ".", ",DC="), nextRID: 1103,
		byName: make(map[string]*entry), byGUID: make(map[writeback.GUID]*entry),
		bySID: make(map[string]*entry), byLogin: make(map[string]*entry),
	}
	if err := dir.addDomain(now); err != nil {
		return nil, err
	}
	for _, ou := range append([]string{"CN=Users"}, d.OUs...) {
		if _, err := dir.addEntry(ou+","+dir.base, "", now, "top", "organizationalUnit"); err != nil {
			return nil, err
		}
	}
	if err := dir.addGroups(now); err != nil {
		return nil, err
	}
	for _, user := range d.Users {
		if err := dir.addUser(user, now); err != nil {
			return nil, fmt.Errorf("user %s: %w", user.Login, err)
		}
	}
	for _, contact := range d.Contacts {
		if err := dir.addContact(contact, now); err != nil {
			return nil, err
		}
	}
	dir.protectAdministrators()
	if err := errors.Join(dir.addPSOs(now), dir.addConfiguration(now)); err != nil {
		return nil, err
	}
	return dir, nil
}

func (d *directory) addDomain(now time.Time) error {
	head, err := d.addEntry(d.base, d.domain.SID, now, "top", "domain", "domainDNS")
	if err != nil {
		return err
	}
	p := d.domain.Policy
	complexity := "0"
	if p.Complexity {
		complexity = "1"
	}
	head.set("fSMORoleOwner", settingsOf(d.base))
	head.set("minPwdLength", strconv.Itoa(p.MinLength))
	head.set("pwdHistoryLength", strconv.Itoa(p.History))
	head.set("pwdProperties", complexity)
	head.set("minPwdAge", span(p.MinAge))
	head.set("lockoutThreshold", strconv.Itoa(p.LockoutThreshold))
	head.set("lockoutDuration", span(p.LockoutDuration))
	head.set("lockOutObservationWindow", span(p.LockoutWindow))
	return nil
}

// addEntry adds an object. Its GUID follows from its name: fixtures may hard-code it.
func (d *directory) addEntry(dn, sid string, now time.Time, classes ...string) (*entry, error) {
	key, err := ldapwriter.NormalizeDN(dn)
	if err != nil {
		return nil, err
	}
	if d.byName[key] != nil {
		return nil, fmt.Errorf("%s exists twice", dn)
	}
	digest := sha256.Sum256([]byte(key))
	e := &entry{dn: dn, key: key, sid: sid, guid: writeback.GUID(digest[:16]), created: now.Add(-48 * time.Hour)}
	e.set("objectClass", classes...)
	e.set("whenCreated", generalizedTime(e.created))
	d.entries = append(d.entries, e)
	d.byName[key], d.byGUID[e.guid] = e, e
	if sid != "" {
		d.bySID[sid] = e
	}
	return e, nil
}

func (d *directory) sid(rid int) string {
	if rid == 0 {
		rid = d.nextRID
		d.nextRID++
	}
	return fmt.Sprintf("%s-%d", d.domain.SID, rid)
}

// nameOf builds a distinguished name below the relative ou.
func (d *directory) nameOf(cn, ou string) string {
	if ou == "" {
		ou = "CN=Users"
	}
	return "CN=" + escapeDN(cn) + "," + ou + "," + d.base
}

// escapeDN escapes as Windows does (RFC 4514 section 2.4).
func escapeDN(value string) string {
	var b strings.Builder
	for i := range len(value) {
		edgeSpace := value[i] == ' ' && (i == 0 || i == len(value)-1)
		if strings.IndexByte(`"+,;<=>\`, value[i]) >= 0 || edgeSpace || (value[i] == '#' && i == 0) {
			b.WriteByte('\\')
		}
		b.WriteByte(value[i])
	}
	return b.String()
}

// addGroups adds the groups, then their nesting.
func (d *directory) addGroups(now time.Time) error {
	for _, group := range d.domain.Groups {
		e, err := d.addEntry(d.nameOf(group.Name, group.OU), d.sid(group.RID), now, "top", "group")
		if err != nil {
			return err
		}
		e.set("sAMAccountName", group.Name)
		e.set("objectCategory", "CN=Group,CN=Schema,CN=Configuration,"+d.base)
		d.byLogin[strings.ToLower(group.Name)] = e
	}
	for _, group := range d.domain.Groups {
		if err := d.join(d.byLogin[strings.ToLower(group.Name)], group.MemberOf); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) join(e *entry, groups []string) error {
	for _, name := range groups {
		group := d.byLogin[strings.ToLower(name)]
		if group == nil {
			return fmt.Errorf("no group %s", name)
		}
		e.memberOf = append(e.memberOf, group)
	}
	return nil
}

// domainUsersRID is the primary group of every user.
const domainUsersRID = 513

func (d *directory) addUser(u User, now time.Time) error {
	if u.Login == "" {
		return errors.New("no login")
	}
	if u.Name == "" {
		u.Name = u.Login
	}
	if u.UPN == "" {
		u.UPN = u.Login + "@" + d.domain.Name
	}
	classes, category, flags := u.Kind.schema()
	if u.Flags == 0 {
		u.Flags = flags
	}
	e, err := d.addEntry(d.nameOf(u.Name, u.OU), d.sid(0), now, classes...)
	if err != nil {
		return err
	}
	e.set("cn", u.Name)
	e.set("displayName", u.Name)
	e.set("sAMAccountName", u.Login)
	e.set("userPrincipalName", u.UPN)
	e.set("primaryGroupID", strconv.Itoa(domainUsersRID))
	e.set("objectCategory", "CN="+category+",CN=Schema,CN=Configuration,"+d.base)
	if u.Mail != "" {
		e.set("mail", u.Mail)
	}
	if u.SourceAnchor != nil {
		e.set("mS-DS-ConsistencyGuid", string(u.SourceAnchor))
	}
	if primary := d.bySID[d.sid(domainUsersRID)]; primary != nil {
		e.memberOf = append(e.memberOf, primary)
	}
	e.account = u.account(now)
	e.account.originator = invocationOf(settingsOf(d.base))
	d.byLogin[strings.ToLower(u.Login)] = e
	return d.join(e, u.MemberOf)
}

func (d *directory) addContact(c Contact, now time.Time) error {
	e, err := d.addEntry(d.nameOf(c.Name, c.OU), "", now, "top", "person", "organizationalPerson", "contact")
	if err != nil {
		return err
	}
	e.set("cn", c.Name)
	e.set("mail", c.Mail)
	e.set("objectCategory", "CN=Person,CN=Schema,CN=Configuration,"+d.base)
	return nil
}

// schema returns the object classes, the category's name and the default flags of a kind.
func (k Kind) schema() (classes []string, category string, flags uint32) {
	classes = []string{"top", "person", "organizationalPerson", "user"}
	switch k {
	case Computer:
		return append(classes, "computer"), "Computer", flagWorkstation
	case ManagedServiceAccount:
		return append(classes, "computer", "msDS-GroupManagedServiceAccount"), "ms-DS-Group-Managed-Service-Account", flagWorkstation
	}
	return classes, "Person", flagNormal
}

func (u User) account(now time.Time) *account {
	age := u.PasswordAge
	if age == 0 {
		age = 24 * time.Hour
	}
	a := &account{
		login: u.Login, displayName: u.Name, password: u.Password, version: 1, changed: now.Add(-age), pwdLastSet: now.Add(-age),
		flags: u.Flags, expires: u.Expires, cannotChange: u.CannotChange,
	}
	if u.MustChange {
		a.pwdLastSet = time.Time{}
	}
	if u.Locked {
		a.lockoutTime = now.Add(-time.Minute)
	}
	return a
}

// protectAdministrators does what Windows' SDProp does every hour: members of administrative groups, nested ones too, get
// adminCount 1 and no longer inherit what was delegated above them (MS-ADTS 3.1.1.6.1.3).
func (d *directory) protectAdministrators() {
	for _, e := range d.entries {
		if e.account == nil {
			continue
		}
		for _, group := range e.groups() {
			switch group.sid {
			case d.sid(512), d.sid(518), d.sid(519), d.sid(544):
				e.account.protected = true
			}
		}
	}
}

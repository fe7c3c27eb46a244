package ldapwriter

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// stateAttributes are the evidence about a password.
func stateAttributes() []string {
	return []string{"replPropertyMetaData", "msDS-KeyVersionNumber", "pwdLastSet", "whenChanged", "lockoutTime", "badPwdCount"}
}

// accountAttributes are what an Account needs, its state included. tokenGroups and the msDS ones are constructed: a base read has
// them, a subtree search does not.
func accountAttributes() []string {
	return append(stateAttributes(),
		"objectGUID", "objectSid", "objectClass", "sAMAccountName", "userPrincipalName", "userAccountControl",
		"msDS-User-Account-Control-Computed", "accountExpires", "adminCount", "primaryGroupID", "tokenGroups", "mS-DS-ConsistencyGuid")
}

// lockoutFlag is UF_LOCKOUT of msDS-User-Account-Control-Computed: locked out, and the lockout has not run out (MS-ADTS 3.1.1.4.5.17).
const lockoutFlag = 0x10

// sighting is an entry as one controller showed it, with the controller's clock and what else is known of it.
type sighting struct {
	entry  *ldap.Entry
	clock  clock
	root   rootDSE
	policy policy // the one that applies to the user; known only where [policyQuestion] was asked
}

// account makes the Account of a sighting on c. What may not be read stays zero, without an error: the guard refuses then, but only
// within the scope. An error here would tell which users exist beyond it.
func (c *controller) account(seen sighting) (writeback.Account, error) {
	e := seen.entry
	n := numbers{entry: e}
	var guid writeback.GUID
	if raw := e.GetEqualFoldRawAttributeValue("objectGUID"); len(raw) == len(guid) {
		guid = writeback.GUID(raw)
	}
	sid, _ := sidString(e.GetEqualFoldRawAttributeValue("objectSid"))
	containers, err := Ancestors(e.DN)
	if err != nil {
		return writeback.Account{}, writeback.NewError(writeback.AgentInternal, fmt.Errorf("name of the account: %w", err))
	}
	groups, err := groupSIDs(e)
	if err != nil {
		return writeback.Account{}, writeback.NewError(writeback.AgentInternal, err)
	}
	state, stateErr := passwordState(seen)
	a := writeback.Account{
		GUID: guid, SID: sid, Domain: c.domain.Name, Controller: c.address,
		DistinguishedName: e.DN, Containers: containers,
		SAMAccountName:     e.GetEqualFoldAttributeValue("sAMAccountName"),
		UserPrincipalName:  e.GetEqualFoldAttributeValue("userPrincipalName"),
		ObjectClasses:      e.GetEqualFoldAttributeValues("objectClass"),
		UserAccountControl: uint32(n.value("userAccountControl")),
		AccountExpires:     fileTime(n.value("accountExpires")),
		ExpiryKnown:        e.GetEqualFoldAttributeValue("accountExpires") != "",
		LockoutTimeSet:     state.LockoutTimeSet,
		LockedOut:          lockedOut(&n, state),
		AdminCount:         int(n.value("adminCount")),
		PrimaryGroupSID:    primaryGroup(sid, n.value("primaryGroupID")),
		TokenGroups:        groups,
		Password:           state,
	}
	if err := errors.Join(n.err, stateErr); err != nil {
		return writeback.Account{}, writeback.NewError(writeback.AgentInternal, err)
	}
	return a, nil
}

// lockedOut believes the controller's own computation; where it may not be read, a lockout counts as lasting.
func lockedOut(n *numbers, state writeback.PasswordState) bool {
	computed, readable := n.get("msDS-User-Account-Control-Computed")
	if !readable {
		return state.LockoutTimeSet
	}
	return computed&lockoutFlag != 0
}

// primaryGroup puts the relative id of the primary group into the account's domain. Empty when either is not readable.
func primaryGroup(accountSID string, rid int64) string {
	if rid == 0 || accountSID == "" {
		return ""
	}
	return fmt.Sprintf("%s-%d", accountSID[:strings.LastIndexByte(accountSID, '-')], rid)
}

func groupSIDs(e *ldap.Entry) ([]string, error) {
	var groups []string
	for _, raw := range e.GetEqualFoldRawAttributeValues("tokenGroups") {
		sid, err := sidString(raw)
		if err != nil {
			return nil, fmt.Errorf("tokenGroups: %w", err)
		}
		groups = append(groups, sid)
	}
	return groups, nil
}

// passwordState collects the evidence about the password.
func passwordState(seen sighting) (writeback.PasswordState, error) {
	n := numbers{entry: seen.entry}
	lastSet, lastSetReadable := n.get("pwdLastSet")
	lockoutTime := n.value("lockoutTime")
	badPasswords, badReadable := n.get("badPwdCount")
	p := writeback.PasswordState{
		PasswordLastSet:  fileTime(lastSet),
		MustChange:       lastSetReadable && lastSet == 0,
		LockoutTimeSet:   lockoutTime != 0,
		BadPasswordCount: int(badPasswords),
		LockoutThreshold: seen.policy.lockoutThreshold,
		ThresholdKnown:   seen.policy.known && badReadable,
		ControllerTime:   seen.clock.theirs,
		ReadAt:           seen.clock.ours,
	}
	p.Own = seen.root.invocation
	err := addVersion(&p, seen, &n)
	return p, errors.Join(err, n.err)
}

// addVersion fills in how often and when the password was written, from the best source that is readable.
func addVersion(p *writeback.PasswordState, seen sighting, n *numbers) error {
	e := seen.entry
	p.ChangedAt = p.PasswordLastSet
	if p.ChangedAt.IsZero() {
		p.ChangedAt, _ = generalizedTime(e.GetEqualFoldAttributeValue("whenChanged"))
	}
	if blob := e.GetEqualFoldRawAttributeValue("replPropertyMetaData"); len(blob) > 0 {
		m, found, err := parsePasswordMetadata(blob)
		if err != nil {
			return err
		}
		p.VersionSource = writeback.VersionReplication
		if found {
			p.Version, p.ChangedAt, p.Originating = m.version, m.changed, m.originator
		}
		return nil
	}
	if version, readable := n.get("msDS-KeyVersionNumber"); readable && !seen.root.keyNumberStuck {
		p.Version, p.VersionSource = uint32(version), writeback.VersionKeyNumber
	}
	return nil
}

// immutableIDMatches reports whether the account carries the asserted source anchor.
func immutableIDMatches(e *ldap.Entry, asserted []byte) bool {
	id := e.GetEqualFoldRawAttributeValue("mS-DS-ConsistencyGuid")
	if len(id) == 0 {
		id = e.GetEqualFoldRawAttributeValue("objectGUID")
	}
	return slices.Equal(id, asserted)
}

// isPerson reports whether an entry is a user account for people: neither a computer nor a managed service account nor the
// account of a trust, which share the object class.
func isPerson(e *ldap.Entry) bool {
	for _, class := range e.GetEqualFoldAttributeValues("objectClass") {
		switch strings.ToLower(class) {
		case "computer", "msds-managedserviceaccount", "msds-groupmanagedserviceaccount", "msds-delegatedmanagedserviceaccount":
			return false
		}
	}
	uac, readable, err := integer(e, "userAccountControl")
	return err != nil || !readable || uint32(uac)&writeback.UACNormalAccount != 0
}

// immutableIDText is for messages.
func immutableIDText(id []byte) string { return base64.StdEncoding.EncodeToString(id) }

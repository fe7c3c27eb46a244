package writeback

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// GUID is an objectGUID in the byte order Active Directory stores: the first three fields are little-endian
// (MS-DTYP 2.3.4.2).
type GUID [16]byte

// ParseGUID reads the canonical text form "8-4-4-4-12" in either case, without braces.
func ParseGUID(s string) (GUID, error) {
	plain := strings.ReplaceAll(s, "-", "")
	if len(s) != 36 || len(plain) != 32 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GUID{}, fmt.Errorf("not a GUID of the form 8-4-4-4-12: %q", s)
	}
	raw, err := hex.DecodeString(plain)
	if err != nil {
		return GUID{}, fmt.Errorf("not a GUID: %w", err)
	}
	return swapped(GUID(raw)), nil
}

// String returns the canonical lower-case text form.
func (g GUID) String() string {
	b := swapped(g)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// IsZero reports whether g is unset.
func (g GUID) IsZero() bool { return g == GUID{} }

// swapped turns the stored byte order into the text order, and back.
func swapped(g GUID) GUID {
	return GUID{
		g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6],
		g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15],
	}
}

// Account flags of userAccountControl (MS-ADTS 2.2.16).
const (
	UACDisabled          uint32 = 0x0002
	UACNormalAccount     uint32 = 0x0200
	UACSmartcardRequired uint32 = 0x40000
)

// Account is one user account as one controller showed it. It stays on the host: the names in it never leave in a result.
type Account struct {
	GUID       GUID
	SID        string
	Domain     string // DNS name of the domain, lower case
	Controller string // host:port of the controller it was read from; the write goes there and nowhere else

	DistinguishedName string // as the server wrote it; for the scope and the audit, never as the target of a write
	// Containers are the normalised names of all containers above the account, nearest first, to be compared for equality
	// with names normalised in the same way.
	Containers         []string
	SAMAccountName     string
	UserPrincipalName  string
	ObjectClasses      []string
	UserAccountControl uint32
	AccountExpires     time.Time // zero: never, if it is known
	ExpiryKnown        bool      // accountExpires was readable
	LockedOut          bool      // lockoutTime is set and the lockout has not run out
	LockoutTimeSet     bool      // lockoutTime is not 0, whether or not the lockout still counts
	AdminCount         int
	PrimaryGroupSID    string
	// TokenGroups are the SIDs of all groups, nested ones too, from a base read of tokenGroups. LDAP leaves out what may
	// not be read: empty means unknown, never "no groups".
	TokenGroups []string
	// Warnings are stable words about how the account was found; a check hands them on (Detail.Warnings).
	Warnings []string

	Password PasswordState
}

// Disabled reports whether the account is disabled.
func (a Account) Disabled() bool { return a.UserAccountControl&UACDisabled != 0 }

// SmartcardRequired reports whether the account may only log on with a smart card.
func (a Account) SmartcardRequired() bool { return a.UserAccountControl&UACSmartcardRequired != 0 }

// PasswordState is the evidence a controller gives about an account's password: what is compared before and after a write
// whose answer was lost. All times are the controller's.
type PasswordState struct {
	// Version counts the writes of unicodePwd on this controller's replica. 0 with VersionSource none: not readable.
	Version uint32
	// VersionSource says what Version is: values of different sources must not be compared.
	VersionSource VersionSource
	// ChangedAt is when unicodePwd was last written: from the replication metadata, else pwdLastSet where that is a time,
	// else whenChanged (an upper bound). Zero: unknown.
	ChangedAt time.Time
	// Originating identifies the controller (invocation id) that made the last write; empty: not readable.
	Originating string
	// Own is the invocation id of the controller that was asked, under which it would make our write; empty: not readable. A last
	// write with another Originating is not ours.
	Own string
	// PasswordLastSet is pwdLastSet; zero with MustChange set, or when not readable. Not proof of a write on its own: 0
	// after must-change, and -1 sets "now" without a new password.
	PasswordLastSet time.Time
	// MustChange reports pwdLastSet = 0.
	MustChange bool
	// LockoutTimeSet reports that lockoutTime is present and not 0.
	LockoutTimeSet bool
	// BadPasswordCount and LockoutThreshold bound a probe by bind; a threshold of 0 means no lockout. ThresholdKnown is
	// false where the policy could not be read: then no probe.
	BadPasswordCount int
	LockoutThreshold int
	ThresholdKnown   bool
	// ControllerTime is the controller's clock (rootDSE currentTime) at the moment of the read, ReadAt ours: their
	// difference corrects the other times.
	ControllerTime time.Time
	ReadAt         time.Time
}

// VersionSource names the attribute a password version was read from.
type VersionSource string

// The sources, best first.
const (
	VersionNone        VersionSource = ""
	VersionReplication VersionSource = "replPropertyMetaData"  // unicodePwd's entry: version, time, originating controller
	VersionKeyNumber   VersionSource = "msDS-KeyVersionNumber" // goes up with every password write
)

// ClockOffset returns by how much the controller's clock is ahead of ours (to the accuracy of one round trip and the
// whole seconds of currentTime). 0 when either time is unknown.
func (p PasswordState) ClockOffset() time.Duration {
	if p.ControllerTime.IsZero() || p.ReadAt.IsZero() {
		return 0
	}
	return p.ControllerTime.Sub(p.ReadAt)
}

// ChangedAtLocal returns ChangedAt on our clock. Zero: unknown.
func (p PasswordState) ChangedAtLocal() time.Time {
	if p.ChangedAt.IsZero() {
		return time.Time{}
	}
	return p.ChangedAt.Add(-p.ClockOffset())
}

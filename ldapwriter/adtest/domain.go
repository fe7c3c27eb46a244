package adtest

import (
	"fmt"
	"strings"
	"time"
)

// Domain describes the population of a fake domain. The zero values of its parts are usable.
type Domain struct {
	Name        string // DNS name
	NetBIOSName string
	SID         string // S-1-5-21-a-b-c; accounts count up from 1103 below it
	Policy      Policy
	OUs         []string // relative to the domain, for example OU=Staff; a child after its parent
	Groups      []Group
	Users       []User
	Delegations []Delegation
	PSOs        []PSO
	Contacts    []Contact
	// AnchorIndexed: mS-DS-ConsistencyGuid has an index, which the schema does not give it.
	AnchorIndexed bool
	// Heuristics is dSHeuristics of the forest (MS-ADTS 6.1.1.2.4.1.2); a 17th character other than 0 stops msDS-KeyVersionNumber at 1.
	Heuristics string
}

// Policy is the domain's password policy.
type Policy struct {
	MinLength        int
	Complexity       bool
	History          int // remembered passwords
	MinAge           time.Duration
	LockoutThreshold int           // wrong binds that lock an account; 0: never
	LockoutDuration  time.Duration // 0: until it is unlocked
	LockoutWindow    time.Duration // after it, wrong binds are forgotten (lockOutObservationWindow); 0: never
}

// Group is a security group.
type Group struct {
	Name     string   // CN and sAMAccountName
	OU       string   // relative; empty: CN=Users
	RID      int      // 0: the next free one
	MemberOf []string // names of groups it is in
}

// Kind is the class of an account.
type Kind int

// The kinds.
const (
	Person Kind = iota
	Computer
	ManagedServiceAccount // group managed, a descendant of computer
)

// User is an account.
type User struct {
	Login    string // sAMAccountName
	Name     string // CN and displayName; empty: Login
	OU       string // relative; empty: CN=Users
	Password string
	// PasswordAge is how long ago the password was set; 0: a day. A request older than the password is refused by the agent.
	PasswordAge time.Duration
	Flags       uint32 // userAccountControl; 0: a normal account
	Expires     time.Time
	MustChange  bool
	Locked      bool
	// CannotChange denies the user the own right to change the password.
	CannotChange bool
	MemberOf     []string // names of groups
	Kind         Kind
	UPN          string // empty: Login@domain
	// Policy is a fine-grained policy of this user alone, which may not be read; see [PSO] for others. nil: none.
	Policy *Policy
	Mail   string // empty: none
	// SourceAnchor is mS-DS-ConsistencyGuid, 16 bytes; nil: not set.
	SourceAnchor []byte
}

// Contact is a person without an account: of the category of people, but no user (MS-ADSC, class contact).
type Contact struct {
	Name string // CN
	OU   string // relative; empty: CN=Users
	Mail string
}

// Delegation lets an account reset passwords and write lockoutTime and pwdLastSet of the users below an OU.
type Delegation struct {
	Login string
	OU    string
}

// What everybody in Corp knows.
const (
	CorpPassword        = "Initial-Passw0rd!1" // of every person
	CorpServicePassword = "Svc-Passw0rd!1"     // of both service accounts
	CorpServiceUser     = "writeback-svc@corp.example.com"
	CorpOtherUser       = "nodeleg-svc@corp.example.com" // without delegation
)

// contractPeople are ordinary people for tests that leave their passwords behind, contract01 and so on.
const contractPeople = 12

// Corp is the domain of the tests and the lab: corp.example.com with a delegated service account, people of every kind of state, and names
// with everything a distinguished name must escape. It resembles the seed of the Samba lab.
func Corp() Domain {
	d := Domain{
		Name: "corp.example.com", NetBIOSName: "CORP", SID: "S-1-5-21-1004336348-1177238915-682003330",
		Policy:      Policy{MinLength: 8, Complexity: true, History: 5, LockoutThreshold: 3},
		OUs:         []string{"OU=Staff", "OU=Bulk,OU=Staff", "OU=Outside", "OU=Service Accounts"},
		Delegations: []Delegation{{Login: "writeback-svc", OU: "OU=Staff"}},
		Groups: []Group{
			{Name: "Domain Admins", RID: 512, MemberOf: []string{"Administrators"}},
			{Name: "Domain Users", RID: 513},
			{Name: "Protected Users", RID: 525},
			{Name: "Administrators", RID: 544},
			{Name: "Tier0 Helpers", OU: "OU=Staff", MemberOf: []string{"Domain Admins"}},
		},
	}
	for _, login := range []string{"writeback-svc", "nodeleg-svc"} {
		d.Users = append(d.Users, User{Login: login, OU: "OU=Service Accounts", Password: CorpServicePassword})
	}
	for _, login := range []string{"alice", "bob", "carol", "dave", "erin"} {
		d.Users = append(d.Users, User{Login: login})
	}
	for i := range contractPeople {
		d.Users = append(d.Users, User{Login: fmt.Sprintf("contract%02d", i+1)})
	}
	d.Users = append(d.Users, corpStates()...)
	d.Users = append(d.Users, corpNames()...)
	for i := range d.Users {
		person := &d.Users[i]
		if person.OU == "" {
			person.OU = "OU=Staff"
		}
		if person.Password == "" {
			person.Password = CorpPassword
		}
		person.SourceAnchor = []byte((person.Login + strings.Repeat("\x00", 16))[:16])
	}
	return d
}

// Flags of userAccountControl (MS-ADTS 2.2.16).
const (
	flagDisabled      = 0x2
	flagNormal        = 0x200
	flagWorkstation   = 0x1000
	flagNeverExpires  = 0x10000
	flagSmartcardOnly = 0x40000
)

func corpStates() []User {
	return []User{
		{Login: "outsider", OU: "OU=Outside"},
		{Login: "disabled1", Flags: flagNormal | flagDisabled},
		{Login: "expired1", Expires: time.Date(2019, 4, 17, 0, 0, 0, 0, time.UTC)},
		{Login: "mustchange1", MustChange: true},
		{Login: "mustchange2", MustChange: true},
		{Login: "locked1", Locked: true},
		{Login: "locked2", Locked: true},
		{Login: "locked3", Locked: true},
		{Login: "neverexp1", Flags: flagNormal | flagNeverExpires},
		{Login: "smartcard1", Flags: flagNormal | flagSmartcardOnly},
		{Login: "cantchange1", CannotChange: true},
		{Login: "protuser1", MemberOf: []string{"Protected Users"}},
		{Login: "pso1", Policy: &Policy{MinLength: 14, Complexity: true, History: 10, LockoutThreshold: 2}},
		{Login: "pso2", Policy: &Policy{MinLength: 4}},
		{Login: "minage1", Policy: &Policy{MinLength: 8, Complexity: true, History: 5, MinAge: 48 * time.Hour}},
		{Login: "admin1", MemberOf: []string{"Domain Admins"}},
		{Login: "admin2", MemberOf: []string{"Domain Admins"}},
		{Login: "admin3", MemberOf: []string{"Tier0 Helpers"}},
		{Login: "PC1$", Name: "PC1", Kind: Computer},
		{Login: "gmsa1$", Name: "gmsa1", Kind: ManagedServiceAccount},
	}
}

func corpNames() []User {
	return []User{
		{Login: "comma1", Name: "Doe, John"}, {Login: "plus1", Name: "Plus+Sign"}, {Login: "backslash1", Name: `Back\slash`},
		{Login: "quote1", Name: `Quote"Mark"`}, {Login: "hash1", Name: "#hash lead"}, {Login: "space1", Name: " lead and trail "},
		{Login: "semi1", Name: "Semi;colon<less>=eq"}, {Login: "slash1", Name: "Slash/Name"},
		{Login: "paren1", Name: "Paren (x) *star*"}, {Login: "apos1", Name: "O'Brien"}, {Login: "nonascii1", Name: "José Ñandú Łódź"},
		{Login: "cjk1", Name: "山田太郎"}, {Login: "emoji1", Name: "Smile 😀"}, {Login: "arabic1", Name: "محمد"},
		{Login: "umlaut1", Name: "Jürgen Groß"}, {Login: "combining1", Name: "e\u0301 combining"}, {Login: "üser1", Name: "Umlaut Login"},
	}
}

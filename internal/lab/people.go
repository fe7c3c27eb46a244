package lab

import (
	"crypto/rand"
	"math/big"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Logins of the people in the fake directory. Everybody is there for one request of the demonstration, so that no request
// can hide what another one did.
const (
	ada   = "ada"   // reset by SID
	ben   = "ben"   // reset by objectGUID
	chloe = "chloe" // reset by user principal name, to a password that is not ASCII
	dana  = "dana"  // must change the password at the next logon
	emil  = "emil"  // reset by immutable id
	finn  = "finn"  // locked out
	gina  = "gina"  // wants a password that is too short
	hugo  = "hugo"  // wants the password that is already set
	ida   = "ida"   // a domain administrator
	jan   = "jan"   // outside of the agent's scope
	kira  = "kira"  // whose request is replayed
	liam  = "liam"  // whose request has expired
	mona  = "mona"  // whose request is forged
	nils  = "nils"  // whose request is sealed for another agent
	nadia = "nadia" // not in the directory
)

const (
	domainName     = "corp.example.com"
	domainDN       = "DC=corp,DC=example,DC=com"
	netBIOSName    = "CORP"
	staffOU        = "OU=Staff"
	outsideOU      = "OU=Outside"
	serviceOU      = "OU=Service Accounts"
	serviceAccount = "svc-writeback"
)

// minLength is the least number of characters of a password in the fake directory.
const minLength = 10

// domain is the fake directory's population. Everybody's password comes from newPassword.
func domain(newPassword func(login string) secret.Value) adtest.Domain {
	d := adtest.Domain{
		Name: domainName, NetBIOSName: netBIOSName, SID: "S-1-5-21-1004336348-1177238915-682003330",
		Policy:      adtest.Policy{MinLength: minLength, Complexity: true, History: 24, LockoutThreshold: 5},
		OUs:         []string{staffOU, outsideOU, serviceOU},
		Groups:      []adtest.Group{{Name: "Domain Admins", RID: 512}, {Name: "Domain Users", RID: 513}},
		Delegations: []adtest.Delegation{{Login: serviceAccount, OU: staffOU}},
	}
	add := func(user adtest.User) {
		newPassword(user.Login).Use(func(b []byte) { user.Password = string(b) })
		user.SourceAnchor = anchor(user.Login)
		d.Users = append(d.Users, user)
	}
	add(adtest.User{Login: serviceAccount, OU: serviceOU})
	for _, login := range []string{ada, ben, chloe, dana, emil, gina, hugo, kira, liam, mona, nils} {
		add(adtest.User{Login: login, OU: staffOU})
	}
	add(adtest.User{Login: finn, OU: staffOU, Locked: true})
	add(adtest.User{Login: ida, OU: staffOU, MemberOf: []string{"Domain Admins"}})
	add(adtest.User{Login: jan, OU: outsideOU})
	return d
}

// anchor is a person's mS-DS-ConsistencyGuid, by which a cloud directory knows the account: here the login, padded to 16 bytes.
func anchor(login string) []byte { return append([]byte(login), make([]byte, 16-len(login))...) }

// newPassword makes a password nobody has seen: 120 random bits behind a beginning that satisfies the complexity rule. The bits
// are written as digits, because letters would now and then spell the name of a person, which the policy refuses.
func newPassword(beginning string) secret.Value {
	random, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails, see crypto/rand
	return secret.NewString(beginning + "Aa1-" + random.String())
}

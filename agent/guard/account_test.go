package guard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestCheckAccount(t *testing.T) {
	normal := writeback.UACNormalAccount
	type change = func(*writeback.Account)
	group := func(sid string) change {
		return func(a *writeback.Account) { a.TokenGroups = append(a.TokenGroups, sid) }
	}
	class := func(names ...string) change { return func(a *writeback.Account) { a.ObjectClasses = names } }
	uac := func(flags uint32) change { return func(a *writeback.Account) { a.UserAccountControl = flags } }
	for name, test := range map[string]struct {
		change change
		reason writeback.Reason
		hint   string
		cause  string
	}{
		"good":            {func(*writeback.Account) {}, writeback.ReasonOK, "", ""},
		"inetOrgPerson":   {class("top", "person", "organizationalPerson", "User", "inetOrgPerson"), writeback.ReasonOK, "", ""},
		"directly in it":  {func(a *writeback.Account) { a.Containers = []string{staff, root} }, writeback.ReasonOK, "", ""},
		"never expires":   {func(a *writeback.Account) { a.AccountExpires = time.Time{} }, writeback.ReasonOK, "", ""},
		"expires later":   {func(a *writeback.Account) { a.AccountExpires = noon.Add(time.Second) }, writeback.ReasonOK, "", ""},
		"no primary":      {func(a *writeback.Account) { a.PrimaryGroupSID = "" }, writeback.ReasonOK, "", ""},
		"locked, unlocks": {func(a *writeback.Account) { a.LockedOut = true }, writeback.ReasonOK, "", ""},

		"outside":           {func(a *writeback.Account) { a.Containers = []string{"ou=x," + root, root} }, writeback.PolicyOutOfScope, "", "included"},
		"excluded":          {func(a *writeback.Account) { a.Containers = []string{boss, staff, root} }, writeback.PolicyOutOfScope, "", "excluded"},
		"issuer's scope":    {func(a *writeback.Account) { a.Containers = []string{services, root} }, writeback.PolicyOutOfScope, "", "issuer"},
		"no containers":     {func(a *writeback.Account) { a.Containers = nil }, writeback.PolicyOutOfScope, "", "included"},
		"suffix only":       {func(a *writeback.Account) { a.Containers = []string{"ou=not" + staff, root} }, writeback.PolicyOutOfScope, "", ""},
		"other domain":      {func(a *writeback.Account) { a.Domain = "lab.example" }, writeback.PolicyOutOfScope, "", "not configured"},
		"computer":          {class("top", "person", "organizationalPerson", "user", "computer"), writeback.PolicyOutOfScope, "", "computer"},
		"gMSA":              {class("top", "user", "msDS-GroupManagedServiceAccount"), writeback.PolicyOutOfScope, "", "msDS-Group"},
		"sMSA":              {class("top", "user", "msds-managedserviceaccount"), writeback.PolicyOutOfScope, "", "msDS-Managed"},
		"contact":           {class("top", "person", "contact"), writeback.PolicyOutOfScope, "", "not a user"},
		"dMSA":              {class("top", "user", "msDS-DelegatedManagedServiceAccount"), writeback.PolicyOutOfScope, "", "msDS-Deleg"},
		"trust, normal too": {uac(normal | 0x0800), writeback.PolicyOutOfScope, "", "not a user"},
		"host, normal too":  {uac(normal | 0x1000), writeback.PolicyOutOfScope, "", "not a user"},
		"server account":    {uac(normal | 0x2000), writeback.PolicyOutOfScope, "", "not a user"},
		"krbtgt by name":    {func(a *writeback.Account) { a.SAMAccountName = "KrbTgt" }, writeback.PolicyProtectedUser, "", "Kerberos"},
		"an RODC's krbtgt":  {func(a *writeback.Account) { a.SAMAccountName = "krbtgt_23119" }, writeback.PolicyProtectedUser, "", "Kerberos"},
		"like a krbtgt":     {func(a *writeback.Account) { a.SAMAccountName = "krbtgt_fan" }, writeback.ReasonOK, "", ""},
		"adminCount, group": {func(a *writeback.Account) { a.AdminCount, a.PrimaryGroupSID = 1, domainSID+"-512" }, writeback.PolicyProtectedUser, "", "Domain Admins"},
		"trust account":     {uac(0x0800), writeback.PolicyOutOfScope, "", "not a user"},
		"workstation":       {uac(0x1000), writeback.PolicyOutOfScope, "", "not a user"},
		"no GUID":           {func(a *writeback.Account) { a.GUID = writeback.GUID{} }, writeback.PolicyProtectedUser, guard.HintUnreadable, "objectGUID"},
		"no classes":        {class(), writeback.PolicyProtectedUser, guard.HintUnreadable, "objectClass"},
		"no flags":          {uac(0), writeback.PolicyProtectedUser, guard.HintUnreadable, "userAccountControl"},
		"no SID":            {func(a *writeback.Account) { a.SID = "" }, writeback.PolicyProtectedUser, guard.HintUnreadable, "objectSid"},
		"no groups":         {func(a *writeback.Account) { a.TokenGroups = nil }, writeback.PolicyProtectedUser, guard.HintUnreadable, "could not be read"},
		"groups empty":      {func(a *writeback.Account) { a.TokenGroups = []string{} }, writeback.PolicyProtectedUser, guard.HintUnreadable, "tokenGroups"},
		"group unclear":     {group("Domain Admins"), writeback.PolicyProtectedUser, guard.HintUnreadable, "not a SID"},
		"adminCount":        {func(a *writeback.Account) { a.AdminCount = 1 }, writeback.PolicyProtectedUser, guard.HintAdminCountOrphaned, "adminCount"},
		"adminCount odd":    {func(a *writeback.Account) { a.AdminCount = -1 }, writeback.PolicyProtectedUser, guard.HintAdminCountOrphaned, "adminCount"},
		"listed group":      {group(domainSID + "-2001"), writeback.PolicyProtectedUser, "", "-2001"},
		"listed SID":        {func(a *writeback.Account) { a.SID = domainSID + "-3001" }, writeback.PolicyProtectedUser, "", "protected account"},
		"listed GUID":       {func(a *writeback.Account) { a.GUID = writeback.GUID{0, 1, 2, 3, 15: 0xff} }, writeback.PolicyProtectedUser, "", "protected account"},
		"bind by SID":       {func(a *writeback.Account) { a.SID = domainSID + "-4001" }, writeback.PolicyProtectedUser, "", ""},
		"bind by DN":        {func(a *writeback.Account) { a.DistinguishedName = "cn=SVC,OU=staff,DC=corp,DC=example" }, writeback.PolicyProtectedUser, "", "agent's own"},
		"bind by SAM":       {func(a *writeback.Account) { a.SAMAccountName = "SVC1" }, writeback.PolicyProtectedUser, "", "agent's own"},
		"bind by UPN":       {func(a *writeback.Account) { a.UserPrincipalName = "Svc2@Corp.Example" }, writeback.PolicyProtectedUser, "", "agent's own"},
		"bind UPN's SAM":    {func(a *writeback.Account) { a.SAMAccountName = "svc2" }, writeback.PolicyProtectedUser, "", "agent's own"},
		"primary group":     {func(a *writeback.Account) { a.PrimaryGroupSID = domainSID + "-512" }, writeback.PolicyProtectedUser, "", "Domain Admins"},
		"the forest's":      {group("S-1-5-21-9-8-7-519"), writeback.PolicyProtectedUser, "", "Enterprise Admins"},
		"SID with zeros":    {group(domainSID + "-00512"), writeback.PolicyProtectedUser, "", "Domain Admins"},
		"SID in lower":      {group("s-1-5-32-544"), writeback.PolicyProtectedUser, "", "Administrators"},
		"like a RID":        {group(domainSID + "-5120"), writeback.ReasonOK, "", ""},
		"longer than one":   {group(domainSID + "-7-512"), writeback.ReasonOK, "", ""},
		"disabled":          {uac(normal | writeback.UACDisabled), writeback.UserDisabled, "", "0x202"},
		"smart card":        {uac(normal | writeback.UACSmartcardRequired), writeback.UserSmartcardRequired, "", "0x40200"},
		"expiry unreadable": {func(a *writeback.Account) { a.ExpiryKnown = false }, writeback.PolicyProtectedUser, guard.HintUnreadable, "accountExpires"},
		"expired":           {func(a *writeback.Account) { a.AccountExpires = noon }, writeback.UserExpired, "", "2026-03-01T12:00:00Z"},
		"admin, disabled":   {func(a *writeback.Account) { a.AdminCount, a.UserAccountControl = 1, normal|writeback.UACDisabled }, writeback.PolicyProtectedUser, guard.HintAdminCountOrphaned, ""},
		"disabled, locked":  {func(a *writeback.Account) { a.LockedOut, a.UserAccountControl = true, normal|writeback.UACDisabled }, writeback.UserDisabled, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := account()
			test.change(&a)
			check(t, newGuard(t).CheckAccount(request(), a, noon), test.reason, test.hint, test.cause)
		})
	}
}

// builtin lists what is protected without configuration, apart from the code that knows it.
func builtin() []string {
	sids := []string{}
	for _, rid := range []int{544, 548, 549, 550, 551, 552} {
		sids = append(sids, fmt.Sprintf("S-1-5-32-%d", rid))
	}
	for _, rid := range []int{498, 500, 501, 502, 512, 516, 518, 519, 520, 521, 525, 526, 527} {
		sids = append(sids, fmt.Sprintf("%s-%d", domainSID, rid))
	}
	return sids
}

func TestBuiltinProtection(t *testing.T) {
	g := newGuard(t)
	for _, sid := range builtin() {
		for place, change := range map[string]func(*writeback.Account){
			"own SID":       func(a *writeback.Account) { a.SID = sid },
			"token group":   func(a *writeback.Account) { a.TokenGroups = slices.Insert(a.TokenGroups, 0, sid) },
			"primary group": func(a *writeback.Account) { a.PrimaryGroupSID = sid },
		} {
			t.Run(place+" "+sid, func(t *testing.T) {
				a := account()
				change(&a)
				check(t, g.CheckAccount(request(), a, noon), writeback.PolicyProtectedUser, "", sid)
			})
		}
	}
}

// TestWhoIsEnabled also covers groups that cannot be read, which enable nobody, and that a protected account stays one.
func TestWhoIsEnabled(t *testing.T) {
	pilot := domainSID + "-7001"
	member := func(a *writeback.Account) { a.TokenGroups = append(a.TokenGroups, pilot) }
	for name, test := range map[string]struct {
		enabled guard.Enabled
		groups  []string
		change  func(*writeback.Account)
		reason  writeback.Reason
		hint    string
		cause   string
	}{
		"all":               {guard.EnabledAll, nil, func(*writeback.Account) {}, writeback.ReasonOK, "", ""},
		"nobody":            {guard.EnabledNobody, nil, member, writeback.PolicyOutOfScope, "", "nobody"},
		"no member":         {guard.EnabledGroups, []string{pilot}, func(*writeback.Account) {}, writeback.PolicyOutOfScope, "", "none of the groups"},
		"a member":          {guard.EnabledGroups, []string{domainSID + "-1", pilot}, member, writeback.ReasonOK, "", ""},
		"in other spelling": {guard.EnabledGroups, []string{"s-1-5-21-01111-2222-3333-7001"}, member, writeback.ReasonOK, "", ""},
		"by primary group":  {guard.EnabledGroups, []string{pilot}, func(a *writeback.Account) { a.PrimaryGroupSID = pilot }, writeback.ReasonOK, "", ""},
		"like the group":    {guard.EnabledGroups, []string{pilot}, func(a *writeback.Account) { a.TokenGroups = append(a.TokenGroups, pilot+"0") }, writeback.PolicyOutOfScope, "", ""},
		"unreadable":        {guard.EnabledGroups, []string{pilot}, func(a *writeback.Account) { a.TokenGroups, a.PrimaryGroupSID = nil, pilot }, writeback.PolicyOutOfScope, "", "tokenGroups"},
		"admin, no member":  {guard.EnabledGroups, []string{pilot}, func(a *writeback.Account) { a.AdminCount, a.SID = 1, domainSID+"-500" }, writeback.PolicyOutOfScope, "", ""},
		"protected member":  {guard.EnabledGroups, []string{pilot}, func(a *writeback.Account) { member(a); a.SID = domainSID + "-500" }, writeback.PolicyProtectedUser, "", "Administrator"},
		"disabled":          {guard.EnabledNobody, nil, func(a *writeback.Account) { a.UserAccountControl |= writeback.UACDisabled }, writeback.PolicyOutOfScope, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := rules()
			domain := r.Domains["corp.example"]
			domain.EnabledFor, domain.EnabledGroups = test.enabled, test.groups
			r.Domains["corp.example"] = domain
			g, err := guard.New(r)
			if err != nil {
				t.Fatal(err)
			}
			a := account()
			test.change(&a)
			check(t, g.CheckAccount(request(), a, noon), test.reason, test.hint, test.cause)
		})
	}
}

func TestNewRefusesHalfAnEnabling(t *testing.T) {
	for name, domain := range map[string]guard.DomainRules{
		"unset":           {},
		"unknown":         {EnabledFor: "some"},
		"groups, none":    {EnabledFor: guard.EnabledGroups},
		"all, and groups": {EnabledFor: guard.EnabledAll, EnabledGroups: []string{domainSID + "-1"}},
		"no SID":          {EnabledFor: guard.EnabledGroups, EnabledGroups: []string{"Pilot"}},
	} {
		domain.Include = []string{root}
		if _, err := guard.New(guard.Rules{Domains: map[string]guard.DomainRules{"corp.example": domain}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCheckAccountByOperation(t *testing.T) {
	g := newGuard(t)
	locked, disabled := account(), account()
	locked.LockedOut, disabled.UserAccountControl = true, writeback.UACNormalAccount|writeback.UACDisabled
	for _, test := range []struct {
		op       writeback.Operation
		unlock   bool
		locked   writeback.Reason
		disabled writeback.Reason
	}{
		{writeback.OpReset, true, writeback.ReasonOK, writeback.UserDisabled},
		{writeback.OpReset, false, writeback.UserLocked, writeback.UserDisabled},
		{writeback.OpChange, false, writeback.UserLocked, writeback.UserDisabled},
		{writeback.OpUnlock, false, writeback.ReasonOK, writeback.UserDisabled},
		{writeback.OpCheck, false, writeback.ReasonOK, writeback.UserDisabled},
		{writeback.OpPing, false, writeback.PolicyOperationNotAllowed, writeback.PolicyOperationNotAllowed},
	} {
		r := request()
		r.Operation, r.Unlock = test.op, test.unlock
		check(t, g.CheckAccount(r, locked, noon), test.locked, "", "")
		check(t, g.CheckAccount(r, disabled, noon), test.disabled, "", "")
	}
}

func TestWholeDirectoryStillKeepsToTheDomains(t *testing.T) {
	g := newGuard(t)
	r := request()
	r.Claims, r.Subject.Kind = deskClaims(), writeback.ByGUID
	a := account()
	a.Containers = []string{services, root}
	check(t, g.CheckAccount(r, a, noon), writeback.ReasonOK, "", "")
	a.Containers = []string{root}
	check(t, g.CheckAccount(r, a, noon), writeback.PolicyOutOfScope, "", "included")
	a.Containers = []string{boss, staff, root}
	check(t, g.CheckAccount(r, a, noon), writeback.PolicyOutOfScope, "", "excluded")
}

// TestNeverAdmitsOnDoubt takes random accounts that would be admitted, spoils each by one or more facts that speak
// against it or take evidence away, and shuffles in harmless ones: none may be admitted.
func TestNeverAdmitsOnDoubt(t *testing.T) {
	g := newGuard(t)
	random := rand.New(rand.NewPCG(1, 2))
	spoilers := []func(*writeback.Account){
		func(a *writeback.Account) { a.TokenGroups = nil },
		func(a *writeback.Account) { a.SID = "" },
		func(a *writeback.Account) { a.SID = "S-1-5-21-x" },
		func(a *writeback.Account) { a.ObjectClasses = nil },
		func(a *writeback.Account) { a.ObjectClasses = append(a.ObjectClasses, "computer") },
		func(a *writeback.Account) { a.UserAccountControl = 0 },
		func(a *writeback.Account) { a.UserAccountControl &^= writeback.UACNormalAccount },
		func(a *writeback.Account) { a.UserAccountControl |= writeback.UACDisabled },
		func(a *writeback.Account) { a.UserAccountControl |= writeback.UACSmartcardRequired },
		func(a *writeback.Account) { a.Containers = nil },
		func(a *writeback.Account) { a.Containers = append(a.Containers, boss) },
		func(a *writeback.Account) { a.Domain = "" },
		func(a *writeback.Account) { a.GUID = writeback.GUID{} },
		func(a *writeback.Account) { a.AdminCount = 1 + random.IntN(9) },
		func(a *writeback.Account) { a.AccountExpires = noon.Add(-time.Duration(random.IntN(1e9))) },
		func(a *writeback.Account) { a.SAMAccountName = "svc1" },
		func(a *writeback.Account) { a.TokenGroups = append(a.TokenGroups, domainSID+"-2001") },
		func(a *writeback.Account) { a.TokenGroups = append(a.TokenGroups, "") },
		func(a *writeback.Account) {
			sids := builtin()
			a.TokenGroups = append(a.TokenGroups, sids[random.IntN(len(sids))])
		},
		func(a *writeback.Account) {
			sids := builtin()
			a.PrimaryGroupSID = sids[random.IntN(len(sids))]
		},
	}
	for range 5000 {
		a := account()
		for range random.IntN(20) {
			a.TokenGroups = append(a.TokenGroups, fmt.Sprintf("%s-%d", domainSID, 5000+random.IntN(1e6)))
		}
		if err := g.CheckAccount(request(), a, noon); err != nil {
			t.Fatalf("a good account was refused: %v", err)
		}
		for range 1 + random.IntN(3) {
			spoilers[random.IntN(len(spoilers))](&a)
		}
		random.Shuffle(len(a.TokenGroups), func(i, j int) { a.TokenGroups[i], a.TokenGroups[j] = a.TokenGroups[j], a.TokenGroups[i] })
		if err := g.CheckAccount(request(), a, noon); err == nil {
			t.Fatalf("admitted: %+v", a)
		}
	}
}

func FuzzCheckAccount(f *testing.F) {
	f.Add("S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-512", staff, "user", uint32(512))
	f.Add("S-1-5-32-544", "S-1-5-21-1-2-3-000512", "", "computer", uint32(0x202))
	f.Add("S-1-5-21-1-2-3-1104", "s-1-5-21-1-2-3-0x200", root, "", uint32(0))
	g, err := guard.New(rules())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sid, group, container, class string, flags uint32) {
		a := account()
		a.SID, a.TokenGroups, a.Containers = sid, []string{group}, []string{container}
		a.ObjectClasses, a.UserAccountControl = []string{class}, flags
		if g.CheckAccount(request(), a, noon) == nil && (container != staff || flags&0x202 != 0x200) {
			t.Errorf("admitted: %+v", a)
		}
	})
}

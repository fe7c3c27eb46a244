package adtest_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// The order of MS-ADTS 3.1.1.4.5.36: linked to the user before linked to a group, then the lowest precedence.
func TestResultantPolicy(t *testing.T) {
	s := start(t, func(o *adtest.Options) {
		o.Domain.Groups = append(o.Domain.Groups, adtest.Group{Name: "Outer"}, adtest.Group{Name: "Inner", MemberOf: []string{"Outer"}})
		for i := range o.Domain.Users {
			switch o.Domain.Users[i].Login {
			case "alice", "bob", "carol":
				o.Domain.Users[i].MemberOf = []string{"Inner"}
			}
		}
		short := adtest.Policy{MinLength: 3}
		o.Domain.PSOs = []adtest.PSO{
			{Name: "outer", Precedence: 1, Policy: adtest.Policy{MinLength: 20}, AppliesTo: []string{"Outer"}, Readable: true},
			{Name: "inner", Precedence: 2, Policy: adtest.Policy{MinLength: 30}, AppliesTo: []string{"Inner"}},
			{Name: "own", Precedence: 9, Policy: short, AppliesTo: []string{"alice", "dave"}, Readable: true},
			{Name: "better own", Precedence: 8, Policy: short, AppliesTo: []string{"alice"}, Readable: true},
			{Name: "machines", Precedence: 1, Policy: short, AppliesTo: []string{"PC1$"}, Readable: true},
		}
	})
	svc := service(t, s)
	for dn, want := range map[string]string{
		"CN=alice" + staff: "better own", "CN=bob" + staff: "outer", "CN=dave" + staff: "own", "CN=erin" + staff: "", "CN=PC1" + staff: "",
	} {
		entry := search(t, svc, dn, ldap.ScopeBaseObject, "(objectClass=*)", "msDS-ResultantPSO")[0]
		cn, _, _ := strings.Cut(strings.TrimPrefix(entry.GetAttributeValue("msDS-ResultantPSO"), "CN="), ",")
		if diff := cmp.Diff(want, cn); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dn, diff)
		}
	}
	want(t, svc.Modify(resetRequest("alice", "abc")), 0, "")
	want(t, svc.Modify(resetRequest("bob", newPassword)), 53, "0000052D") // 16 characters
}

func TestPoliciesThatMayNotBeReadAreNotThere(t *testing.T) {
	s := start(t, func(o *adtest.Options) {
		o.Domain.PSOs = []adtest.PSO{
			{Name: "open", Precedence: 1, Policy: adtest.Policy{MinLength: 20, MinAge: time.Hour}, Readable: true},
			{Name: "closed", Precedence: 2},
		}
	})
	svc := service(t, s)
	found := search(t, svc, "DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, "(objectClass=msDS-PasswordSettings)",
		"msDS-MinimumPasswordLength", "msDS-MinimumPasswordAge", "msDS-PasswordComplexityEnabled")
	if len(found) != 1 || found[0].GetAttributeValue("msDS-MinimumPasswordLength") != "20" ||
		found[0].GetAttributeValue("msDS-MinimumPasswordAge") != "-36000000000" || found[0].GetAttributeValue("msDS-PasswordComplexityEnabled") != "FALSE" {
		t.Errorf("%+v", found)
	}
	_, err := svc.Search(ldap.NewSearchRequest("CN=closed,CN=Password Settings Container,CN=System,DC=corp,DC=example,DC=com", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	want(t, err, 32, "0000208D")
}

// Wrong binds that lie further apart than the observation window do not add up.
func TestLockoutObservationWindow(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s := start(t, func(o *adtest.Options) { o.Clock, o.Domain.Policy.LockoutWindow = clock, 10*time.Minute })
	conn := connect(t, s)
	for _, row := range []struct {
		pause time.Duration
		count int
	}{{0, 1}, {9 * time.Minute, 2}, {11 * time.Minute, 1}, {time.Minute, 2}, {time.Minute, 3}} {
		mu.Lock()
		now = now.Add(row.pause)
		mu.Unlock()
		want(t, conn.Bind("bob@corp.example.com", "wrong"), 49, "80090308")
		if state, _ := s.User("bob"); state.BadPasswords != row.count || state.LockoutTime.IsZero() != (row.count < 3) {
			t.Errorf("after %v: %+v", row.pause, state)
		}
	}
}

func TestReadOnlyControllerRefersWrites(t *testing.T) {
	s := start(t, func(o *adtest.Options) { o.ReadOnly = true })
	want(t, service(t, s).Modify(resetRequest("alice", newPassword)), ldap.LDAPResultReferral, "0000202B: RefErr")
	root := search(t, connect(t, s), "", ldap.ScopeBaseObject, "(objectClass=*)", "supportedCapabilities")[0]
	if got := root.GetAttributeValues("supportedCapabilities"); len(got) != 2 || got[1] != "1.2.840.113556.1.4.1920" {
		t.Errorf("capabilities %v", got)
	}
	if s.Writes("alice") != 0 {
		t.Error("written")
	}
}

func TestWhichSearchesScan(t *testing.T) {
	s := start(t, func(o *adtest.Options) { o.ScanDelay = time.Millisecond })
	svc := service(t, s)
	for filter, scans := range map[string]int{
		"(sAMAccountName=alice)": 0, "(&(objectCategory=person)(userPrincipalName=alice@corp.example.com))": 0, "(|(mail=a)(objectGUID=a))": 0,
		"(mS-DS-ConsistencyGuid=a)": 1, "(|(mail=a)(mS-DS-ConsistencyGuid=a))": 1, "(!(sAMAccountName=alice))": 1, "(objectCategory=person)": 1, "(sAMAccountName=a*)": 1,
	} {
		before := s.Scans()
		search(t, svc, "OU=Staff,DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, filter, "cn")
		if got := s.Scans() - before; got != scans {
			t.Errorf("%s: %d scans, want %d", filter, got, scans)
		}
	}
	before := s.Scans()
	search(t, svc, "CN=alice"+staff, ldap.ScopeBaseObject, "(objectClass=*)", "cn")
	if s.Scans() != before {
		t.Error("a base read scans nothing")
	}
}

// Without the control the descriptor is left out for whoever may not read all of it; with it, the list names the delegation.
func TestAccessControlLists(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	read := func(login string, controls ...ldap.Control) string {
		request := ldap.NewSearchRequest("CN="+login+staff, 0, 0, 0, 0, false, "(objectClass=*)", []string{"nTSecurityDescriptor"}, controls)
		result, err := svc.Search(request)
		if err != nil {
			t.Fatal(err)
		}
		return string(result.Entries[0].GetRawAttributeValue("nTSecurityDescriptor"))
	}
	resetRight, err := writeback.ParseGUID("00299570-246d-11d0-a768-00aa006e0529")
	if err != nil {
		t.Fatal(err)
	}
	if got := read("alice"); got != "" {
		t.Errorf("%d bytes without the control", len(got))
	}
	for login, delegated := range map[string]bool{"alice": true, "admin1": false} {
		if got := read(login, descriptorFlags{}); strings.Contains(got, string(resetRight[:])) != delegated || len(got) < 28 {
			t.Errorf("%s: delegated %v in % x", login, !delegated, got)
		}
	}
	entry := search(t, svc, "CN=alice"+staff, ldap.ScopeBaseObject, "(objectClass=*)", "allowedAttributesEffective")[0]
	if diff := cmp.Diff([]string{"lockoutTime", "pwdLastSet"}, entry.GetAttributeValues("allowedAttributesEffective")); diff != "" {
		t.Errorf("writable (-want +got):\n%s", diff)
	}
	entry = search(t, svc, "CN=admin1"+staff, ldap.ScopeBaseObject, "(objectClass=*)", "allowedAttributesEffective")[0]
	if got := entry.GetAttributeValues("allowedAttributesEffective"); len(got) != 0 {
		t.Errorf("an administrator's %v may be written", got)
	}
}

func TestReplicatedWritesKeepTheirOriginator(t *testing.T) {
	s := start(t)
	if !s.Replicate("alice", "x", writeback.GUID{7}) || s.Replicate("nobody", "x", writeback.GUID{7}) {
		t.Error("Replicate reports wrongly")
	}
	if version, _ := passwordMetadata(t, service(t, s), "alice"); version != 2 {
		t.Errorf("version %d", version)
	}
}

func TestKeyVersionsThatDoNotCount(t *testing.T) {
	s := start(t, func(o *adtest.Options) { o.Domain.Heuristics = "00000000010000001" })
	svc := service(t, s)
	want(t, svc.Modify(resetRequest("alice", newPassword)), 0, "")
	entry := search(t, svc, "CN=alice"+staff, ldap.ScopeBaseObject, "(objectClass=*)", "msDS-KeyVersionNumber")[0]
	if got := entry.GetAttributeValue("msDS-KeyVersionNumber"); got != "1" {
		t.Errorf("version %s", got)
	}
}

func TestPolicyOfNobodyIsRefused(t *testing.T) {
	domain := adtest.Corp()
	domain.PSOs = []adtest.PSO{{Name: "lost", AppliesTo: []string{"nobody"}}}
	if s, err := adtest.New(adtest.Options{Domain: domain}); err == nil {
		_ = s.Close()
		t.Error("accepted")
	}
}

// descriptorFlags asks for the access control list alone.
type descriptorFlags struct{ hints }

func (descriptorFlags) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "1.2.840.113556.1.4.801", ""))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "\x30\x03\x02\x01\x04", ""))
	return p
}

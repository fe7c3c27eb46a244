package adtest_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

const (
	hintsOID    = "1.2.840.113556.1.4.2239"
	hintsValue  = "\x30\x03\x02\x01\x01"
	newPassword = "Fresh-Wort 2026!"
	staff       = ",OU=Staff,DC=corp,DC=example,DC=com"
)

func start(t *testing.T, change ...func(*adtest.Options)) *adtest.Server {
	t.Helper()
	options := adtest.Options{Domain: adtest.Corp()}
	for _, each := range change {
		each(&options)
	}
	return adtest.Start(t, options)
}

func connect(t *testing.T, s *adtest.Server) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL("ldaps://"+s.Addr(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.CAPool(), MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// service connects and binds as the delegated account.
func service(t *testing.T, s *adtest.Server) *ldap.Conn {
	t.Helper()
	conn := connect(t, s)
	if err := conn.Bind(adtest.CorpServiceUser, adtest.CorpServicePassword); err != nil {
		t.Fatal(err)
	}
	return conn
}

// quoted encodes a value of unicodePwd.
func quoted(password string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// hints is the policy-hints control with TRUE encoded as RFC 4511 demands.
type hints struct{}

func (hints) GetControlType() string { return hintsOID }
func (hints) String() string         { return hintsOID }
func (hints) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, hintsOID, ""))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, hintsValue, ""))
	return p
}

func resetRequest(login, password string, controls ...ldap.Control) *ldap.ModifyRequest {
	r := ldap.NewModifyRequest("CN="+login+staff, controls)
	r.Replace("unicodePwd", []string{quoted(password)})
	return r
}

// want checks the result code and what leads the diagnostic message; code 0 is success.
func want(t *testing.T, err error, code uint16, leads string) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("%v, want success", err)
		}
		return
	}
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.ResultCode != code || !strings.HasPrefix(answer.Err.Error(), leads) {
		t.Errorf("%v, want %d %s", err, code, leads)
	}
}

func TestBindSubCodes(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	for _, row := range []struct{ name, password, data string }{
		{"alice@corp.example.com", adtest.CorpPassword, ""},
		{`CORP\alice`, adtest.CorpPassword, ""},
		{"CN=alice" + staff, adtest.CorpPassword, ""},
		{`CN=Doe\, John` + staff, adtest.CorpPassword, ""},
		{"ÜSER1@corp.example.com", adtest.CorpPassword, ""},
		{"bob@corp.example.com", "wrong", "52e"},
		{"nobody@corp.example.com", "wrong", "52e"},
		{"disabled1@corp.example.com", adtest.CorpPassword, "533"},
		{"disabled1@corp.example.com", "wrong", "52e"},
		{"expired1@corp.example.com", adtest.CorpPassword, "701"},
		{"mustchange1@corp.example.com", adtest.CorpPassword, "773"},
		{"locked1@corp.example.com", adtest.CorpPassword, "775"},
	} {
		err := conn.Bind(row.name, row.password)
		if row.data == "" {
			want(t, err, 0, "")
			continue
		}
		want(t, err, ldap.LDAPResultInvalidCredentials, "80090308: LdapErr: ")
		if !strings.Contains(err.Error(), "data "+row.data+",") {
			t.Errorf("%s: %v, want data %s", row.name, err, row.data)
		}
	}
}

func TestLockout(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s := start(t, func(o *adtest.Options) { o.Clock, o.Domain.Policy.LockoutDuration = clock, 30*time.Minute })
	conn := connect(t, s)
	for range 3 {
		want(t, conn.Bind("bob@corp.example.com", "wrong"), 49, "80090308")
	}
	if state, _ := s.User("bob"); state.LockoutTime.IsZero() || state.BadPasswords != 3 {
		t.Errorf("%+v", state)
	}
	if err := conn.Bind("bob@corp.example.com", adtest.CorpPassword); err == nil || !strings.Contains(err.Error(), "data 775") {
		t.Errorf("%v, want 775 with the right password", err)
	}
	svc := service(t, s)
	want(t, svc.Modify(resetRequest("bob", newPassword)), 0, "")
	if err := conn.Bind("bob@corp.example.com", newPassword); err == nil || !strings.Contains(err.Error(), "data 775") {
		t.Errorf("%v: a reset alone does not unlock", err)
	}
	mu.Lock()
	now = now.Add(31 * time.Minute)
	mu.Unlock()
	want(t, conn.Bind("bob@corp.example.com", newPassword), 0, "")
	want(t, conn.Bind("bob@corp.example.com", adtest.CorpPassword), 49, "80090308")
	if state, _ := s.User("bob"); state.BadPasswords != 0 {
		t.Errorf("%d bad passwords: the last two old ones do not count", state.BadPasswords)
	}
}

func TestPasswordRules(t *testing.T) {
	value := func(kind uint, values ...string) func(*ldap.ModifyRequest) {
		return func(r *ldap.ModifyRequest) {
			r.Changes = append(r.Changes, ldap.Change{Operation: kind, Modification: ldap.PartialAttribute{Type: "unicodePwd", Vals: values}})
		}
	}
	old, fresh := quoted(adtest.CorpPassword), quoted(newPassword)
	for name, row := range map[string]struct {
		login   string
		changes []func(*ldap.ModifyRequest)
		code    uint16
		leads   string
		writes  int
	}{
		"reset":             {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh)}, 0, "", 1},
		"too short":         {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted("Aa7!"))}, 53, "0000052D: SvcErr", 0},
		"too simple":        {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted("lowercaseonly"))}, 53, "0000052D: SvcErr", 0},
		"spaces count not":  {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted("lower case 7"))}, 53, "0000052D: SvcErr", 0},
		"Asian letters do":  {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted("lower山田太郎7"))}, 0, "", 1},
		"holds the login":   {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted("Xx-aLICe-2026"))}, 53, "0000052D: SvcErr", 0},
		"not quoted":        {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh[2:])}, 53, "0000001F: SvcErr", 0},
		"UTF-8":             {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, `"`+newPassword+`"`)}, 53, "0000001F: SvcErr", 0},
		"odd length":        {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh+"x")}, 53, "0000001F: SvcErr", 0},
		"257 units":         {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, quoted(strings.Repeat("Aa7!", 64)+"x"))}, 53, "0000001F: SvcErr", 0},
		"two values":        {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh, fresh)}, 53, "0000001F: SvcErr", 0},
		"no value":          {"alice", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute)}, 53, "0000001F: SvcErr", 0},
		"add only":          {"alice", []func(*ldap.ModifyRequest){value(ldap.AddAttribute, fresh)}, 53, "0000001F: SvcErr", 0},
		"change":            {"alice", []func(*ldap.ModifyRequest){value(ldap.DeleteAttribute, old), value(ldap.AddAttribute, fresh)}, 0, "", 1},
		"wrong old":         {"alice", []func(*ldap.ModifyRequest){value(ldap.DeleteAttribute, fresh), value(ldap.AddAttribute, fresh)}, 19, "00000056: AtrErr", 0},
		"change to old":     {"alice", []func(*ldap.ModifyRequest){value(ldap.DeleteAttribute, old), value(ldap.AddAttribute, old)}, 19, "0000052D: AtrErr", 0},
		"cannot change":     {"cantchange1", []func(*ldap.ModifyRequest){value(ldap.DeleteAttribute, old), value(ldap.AddAttribute, fresh)}, 19, "00000005: AtrErr", 0},
		"cannot change but": {"cantchange1", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh)}, 0, "", 1},
		"administrator":     {"admin1", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh)}, 50, "00000005: SecErr", 0},
		"nested one":        {"admin3", []func(*ldap.ModifyRequest){value(ldap.ReplaceAttribute, fresh)}, 50, "00000005: SecErr", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			r := ldap.NewModifyRequest("CN="+row.login+staff, nil)
			for _, change := range row.changes {
				change(r)
			}
			want(t, service(t, s).Modify(r), row.code, row.leads)
			if got := s.Writes(row.login); got != row.writes {
				t.Errorf("%d writes, want %d", got, row.writes)
			}
			state, _ := s.User(row.login)
			if got := int(state.PasswordVersion) - 1; got != row.writes {
				t.Errorf("version moved by %d, want %d", got, row.writes)
			}
		})
	}
}

// What go-ldap's own control sends is 0x01, which real servers read as FALSE: history is skipped without a word.
func TestPolicyHintsNeedTheRightTrue(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	want(t, svc.Modify(resetRequest("alice", adtest.CorpPassword, ldap.NewControlString(hintsOID, true, hintsValue))), 0, "")
	want(t, svc.Modify(resetRequest("alice", adtest.CorpPassword)), 0, "")
	want(t, svc.Modify(resetRequest("alice", adtest.CorpPassword, hints{})), 53, "0000052D: SvcErr")
	want(t, svc.Modify(resetRequest("alice", newPassword, hints{})), 0, "")
	want(t, svc.Modify(resetRequest("alice", adtest.CorpPassword, hints{})), 53, "0000052D: SvcErr")
	without := start(t, func(o *adtest.Options) { o.WithoutPolicyHints = true })
	want(t, service(t, without).Modify(resetRequest("alice", newPassword, hints{})), 12, "00000057: LdapErr")
	if without.Writes("alice") != 0 {
		t.Error("written in spite of a critical control that is not known")
	}
}

func TestHistoryHasItsLength(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	for i := range 5 {
		want(t, svc.Modify(resetRequest("alice", newPassword+string(rune('a'+i)), hints{})), 0, "")
	}
	want(t, svc.Modify(resetRequest("alice", newPassword+"a", hints{})), 53, "0000052D")
	want(t, svc.Modify(resetRequest("alice", adtest.CorpPassword, hints{})), 0, "") // the sixth last
}

func TestOneModifyIsAllOrNothing(t *testing.T) {
	s := start(t)
	r := resetRequest("locked1", newPassword)
	r.Replace("lockoutTime", []string{"12345"})
	want(t, service(t, s).Modify(r), 19, "00000057: AtrErr")
	r = resetRequest("locked1", newPassword)
	r.Replace("displayName", []string{"x"})
	want(t, service(t, s).Modify(r), 50, "00002098: SecErr")
	if state, _ := s.User("locked1"); state.Writes != 0 || state.LockoutTime.IsZero() {
		t.Errorf("%+v", state)
	}
	r = ldap.NewModifyRequest("CN=locked1"+staff, nil)
	r.Replace("pwdLastSet", []string{"0"})
	r.Replace("lockoutTime", []string{"0"})
	r.Replace("unicodePwd", []string{quoted(newPassword)})
	want(t, service(t, s).Modify(r), 0, "")
	if state, _ := s.User("locked1"); state.Writes != 1 || !state.LockoutTime.IsZero() || !state.MustChange {
		t.Errorf("%+v: pwdLastSet=0 counts wherever it stands", state)
	}
}

func TestWhoMayWrite(t *testing.T) {
	s := start(t)
	other := connect(t, s)
	want(t, other.Modify(resetRequest("alice", newPassword)), 1, "000004DC")
	if err := other.Bind(adtest.CorpOtherUser, adtest.CorpServicePassword); err != nil {
		t.Fatal(err)
	}
	want(t, other.Modify(resetRequest("alice", newPassword)), 50, "00000005: SecErr")
	svc := service(t, s)
	outside := ldap.NewModifyRequest("CN=outsider,OU=Outside,DC=corp,DC=example,DC=com", nil)
	outside.Replace("unicodePwd", []string{quoted(newPassword)})
	want(t, svc.Modify(outside), 50, "00000005: SecErr")
	want(t, svc.Modify(resetRequest("ghost", newPassword)), 32, "0000208D: NameErr")
	bad := ldap.NewModifyRequest("no name", nil)
	bad.Replace("unicodePwd", []string{quoted(newPassword)})
	want(t, svc.Modify(bad), 34, "0000208F: NameErr")
}

func search(t *testing.T, conn *ldap.Conn, base string, scope int, filter string, attributes ...string) []*ldap.Entry {
	t.Helper()
	result, err := conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil))
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return result.Entries
}

func TestFilters(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	alice, _ := s.User("alice")
	for filter, wantLogins := range map[string]string{
		"(sAMAccountName=ALICE)": "alice",
		"(&(objectCategory=person)(objectClass=user)(sAMAccountName=bob))": "bob",
		"(&(objectCategory=person)(sAMAccountName=PC1$))":                  "",
		"(|(sAMAccountName=bob)(sAMAccountName=alice))":                    "alice,bob",
		"(&(sAMAccountName=b*)(!(sAMAccountName=backslash1)))":             "bob",
		"(sAMAccountName=*tch1)":                                           "",
		"(sAMAccountName=d*s*led1)":                                        "disabled1",
		"(objectGUID=" + ldap.EscapeFilter(string(alice.GUID[:])) + ")":    "alice",
		"(userAccountControl:1.2.840.113556.1.4.803:=2)":                   "disabled1",
		"(userAccountControl:1.2.840.113556.1.4.804:=262146)":              "disabled1,smartcard1",
		"(&(adminCount>=1)(objectClass=user))":                             "admin1,admin2,admin3",
		"(displayName=Doe, John)":                                          "comma1",
		"(displayName=Paren \\28x\\29 \\2astar\\2a)":                       "paren1",
		"(noSuchAttribute=x)":                                              "",
	} {
		var got []string
		for _, e := range search(t, svc, "OU=Staff,DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, filter, "sAMAccountName") {
			got = append(got, e.GetAttributeValue("sAMAccountName"))
		}
		if diff := cmp.Diff(wantLogins, strings.Join(got, ",")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
}

func TestConstructedAttributesNeedABaseRead(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	bySearch := search(t, svc, "DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, "(sAMAccountName=admin3)", "tokenGroups", "cn")
	if len(bySearch) != 1 || len(bySearch[0].GetAttributeValues("tokenGroups")) != 0 {
		t.Errorf("subtree search: %+v", bySearch)
	}
	state, _ := s.User("admin3")
	for _, base := range []string{"<GUID=" + state.GUID.String() + ">", "<SID=" + state.SID + ">", state.DN, strings.ToUpper(state.DN)} {
		read := search(t, svc, base, ldap.ScopeBaseObject, "(objectClass=*)", "tokenGroups", "msDS-KeyVersionNumber")
		if len(read) != 1 || len(read[0].GetAttributeValues("tokenGroups")) != 4 || read[0].GetAttributeValue("msDS-KeyVersionNumber") != "1" {
			t.Errorf("%s: %+v", base, read)
		}
	}
}

func TestRootSearchEndsInReferencesUnlessScoped(t *testing.T) {
	svc := service(t, start(t))
	request := ldap.NewSearchRequest("DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, 0, 0, 0, false, "(sAMAccountName=alice)", nil, nil)
	result, err := svc.Search(request)
	if err != nil || len(result.Referrals) != 1 {
		t.Errorf("references %v (%v), want one as Windows gives", result.Referrals, err)
	}
}

func TestSizeLimit(t *testing.T) {
	svc := service(t, start(t))
	request := ldap.NewSearchRequest("OU=Staff,DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, 0, 2, 0, false, "(objectClass=user)", []string{"cn"}, nil)
	result, err := svc.Search(request)
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || len(result.Entries) != 2 {
		t.Errorf("%d entries, %v", len(result.Entries), err)
	}
}

func TestWhoAmI(t *testing.T) {
	got, err := service(t, start(t)).WhoAmI(nil)
	if err != nil || got.AuthzID != `u:CORP\writeback-svc` {
		t.Errorf("%+v %v", got, err)
	}
}

func TestSetPasswordPastTheRules(t *testing.T) {
	s := start(t)
	if !s.SetPassword("alice", "x") || s.SetPassword("nobody", "x") {
		t.Error("SetPassword reports wrongly")
	}
	want(t, connect(t, s).Bind("alice@corp.example.com", "x"), 0, "")
	if state, _ := s.User("alice"); state.PasswordVersion != 2 || state.Writes != 0 {
		t.Errorf("%+v: the console's writes are not counted, but seen", state)
	}
}

func TestHungOperationIsCarriedOutWhenItGoesOn(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	struck := make(chan string, 1)
	remove := s.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})
	done := make(chan error)
	go func() { done <- svc.Modify(resetRequest("alice", newPassword)) }()
	if got := <-struck; got != "modify" || s.Writes("alice") != 0 {
		t.Errorf("struck %s, %d writes", got, s.Writes("alice"))
	}
	remove()
	remove()
	want(t, <-done, 0, "")
	if s.Writes("alice") != 1 {
		t.Error("not carried out")
	}
}

func TestFaultsStrikeAsOftenAsTold(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	s.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: 51, Diagnostic: "busy", Times: 2})
	s.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Delay, For: time.Millisecond, Times: 1})
	for _, code := range []uint16{51, 51, 0, 0} {
		want(t, svc.Modify(resetRequest("alice", newPassword)), code, "busy")
	}
}

func TestBadPopulationIsRefused(t *testing.T) {
	for name, domain := range map[string]adtest.Domain{
		"no name":    {},
		"no group":   {Name: "x.y", SID: "S-1-5-21-1-2-3", Users: []adtest.User{{Login: "a", MemberOf: []string{"none"}}}},
		"no login":   {Name: "x.y", SID: "S-1-5-21-1-2-3", Users: []adtest.User{{}}},
		"name twice": {Name: "x.y", SID: "S-1-5-21-1-2-3", Users: []adtest.User{{Login: "a"}, {Login: "A"}}},
	} {
		if s, err := adtest.New(adtest.Options{Domain: domain}); err == nil {
			_ = s.Close()
			t.Errorf("%s is accepted", name)
		}
	}
}

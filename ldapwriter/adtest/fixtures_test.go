package adtest_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Requests younger than the password are refused by the agent, so nobody's may be new.
func TestCorpPasswordsAreADayOld(t *testing.T) {
	s := start(t)
	for _, user := range adtest.Corp().Users {
		state, ok := s.User(user.Login)
		if !ok {
			t.Fatalf("no %s", user.Login)
		}
		if state.MustChange {
			continue
		}
		if age := time.Since(state.PasswordLastSet); age < 23*time.Hour || age > 25*time.Hour {
			t.Errorf("%s: password %v old", user.Login, age)
		}
	}
}

func TestFixturesAreStable(t *testing.T) {
	first, _ := start(t).User("alice")
	second, _ := start(t).User("alice")
	if first.GUID != second.GUID || first.SID != second.SID || first.GUID.IsZero() {
		t.Errorf("%+v and %+v", first, second)
	}
	if first.DN != "CN=alice,OU=Staff,DC=corp,DC=example,DC=com" {
		t.Errorf("name %s", first.DN)
	}
}

func TestNamesAreEscapedAsWindowsDoes(t *testing.T) {
	s := start(t)
	for login, cn := range map[string]string{
		"comma1": `Doe\, John`, "plus1": `Plus\+Sign`, "backslash1": `Back\\slash`, "quote1": `Quote\"Mark\"`, "hash1": `\#hash lead`,
		"space1": `\ lead and trail\ `, "semi1": `Semi\;colon\<less\>\=eq`, "slash1": "Slash/Name", "cjk1": "山田太郎",
	} {
		state, _ := s.User(login)
		if diff := cmp.Diff("CN="+cn+staff, state.DN); diff != "" {
			t.Errorf("%s (-want +got):\n%s", login, diff)
		}
	}
}

// passwordMetadata reads version and time of unicodePwd out of replPropertyMetaData (MS-DRSR 5.160), independently of the reader under test.
func passwordMetadata(t *testing.T, conn *ldap.Conn, login string) (version uint32, changed time.Time) {
	t.Helper()
	entry := search(t, conn, "CN="+login+staff, ldap.ScopeBaseObject, "(objectClass=*)", "replPropertyMetaData")[0]
	blob := entry.GetRawAttributeValue("replPropertyMetaData")
	for row := blob[16:]; len(row) >= 48; row = row[48:] {
		if binary.LittleEndian.Uint32(row) == 0x9005a {
			seconds := int64(binary.LittleEndian.Uint64(row[8:])) - 11644473600
			return binary.LittleEndian.Uint32(row[4:]), time.Unix(seconds, 0)
		}
	}
	t.Fatalf("no unicodePwd in % x", blob)
	return 0, time.Time{}
}

func TestEvidenceMovesWithThePasswordAndOnlyWithIt(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	version, changed := passwordMetadata(t, svc, "alice")
	if version != 1 || time.Since(changed) < time.Hour {
		t.Errorf("version %d at %v", version, changed)
	}
	flag := ldap.NewModifyRequest("CN=alice"+staff, nil)
	flag.Replace("pwdLastSet", []string{"0"})
	want(t, svc.Modify(flag), 0, "")
	flag = ldap.NewModifyRequest("CN=alice"+staff, nil)
	flag.Replace("pwdLastSet", []string{"-1"})
	want(t, svc.Modify(flag), 0, "")
	if again, at := passwordMetadata(t, svc, "alice"); again != version || !at.Equal(changed) {
		t.Errorf("pwdLastSet moved the password's version to %d at %v", again, at)
	}
	want(t, svc.Modify(resetRequest("alice", newPassword)), 0, "")
	if again, at := passwordMetadata(t, svc, "alice"); again != version+1 || time.Since(at) > time.Minute {
		t.Errorf("after a reset: version %d at %v", again, at)
	}
}

func TestPasswordLastSetTakesTwoValuesOnly(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	for _, value := range []string{"1", "132000000000000000", "x", ""} {
		r := ldap.NewModifyRequest("CN=alice"+staff, nil)
		r.Replace("pwdLastSet", []string{value})
		want(t, svc.Modify(r), 19, "00000057: AtrErr")
	}
	for _, kind := range []func(*ldap.ModifyRequest){
		func(r *ldap.ModifyRequest) { r.Add("lockoutTime", []string{"0"}) },
		func(r *ldap.ModifyRequest) { r.Delete("lockoutTime", nil) },
		func(r *ldap.ModifyRequest) { r.Replace("lockoutTime", []string{"0", "0"}) },
	} {
		r := ldap.NewModifyRequest("CN=alice"+staff, nil)
		kind(r)
		want(t, svc.Modify(r), 19, "00000057: AtrErr")
	}
}

func TestMinimumAge(t *testing.T) {
	s := start(t, func(o *adtest.Options) { o.Domain.Policy.MinAge = 48 * time.Hour })
	svc := service(t, s)
	change := ldap.NewModifyRequest("CN=alice"+staff, nil)
	change.Delete("unicodePwd", []string{quoted(adtest.CorpPassword)})
	change.Add("unicodePwd", []string{quoted(newPassword)})
	want(t, svc.Modify(change), 19, "0000052D: AtrErr")
	want(t, svc.Modify(resetRequest("alice", newPassword, hints{})), 53, "0000052D: SvcErr")
	want(t, svc.Modify(resetRequest("alice", newPassword)), 0, "") // a plain reset does not ask for the age
	must := ldap.NewModifyRequest("CN=mustchange1"+staff, nil)
	must.Delete("unicodePwd", []string{quoted(adtest.CorpPassword)})
	must.Add("unicodePwd", []string{quoted(newPassword)})
	want(t, svc.Modify(must), 0, "") // who must change may
}

func TestAnonymousSeesTheRootOnly(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	root := search(t, conn, "", ldap.ScopeBaseObject, "(objectClass=*)")
	if len(root) != 1 || root[0].GetAttributeValue("defaultNamingContext") != "DC=corp,DC=example,DC=com" {
		t.Errorf("%+v", root)
	}
	if _, err := time.Parse("20060102150405.0Z", root[0].GetAttributeValue("currentTime")); err != nil {
		t.Error(err)
	}
	_, err := conn.Search(ldap.NewSearchRequest("DC=corp,DC=example,DC=com", 2, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	want(t, err, 1, "000004DC")
	want(t, conn.UnauthenticatedBind("alice@corp.example.com"), 49, "80090308")
	if err := conn.UnauthenticatedBind(""); err != nil {
		t.Errorf("anonymous bind: %v", err)
	}
}

// A failed bind leaves the connection anonymous (RFC 4511 section 4.2.1).
func TestFailedBindEndsTheFormerOne(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	want(t, svc.Bind(adtest.CorpServiceUser, "wrong"), 49, "80090308")
	want(t, svc.Modify(resetRequest("alice", newPassword)), 1, "000004DC")
}

func TestWhatIsNotServed(t *testing.T) {
	svc := service(t, start(t))
	want(t, svc.Del(ldap.NewDelRequest("CN=alice"+staff, nil)), 53, "00002035")
	_, err := svc.PasswordModify(ldap.NewPasswordModifyRequest("alice", "a", "b"))
	want(t, err, 2, "00000057")
	_, err = svc.Search(ldap.NewSearchRequest("no name", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	want(t, err, 34, "0000208F")
	_, err = svc.Search(ldap.NewSearchRequest("OU=Gone,DC=corp,DC=example,DC=com", 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	want(t, err, 32, "0000208D")
	computer := ldap.NewModifyRequest("OU=Staff,DC=corp,DC=example,DC=com", nil)
	computer.Replace("unicodePwd", []string{quoted(newPassword)})
	want(t, svc.Modify(computer), 50, "00002098")
}

func TestScopes(t *testing.T) {
	svc := service(t, start(t))
	for _, row := range []struct {
		base  string
		scope int
		want  string
	}{
		{"OU=Outside,DC=corp,DC=example,DC=com", ldap.ScopeWholeSubtree, "outsider"},
		{"OU=Outside,DC=corp,DC=example,DC=com", ldap.ScopeSingleLevel, "outsider"},
		{"OU=Outside,DC=corp,DC=example,DC=com", ldap.ScopeBaseObject, ""},
		{"DC=corp,DC=example,DC=com", ldap.ScopeSingleLevel, ""},
	} {
		var got []string
		for _, e := range search(t, svc, row.base, row.scope, "(objectClass=user)", "sAMAccountName") {
			got = append(got, e.GetAttributeValue("sAMAccountName"))
		}
		if diff := cmp.Diff(row.want, strings.Join(got, ",")); diff != "" {
			t.Errorf("%s, scope %d (-want +got):\n%s", row.base, row.scope, diff)
		}
	}
}

func TestUnreadableAttributesAreNeitherShownNorSearched(t *testing.T) {
	svc := service(t, start(t, func(o *adtest.Options) { o.Unreadable = []string{"TOKENGROUPS", "userPrincipalName"} }))
	entry := search(t, svc, "CN=alice"+staff, ldap.ScopeBaseObject, "(objectClass=*)", "tokenGroups", "userPrincipalName", "cn")[0]
	if len(entry.Attributes) != 1 || entry.GetAttributeValue("cn") != "alice" {
		t.Errorf("%+v", entry.Attributes)
	}
	if found := search(t, svc, "OU=Staff,DC=corp,DC=example,DC=com", 2, "(userPrincipalName=alice@corp.example.com)"); len(found) != 0 {
		t.Errorf("found %s by what may not be read", found[0].DN)
	}
}

// Rubbish ends its connection, and nobody else's.
func TestRubbishEndsItsConnectionOnly(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	for _, rubbish := range []string{"GET / HTTP/1.1\r\n\r\n", "\x30\x84\x7f\xff\xff\xff", "\x30\x80", strings.Repeat("\x30\x7e", 400)} {
		conn, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: s.CAPool(), MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(rubbish))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Errorf("%q: read %d bytes, %v; want the end of the connection", rubbish, n, err)
		}
		_ = conn.Close()
	}
	want(t, svc.Modify(resetRequest("alice", newPassword)), 0, "")
}

func isTimeout(err error) bool {
	var network net.Error
	return err == nil || (!errors.Is(err, io.EOF) && errors.As(err, &network) && network.Timeout())
}

func TestDropsLookLikeAKilledController(t *testing.T) {
	for effect, writes := range map[adtest.Effect]int{adtest.DropBefore: 0, adtest.DropAfter: 1} {
		s := start(t)
		s.Inject(adtest.Fault{On: adtest.OnModify, Effect: effect})
		err := service(t, s).Modify(resetRequest("alice", newPassword))
		if err == nil || ldap.IsErrorWithCode(err, ldap.LDAPResultSuccess) || s.Writes("alice") != writes {
			t.Errorf("%s: %v, %d writes", effect, err, s.Writes("alice"))
		}
	}
}

func TestDisconnectAndGoOn(t *testing.T) {
	s := start(t)
	svc := service(t, s)
	s.Disconnect()
	if err := svc.Modify(resetRequest("alice", newPassword)); err == nil {
		t.Error("the connection was not closed")
	}
	want(t, service(t, s).Modify(resetRequest("alice", newPassword)), 0, "")
}

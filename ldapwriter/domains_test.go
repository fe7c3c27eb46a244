package ldapwriter_test

import (
	"encoding/base64"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// startLab starts a second domain, lab.example.net, in which one person carries a UPN of corp.example.com.
func startLab(t *testing.T) *controller {
	t.Helper()
	anchor := func(s string) []byte {
		return []byte((s + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")[:16])
	}
	return startFake(t, func(o *adtest.Options) {
		o.Domain = adtest.Domain{
			Name: "lab.example.net", NetBIOSName: "LAB", SID: "S-1-5-21-7-8-9", OUs: []string{"OU=Staff"},
			Groups:      []adtest.Group{{Name: "Domain Users", RID: 513}},
			Delegations: []adtest.Delegation{{Login: "svc", OU: "OU=Staff"}},
			Users: []adtest.User{
				{Login: "svc", Password: adtest.CorpServicePassword},
				{Login: "alice", OU: "OU=Staff", Password: "Lab-Passw0rd", SourceAnchor: anchor("bob")},
				{Login: "twin", OU: "OU=Staff", Password: "Lab-Passw0rd", UPN: "carol@corp.example.com"},
				{Login: "zoe", OU: "OU=Staff", Password: "Lab-Passw0rd", SourceAnchor: anchor("zoe")},
				{Login: "same1", OU: "OU=Staff", Password: "Lab-Passw0rd", UPN: "same@lab.example.net"},
				{Login: "same2", OU: "OU=Staff", Password: "Lab-Passw0rd", UPN: "same@lab.example.net"},
				{Login: "noanchor", OU: "OU=Staff", Password: "Lab-Passw0rd"},
			},
		}
	})
}

func labDomain(c *controller) ldapwriter.DomainConfig {
	return ldapwriter.DomainConfig{
		Name: "lab.example.net", NetBIOSName: "LAB", Controllers: []string{c.address}, RootCAs: c.roots,
		BindUser: "svc@lab.example.net", BindPassword: password(adtest.CorpServicePassword),
	}
}

func TestSeveralDomains(t *testing.T) {
	first, second := startFake(t), startLab(t)
	d := open(t, first.domain(), labDomain(second))
	anchor := func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte((s + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")[:16]))
	}
	noAnchor, _ := second.fake.User("noanchor")
	zoe, _ := second.fake.User("zoe")
	for name, row := range map[string]struct {
		subject writeback.Subject
		domain  string
		reason  writeback.Reason
	}{
		"sam of the first":             {writeback.Subject{Kind: writeback.BySAM, Value: `CORP\alice`}, corp, ""},
		"sam of the second":            {writeback.Subject{Kind: writeback.BySAM, Value: `lab\alice`}, "lab.example.net", ""},
		"UPN of the second":            {writeback.Subject{Kind: writeback.ByUPN, Value: "zoe@lab.example.net"}, "lab.example.net", ""},
		"UPN in both":                  {writeback.Subject{Kind: writeback.ByUPN, Value: "carol@corp.example.com"}, "", writeback.UserAmbiguous},
		"UPN twice in one":             {writeback.Subject{Kind: writeback.ByUPN, Value: "same@lab.example.net"}, "", writeback.UserAmbiguous},
		"anchor in both":               {writeback.Subject{Kind: writeback.ByImmutableID, Value: anchor("bob")}, "", writeback.UserAmbiguous},
		"anchor in one":                {writeback.Subject{Kind: writeback.ByImmutableID, Value: anchor("zoe")}, "lab.example.net", ""},
		"objectGUID without an anchor": {writeback.Subject{Kind: writeback.ByImmutableID, Value: base64.StdEncoding.EncodeToString(noAnchor.GUID[:])}, "lab.example.net", ""},
		"GUID of the second":           {writeback.Subject{Kind: writeback.ByGUID, Value: zoe.GUID.String()}, "lab.example.net", ""},
		"SID of the second":            {writeback.Subject{Kind: writeback.BySID, Value: zoe.SID}, "lab.example.net", ""},
		"SID of neither":               {writeback.Subject{Kind: writeback.BySID, Value: "S-1-5-21-1-1-1-1000"}, "", writeback.UserNotFound},
		"asserted objectGUID":          {writeback.Subject{Kind: writeback.BySAM, Value: `LAB\noanchor`, AssertedImmutableID: base64.StdEncoding.EncodeToString(noAnchor.GUID[:])}, "lab.example.net", ""},
	} {
		t.Run(name, func(t *testing.T) {
			account, err := d.Resolve(deadline(t), row.subject)
			if row.reason != "" {
				wantReason(t, err, row.reason)
			} else if err != nil || account.Domain != row.domain {
				t.Errorf("domain %q (%v), want %q", account.Domain, err, row.domain)
			}
		})
	}
	if err := d.Write(deadline(t), person2(t, d, `LAB\zoe`), reset(newPassword)); err != nil {
		t.Error(err)
	}
	if second.fake.Writes("zoe") != 1 {
		t.Error("the write did not go to the account's domain")
	}
}

func person2(t *testing.T, d *ldapwriter.Directory, sam string) writeback.Account {
	t.Helper()
	account, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: sam})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

// A domain that does not answer might hold the second account of a name; what names its domain needs no other one.
func TestOneDomainDown(t *testing.T) {
	first, second := startFake(t), startLab(t)
	d := open(t, first.domain(), labDomain(second))
	zoe, _ := second.fake.User("zoe")
	person2(t, d, `LAB\zoe`)
	person2(t, d, `CORP\alice`)
	if err := second.fake.Close(); err != nil {
		t.Fatal(err)
	}
	alice, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: `CORP\alice`})
	if err != nil {
		t.Errorf("by sam: %v", err)
	}
	if _, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySID, Value: alice.SID}); err != nil {
		t.Errorf("by SID: %v", err)
	}
	_, err = d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice@corp.example.com"})
	wantReason(t, err, writeback.DirectoryUnavailable)
	_, err = d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySID, Value: zoe.SID})
	wantReason(t, err, writeback.DirectoryUnavailable)
}

func TestWhatIsNotAPersonIsNotFound(t *testing.T) {
	const interdomainTrust = 0x800 // the account of a trust has the classes and the category of a person (MS-ADTS 6.1.6.8)
	fake := startFake(t, func(o *adtest.Options) {
		o.Domain.Users = append(o.Domain.Users, adtest.User{Login: "PARTNER$", Flags: interdomainTrust, Password: adtest.CorpPassword})
	})
	d := fake.directory(t)
	for _, login := range []string{"PC1$", "gmsa1$", "PARTNER$"} {
		state, _ := fake.fake.User(login)
		for _, subject := range []writeback.Subject{
			{Kind: writeback.BySAM, Value: `CORP\` + login}, {Kind: writeback.BySID, Value: state.SID},
			{Kind: writeback.ByGUID, Value: state.GUID.String()}, {Kind: writeback.ByUPN, Value: login + userSuffix},
		} {
			_, err := d.Resolve(deadline(t), subject)
			if writeback.ReasonOf(err) != writeback.UserNotFound {
				t.Errorf("%+v: %v", subject, err)
			}
		}
	}
}

// LDAP leaves out what may not be read: absent is never taken for "no".
func TestWhatMayNotBeRead(t *testing.T) {
	resolve := func(t *testing.T, hidden ...string) (writeback.Account, error) {
		fake := startFake(t, func(o *adtest.Options) { o.Unreadable = hidden })
		return fake.directory(t).Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: `CORP\locked1`})
	}
	// No error: in front of the scope it would tell which of the users that nobody may ask about exist. The guard refuses.
	if a, err := resolve(t, "userAccountControl"); err != nil || a.UserAccountControl != 0 || len(a.Containers) == 0 {
		t.Errorf("flags %#x in %q (%v), want none for the guard to refuse", a.UserAccountControl, a.Containers, err)
	}
	if a, err := resolve(t, "objectSid"); err != nil || a.SID != "" || a.PrimaryGroupSID != "" {
		t.Errorf("SID %q, primary group %q (%v), want none for the guard to refuse", a.SID, a.PrimaryGroupSID, err)
	}
	if a, err := resolve(t, "tokenGroups"); err != nil || a.TokenGroups != nil {
		t.Errorf("groups %v (%v), want none for the guard to refuse", a.TokenGroups, err)
	}
	if a, err := resolve(t, "msDS-User-Account-Control-Computed"); err != nil || !a.LockedOut {
		t.Errorf("locked out %v (%v): a lockout lasts where the computation may not be read", a.LockedOut, err)
	}
	if a, err := resolve(t, "replPropertyMetaData"); err != nil || a.Password.VersionSource != writeback.VersionKeyNumber || a.Password.Version != 1 {
		t.Errorf("version %d from %q (%v)", a.Password.Version, a.Password.VersionSource, err)
	}
	a, err := resolve(t, "replPropertyMetaData", "msDS-KeyVersionNumber", "pwdLastSet", "badPwdCount")
	if err != nil || a.Password.VersionSource != writeback.VersionNone || a.Password.ThresholdKnown || a.Password.MustChange || a.Password.ChangedAt.IsZero() {
		t.Errorf("%+v (%v), want whenChanged and nothing else", a.Password, err)
	}
}

// What is unique by nature is looked for past a domain that does not answer; a UPN only where its suffix belongs.
func TestRoutingPastADomainThatIsAway(t *testing.T) {
	away, here := startFake(t), startLab(t)
	first, second := away.domain(), labDomain(here)
	first.UPNSuffixes, second.UPNSuffixes = []string{corp}, []string{"Lab.example.net", "alias.example.org"}
	zoe, _ := here.fake.User("zoe")
	if err := away.fake.Close(); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		subject writeback.Subject
		reason  writeback.Reason
	}{
		"GUID":                     {writeback.Subject{Kind: writeback.ByGUID, Value: zoe.GUID.String()}, writeback.ReasonOK},
		"SID":                      {writeback.Subject{Kind: writeback.BySID, Value: zoe.SID}, writeback.ReasonOK},
		"UPN of this domain":       {writeback.Subject{Kind: writeback.ByUPN, Value: "zoe@lab.example.net"}, writeback.ReasonOK},
		"UPN of this, nobody's":    {writeback.Subject{Kind: writeback.ByUPN, Value: "zoe@alias.example.org"}, writeback.UserNotFound},
		"UPN of the one away":      {writeback.Subject{Kind: writeback.ByUPN, Value: "alice@corp.example.com"}, writeback.DirectoryUnavailable},
		"UPN of an unknown suffix": {writeback.Subject{Kind: writeback.ByUPN, Value: "zoe@elsewhere.example.org"}, writeback.DirectoryUnavailable},
		"GUID of nobody":           {writeback.Subject{Kind: writeback.ByGUID, Value: "00000000-1111-2222-3333-444444444444"}, writeback.DirectoryUnavailable},
		"DOMAIN of the one away":   {writeback.Subject{Kind: writeback.BySAM, Value: `CORP\alice`}, writeback.DirectoryUnavailable},
		"DOMAIN of this":           {writeback.Subject{Kind: writeback.BySAM, Value: `LAB\zoe`}, writeback.ReasonOK},
		"DOMAIN of nobody":         {writeback.Subject{Kind: writeback.BySAM, Value: `NOWHERE\zoe`}, writeback.UserNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, first, second).Resolve(deadline(t), row.subject)
			wantReason(t, err, row.reason)
		})
	}
	// A twin in the other domain does not matter where the suffix is only this one's.
	corpAgain := startFake(t)
	first.Controllers, first.RootCAs = []string{corpAgain.address}, corpAgain.roots
	account, err := open(t, first, second).Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "carol@CORP.example.com"})
	if err != nil || account.Domain != corp {
		t.Errorf("%q (%v)", account.Domain, err)
	}
}

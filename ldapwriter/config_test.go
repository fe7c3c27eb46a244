package ldapwriter_test

import (
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

func TestEveryFaultOfTheConfigurationIsNamed(t *testing.T) {
	good := ldapwriter.DomainConfig{
		Name: corp, NetBIOSName: corpNetBIOS, Controllers: []string{"dc1.corp.example.com"}, BindUser: serviceUser, BindPassword: password("x"),
	}
	for name, c := range map[string]struct {
		change func(*ldapwriter.DomainConfig)
		want   string
	}{
		"no name":         {func(d *ldapwriter.DomainConfig) { d.Name = "" }, "name is missing"},
		"no account":      {func(d *ldapwriter.DomainConfig) { d.BindUser = "" }, "account to bind with"},
		"no password":     {func(d *ldapwriter.DomainConfig) { d.BindPassword = nil }, "account to bind with"},
		"no controllers":  {func(d *ldapwriter.DomainConfig) { d.Controllers = nil }, "no controllers"},
		"global catalog":  {func(d *ldapwriter.DomainConfig) { d.Controllers = []string{"dc1:3269"} }, "Global Catalog"},
		"plain LDAP":      {func(d *ldapwriter.DomainConfig) { d.Controllers = []string{"dc1:389"} }, "begins without TLS"},
		"a URL":           {func(d *ldapwriter.DomainConfig) { d.Controllers = []string{"ldaps://dc1"} }, "not host or host:port"},
		"listed twice":    {func(d *ldapwriter.DomainConfig) { d.Controllers = []string{"dc1", "DC1:636"} }, "listed twice"},
		"hints mode":      {func(d *ldapwriter.DomainConfig) { d.PolicyHints = "maybe" }, "not one of require, warn, allow"},
		"negative":        {func(d *ldapwriter.DomainConfig) { d.Connections = -1 }, "negative"},
		"bad search base": {func(d *ldapwriter.DomainConfig) { d.SearchBase = "Staff" }, "search base"},
	} {
		config := good
		c.change(&config)
		_, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}})
		if writeback.ReasonOf(err) != writeback.AgentMisconfigured || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	both := []ldapwriter.DomainConfig{{}, {Name: "b"}}
	_, err := ldapwriter.New(ldapwriter.Config{Domains: both})
	if err == nil || !strings.Contains(err.Error(), "domain 0") || !strings.Contains(err.Error(), "domain 1") {
		t.Errorf("%v, want the faults of both domains", err)
	}
	if _, err := ldapwriter.New(ldapwriter.Config{}); err == nil {
		t.Error("no domain is accepted")
	}
	other := good
	other.Name = "corp"
	if _, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{good, other}}); err == nil {
		t.Error("a DNS name that is another domain's NetBIOS name is accepted")
	}
	other = good
	other.Name, other.NetBIOSName, other.UPNSuffixes = "lab.example.net", "LAB", []string{"Corp.example.com"}
	if _, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{good, other}}); err == nil || !strings.Contains(err.Error(), "name of another domain") {
		t.Errorf("%v, want a refusal of a UPN suffix that is another domain's name", err)
	}
}

func TestControllerOfAnotherDomainIsRefused(t *testing.T) {
	d := startFake(t).directory(t, func(c *ldapwriter.DomainConfig) { c.Name = "other.example.com" })
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.AgentMisconfigured)
}

func TestSearchBase(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.SearchBase = "ou=outside,DC=corp,DC=example,DC=com" })
	if got := person(t, d, "outsider").SAMAccountName; got != "outsider" {
		t.Errorf("found %s", got)
	}
	alice, _ := fake.fake.User("alice")
	for _, subject := range []writeback.Subject{
		{Kind: writeback.ByUPN, Value: "alice" + userSuffix},
		{Kind: writeback.ByGUID, Value: alice.GUID.String()},
		{Kind: writeback.BySID, Value: alice.SID},
	} {
		_, err := d.Resolve(deadline(t), subject)
		wantReason(t, err, writeback.UserNotFound)
	}
	missing := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.SearchBase = "OU=Gone,DC=corp,DC=example,DC=com" })
	_, err := missing.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.AgentMisconfigured)
}

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

// keytabFile is the keytab's place in the site's folder.
const keytabFile = "secrets/bind.keytab"

// testKerberos runs agents that log on with a keytab and know no password. The controller demands the binding of the channel. The people u00002 to
// u00005 are reserved for it.
func testKerberos(t *testing.T, built programs) {
	t.Run("Rotated", func(t *testing.T) { keytabRotated(t, built) })
	t.Run("Discovered", func(t *testing.T) { discoveredByDNS(t, built) })
}

// keytabRotated starts with a keytab whose password is not the account's, as after a rotation, and puts the right one in its place.
func keytabRotated(t *testing.T, built programs) {
	r := prepareKerberos(t, built, func(configuration string) string { return configuration })
	r.putKeytab(t, secret.NewString("the password of before"))
	var err error
	r.agent, err = r.program.Start(t.Context(), nil)
	check(t, err)
	agent := r.agent
	t.Cleanup(func() { _ = agent.Stop() })
	r.until(t, func(s lab.Status) bool { return says(s, "Make the keytab anew") })
	r.connect(t)
	wantRefused(t, r.reset(t, r.byUPN("u00002"), newPassword("New-")), writeback.DirectoryAccessDenied)

	r.putKeytab(t, r.samba.ServicePassword)
	password := newPassword("New-")
	wantWritten(t, r.reset(t, r.byUPN("u00002"), password))
	r.wantLogon(t, "u00002", password, "")
	wantWritten(t, r.change(t, "u00003", r.samba.UserPassword, password))
	r.wantLogon(t, "u00003", password, "")
	r.lock(t, "u00004")
	wantWritten(t, r.askUnlock(t, "u00004"))
	r.wantLogon(t, "u00004", r.samba.UserPassword, "")
	r.until(t, func(s lab.Status) bool { return s.Overall == health.OK && s.Domains[0].Health == health.OK })
}

// discoveredByDNS knows no controller but from DNS: its KDC is found by the same name.
func discoveredByDNS(t *testing.T, built programs) {
	samba := sambalab.Open(t)
	names := startDNS(t, samba)
	r := prepareKerberos(t, built, func(configuration string) string {
		return replaced(t, configuration, "controllers: [\""+samba.Addr+"\"]", "discovery: {enabled: true, dns_servers: [\""+names+"\"]}")
	})
	r.putKeytab(t, samba.ServicePassword)
	r.start(t)
	r.connect(t)
	password := newPassword("New-")
	wantWritten(t, r.reset(t, r.byUPN("u00005"), password))
	r.wantLogon(t, "u00005", password, "")
	r.until(t, func(s lab.Status) bool { return s.Overall == health.OK && s.Domains[0].Controller == samba.Host+":636" })
}

// prepareKerberos sets up an agent that binds by Kerberos, without its keytab. change changes its configuration further.
func prepareKerberos(t *testing.T, built programs, change func(string) string) domain {
	t.Helper()
	samba := sambalab.Open(t)
	_, authority, err := samba.Authority()
	check(t, err)
	known := lab.Domain{
		Name: strings.ToLower(samba.Realm), NetBIOSName: "CORP", Controller: samba.Addr, Authority: authority,
		BindUser: samba.ServiceUser, Include: []string{samba.StaffDN()}, // no password
	}
	return domain{samba: samba, installation: prepare(t, built, known, func(configuration string) string {
		return change(replaced(t, configuration, `password_file: "secrets/bind-password"`, "method: kerberos\n      keytab_file: "+keytabFile))
	})}
}

// replaced replaces what stands once in a configuration.
func replaced(t *testing.T, configuration, old, replacement string) string {
	t.Helper()
	if strings.Count(configuration, old) != 1 {
		t.Fatalf("%q stands %d times in\n%s", old, strings.Count(configuration, old), configuration)
	}
	return strings.Replace(configuration, old, replacement, 1)
}

// putKeytab makes a keytab from a password as ktutil does, and puts it in place at once, as an administrator should.
func (r domain) putKeytab(t *testing.T, password secret.Value) {
	t.Helper()
	const aes256 = 18
	login, _, _ := strings.Cut(r.samba.ServiceUser, "@")
	made := keytab.New()
	password.Use(func(b []byte) { check(t, made.AddEntry(login, r.samba.Realm, string(b), time.Now(), 1, aes256)) })
	content, err := made.Marshal()
	check(t, err)
	place := filepath.Join(r.program.Site.Folder, filepath.FromSlash(keytabFile))
	check(t, os.WriteFile(place+".new", content, 0o600))
	check(t, os.Rename(place+".new", place))
}

// says reports whether a condition's remedy of the domain has a text, with the domain down.
func says(status lab.Status, text string) bool {
	for _, c := range status.Conditions {
		if strings.HasPrefix(string(c.Name), "domain:") && c.Severity == health.Down && strings.Contains(c.Remedy, text) {
			return true
		}
	}
	return false
}

func (r domain) change(t *testing.T, login string, before, password secret.Value) writeback.Outcome {
	t.Helper()
	result, err := r.portal.Change(t.Context(), requester.ChangeRequest{
		User: r.byUPN(login), OldPassword: before, Password: password, By: lab.Verified(),
	})
	check(t, err)
	return result.Outcome
}

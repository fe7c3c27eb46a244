package app_test

import (
	"strings"
	"testing"
	"time"

	checks "github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// sees compares a verdict and a part of the detail; whatever is not well has a remedy.
func sees(t *testing.T, name string, got checks.Finding, verdict checks.Verdict, says string) {
	t.Helper()
	if got.Verdict != verdict || !strings.Contains(got.Detail, says) {
		t.Errorf("%s: %+v, want %s that says %q", name, got, verdict, says)
	}
	if (got.Remedy != "") != (verdict == checks.Warn || verdict == checks.Fail) {
		t.Errorf("%s: %s with the remedy %q", name, verdict, got.Remedy)
	}
}

func TestACheckJudgesAController(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	well := ldapwriter.ControllerStatus{
		Address: "dc1:636", LastAnswer: now, ClockSeen: now, ClockOffset: time.Second,
		PolicyHints: "1.2.840.113556.1.4.2239", CertificateExpires: now.Add(31 * 24 * time.Hour),
	}
	for name, c := range map[string]struct {
		change    func(*ldapwriter.ControllerStatus)
		hints     config.HintsRule
		component string
		verdict   checks.Verdict
		says      string
	}{
		"no TLS":                {func(s *ldapwriter.ControllerStatus) { s.LastError = "unknown authority" }, config.HintsRequire, "tls", checks.Fail, "unknown authority"},
		"not asked in time":     {func(s *ldapwriter.ControllerStatus) { s.LastAnswer = time.Time{} }, config.HintsRequire, "tls", checks.Fail, "in time"},
		"refused, but over TLS": {func(s *ldapwriter.ControllerStatus) { s.LastError, s.Refused = "wrong", true }, config.HintsRequire, "tls", checks.Pass, ""},
		"refused":               {func(s *ldapwriter.ControllerStatus) { s.LastError, s.Refused = "wrong", true }, config.HintsRequire, "logon", checks.Fail, "wrong"},
		"certificate ends":      {func(s *ldapwriter.ControllerStatus) { s.CertificateExpires = now.Add(29 * 24 * time.Hour) }, config.HintsRequire, "certificate", checks.Warn, "2030-01-31"},
		"no hints, required":    {func(s *ldapwriter.ControllerStatus) { s.PolicyHints = "" }, config.HintsRequire, "history", checks.Fail, "every reset is refused"},
		"no hints, warned":      {func(s *ldapwriter.ControllerStatus) { s.PolicyHints = "" }, config.HintsWarn, "history", checks.Warn, "without it"},
		"no hints, allowed":     {func(s *ldapwriter.ControllerStatus) { s.PolicyHints = "" }, config.HintsAllow, "history", checks.Pass, "allows"},
		"clock behind":          {func(s *ldapwriter.ControllerStatus) { s.ClockOffset = -11 * time.Second }, config.HintsRequire, "clock", checks.Warn, "-11s"},
		"clock far behind":      {func(s *ldapwriter.ControllerStatus) { s.ClockOffset = -61 * time.Second }, config.HintsRequire, "clock", checks.Fail, "-1m1s"},
		"clock far ahead":       {func(s *ldapwriter.ControllerStatus) { s.ClockOffset = 61 * time.Second }, config.HintsRequire, "clock", checks.Fail, "1m1s"},
		"clock hidden":          {func(s *ldapwriter.ControllerStatus) { s.ClockSeen = time.Time{} }, config.HintsRequire, "clock", checks.Warn, "does not tell"},
	} {
		seen := well
		c.change(&seen)
		sees(t, name, app.CheckedController(seen, c.hints, now)[c.component], c.verdict, c.says)
	}
	for component, finding := range app.CheckedController(well, config.HintsRequire, now) {
		sees(t, component, finding, checks.Pass, "")
	}
}

func TestACheckSumsUpRights(t *testing.T) {
	refused := checks.Failed("CN=ada: no right", "Grant it.")
	sees(t, "all may", app.RightsFound(2, nil, nil), checks.Pass, "examples looked at: 2")
	sees(t, "none may", app.RightsFound(2, []checks.Finding{refused, refused}, nil), checks.Fail, "CN=ada")
	sees(t, "one may", app.RightsFound(2, []checks.Finding{refused}, nil), checks.Warn, "not on every user: CN=ada")
	for _, word := range []string{
		"history_not_enforced", "policy_unreadable", "rights_unreadable", "must_change_no_right", "unlock_no_right", writeback.WarningNotIndexed, "a_new_word",
	} {
		sees(t, word, app.RightsFound(2, nil, []string{word}), checks.Warn, word)
	}
}

func TestHowAnAdministratorNamesAUser(t *testing.T) {
	for text, want := range map[string]writeback.IdentifierKind{
		"S-1-5-21-1-2-3-1104": writeback.BySID, "s-1-5-21-1-2-3-1104": writeback.BySID, "6f9619ff-8b86-d011-b42d-00c04fc964ff": writeback.ByGUID,
		`CORP\ada`: writeback.BySAM, "ada@corp.example.com": writeback.ByUPN, "ada": "", "": "", "CN=ada,DC=corp": "",
	} {
		subject, err := app.SubjectOf(text)
		if subject.Kind != want || (err == nil) != (want != "") || err == nil && subject.Value != text {
			t.Errorf("%q: %+v, %v", text, subject, err)
		}
	}
}

// TestACheckOfAnInstallation names what only shows where things are not as they should be.
func TestACheckOfAnInstallation(t *testing.T) {
	for name, c := range map[string]struct {
		spoil           func(*testing.T, *installation)
		component, says string
		verdict         checks.Verdict
	}{
		"all well":            {func(*testing.T, *installation) {}, "rights", "may reset", checks.Pass},
		"a controller away":   {func(_ *testing.T, in *installation) { in.controller.close() }, "tls", "directory.unavailable", checks.Fail},
		"the queue away":      {func(_ *testing.T, in *installation) { in.broker.close() }, "relay", "127.0.0.1", checks.Fail},
		"discovery by no DNS": {byNoDNS, "discovery", "DNS names no controller", checks.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := install(t)
			c.spoil(t, in)
			report := app.Check(t.Context(), in.site.ConfigPath(), nil)
			for _, result := range report.Results {
				if result.Component == c.component && result.Verdict == c.verdict {
					sees(t, name, result.Finding, c.verdict, c.says)
					return
				}
			}
			t.Errorf("no %s of %s in %+v", c.verdict, c.component, report.Results)
		})
	}
}

// byNoDNS has the controllers looked up where no name server answers.
func byNoDNS(t *testing.T, in *installation) {
	t.Helper()
	in.edit(t, "config.yaml", `controllers: ["`+in.controller.addr()+`"]`, "discovery: {enabled: true, dns_servers: ['127.0.0.1:1']}")
}

package app_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

func TestWhatIsSaidOfControllers(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	day := 24 * time.Hour
	first := ldapwriter.ControllerStatus{
		Address: "dc1:636", Preferred: true, InUse: true, LastAnswer: now, PDC: true, PDCKnown: true, Site: "Berlin",
		Latency: 1500 * time.Microsecond, CertificateExpires: now.Add(31 * day),
	}
	second := ldapwriter.ControllerStatus{Address: "dc2:636", LastAnswer: now, PDCKnown: true, CertificateExpires: now.Add(400 * day)}
	with := func(c ldapwriter.ControllerStatus, change func(*ldapwriter.ControllerStatus)) ldapwriter.ControllerStatus {
		change(&c)
		return c
	}
	away := with(first, func(c *ldapwriter.ControllerStatus) { c.InUse, c.LastError = false, "refused" })
	settling := with(first, func(c *ldapwriter.ControllerStatus) { c.InUse, c.Settling = false, true })
	standIn := with(second, func(c *ldapwriter.ControllerStatus) { c.InUse = true })
	unfit := with(second, func(c *ldapwriter.ControllerStatus) {
		c.Unfit, c.LastError, c.CertificateExpires = true, "read-only", now
	})
	dns := &writeback.Error{Reason: writeback.DirectoryUnavailable, Cause: errors.New("no such host")}
	for name, c := range map[string]struct {
		served      string
		controllers []ldapwriter.ControllerStatus
		unlisted    error
		health      health.Severity
		says        string
		states      []status.ControllerState
	}{
		"all is well":             {"dc1:636", []ldapwriter.ControllerStatus{first, second}, nil, health.OK, "", []status.ControllerState{"in use", "ready"}},
		"29 days left":            {"dc1:636", []ldapwriter.ControllerStatus{with(first, func(c *ldapwriter.ControllerStatus) { c.CertificateExpires = now.Add(29 * day) })}, nil, health.Degraded, "the certificate of dc1:636 ends on 2030-01-31", []status.ControllerState{"in use"}},
		"another's ends":          {"dc1:636", []ldapwriter.ControllerStatus{first, with(second, func(c *ldapwriter.ControllerStatus) { c.CertificateExpires = now.Add(-day) })}, nil, health.Degraded, "the certificate of dc2:636 ends on 2030-01-01", []status.ControllerState{"in use", "ready"}},
		"the preferred is away":   {"dc2:636", []ldapwriter.ControllerStatus{away, standIn}, nil, health.Degraded, "dc1:636 is not in use, dc2:636 stands in", []status.ControllerState{"away", "in use"}},
		"the preferred is back":   {"dc2:636", []ldapwriter.ControllerStatus{settling, standIn}, nil, health.Degraded, "dc1:636 is not in use", []status.ControllerState{"settling", "in use"}},
		"another writer":          {"dc1:636", []ldapwriter.ControllerStatus{with(first, func(c *ldapwriter.ControllerStatus) { c.PDC = false })}, nil, health.OK, "is not the PDC emulator", []status.ControllerState{"in use"}},
		"who is PDC is not known": {"dc1:636", []ldapwriter.ControllerStatus{with(first, func(c *ldapwriter.ControllerStatus) { c.PDC, c.PDCKnown = false, false })}, nil, health.OK, "", []status.ControllerState{"in use"}},
		"a read-only one":         {"dc1:636", []ldapwriter.ControllerStatus{first, unfit}, nil, health.OK, "", []status.ControllerState{"in use", "refused"}},
		"not asked":               {"dc1:636", []ldapwriter.ControllerStatus{first, {Address: "dc3:636"}}, nil, health.OK, "", []status.ControllerState{"in use", "unasked"}},
		"DNS is away":             {"dc1:636", []ldapwriter.ControllerStatus{first}, dns, health.Degraded, "cannot be looked up in DNS", []status.ControllerState{"in use"}},
		"DNS never answered":      {"", nil, dns, health.Down, "DNS names no controller: no such host", nil},
	} {
		got, remedy := app.Advise(c.served, c.controllers, c.unlisted, now)
		if got.Health != c.health || !strings.Contains(got.Message, c.says) || (c.says == "") != (got.Message == "") {
			t.Errorf("%s: %s, %q", name, got.Health, got.Message)
		}
		if got.Health != health.OK && !strings.HasSuffix(remedy, ".") {
			t.Errorf("%s: remedy %q", name, remedy)
		}
		var states []status.ControllerState
		for _, shown := range got.Controllers {
			states = append(states, shown.State)
		}
		if diff := cmp.Diff(c.states, states); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got, _ := app.Advise("dc1:636", []ldapwriter.ControllerStatus{first}, nil, now)
	want := status.Controller{Address: "dc1:636", State: "in use", Preferred: true, PDC: true, Site: "Berlin", Milliseconds: 1.5, CertificateExpires: now.Add(31 * day)}
	if diff := cmp.Diff(want, got.Controllers[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What the configuration says about controllers is what the directory goes by.
func TestSettingsOfControllersReachTheDirectory(t *testing.T) {
	t.Parallel()
	t.Run("pins", func(t *testing.T) {
		in := install(t)
		in.edit(t, "config.yaml", "    controllers:", "    pins: [sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]\n    controllers:")
		agent := in.start(t)
		report := agent.status(t, "a domain without a controller", func(r status.Report) bool {
			return strings.Contains(condition(r, health.Domain("corp.example.com")).Message, "not among the configured ones")
		})
		if state := report.Domains[0].Controllers[0].State; state != status.ControllerAway {
			t.Errorf("state %q", state)
		}
	})
	t.Run("discovery", func(t *testing.T) {
		in := install(t)
		in.edit(t, "config.yaml", "    controllers:", "    discovery: {enabled: true, dns_servers: ['127.0.0.1:1']}\n    controllers: [] #")
		agent := in.start(t)
		agent.status(t, "a domain that DNS does not know", func(r status.Report) bool {
			return strings.Contains(condition(r, health.Domain("corp.example.com")).Message, "DNS names no controller")
		})
	})
}

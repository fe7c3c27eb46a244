package status_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func at(hour, minute, second int) time.Time {
	return time.Date(2030, 1, 2, hour, minute, second, 0, time.UTC)
}

// healthy is an agent that has nothing to complain about.
func healthy() status.Report {
	return status.Report{
		Version: status.ReportVersion,
		Time:    at(12, 0, 0),
		Agent:   status.Agent{Group: "corp", ID: "a1", Version: "1.0.0", Since: at(9, 30, 0).AddDate(0, 0, -3)},
		Overall: health.OK,
		Conditions: []health.Condition{
			{Name: health.Relay, Severity: health.OK, Since: at(9, 30, 1), Message: "connected"},
		},
		Relay: status.Relay{
			Connected: true, ConnectedSince: at(9, 30, 1), Queue: "writeback-requests", InHand: 2, Intake: status.IntakeOpen,
		},
		Domains: []status.Domain{
			{Name: "corp.example.com", Controller: "dc1.corp.example.com:636", Health: health.OK, Controllers: []status.Controller{
				{Address: "dc1.corp.example.com:636", State: status.ControllerInUse, Preferred: true, PDC: true, Site: "Berlin", Milliseconds: 1.26, CertificateExpires: at(8, 0, 0).AddDate(1, 0, 0)},
				{Address: "dc2.corp.example.com:636", State: status.ControllerAway, LastError: "connection refused"},
			}},
			{Name: "lab.example", Controller: "dc.lab.example:636", Health: health.OK},
		},
		Last: &status.Request{
			At: at(11, 59, 48), Operation: writeback.OpReset, Issuer: "portal", Verdict: writeback.Written,
			Reason: writeback.ReasonOK, Milliseconds: 38,
		},
		Reasons: map[writeback.Reason]uint64{writeback.ReasonOK: 1204, writeback.PasswordInHistory: 17, writeback.PasswordTooShort: 17},
		Keys: []status.Key{
			{ID: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Use: "sealing", State: "active", Created: at(8, 0, 0).AddDate(0, -1, 0), Public: json.RawMessage(`{"kty":"EC"}`)},
			{ID: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", Use: "signing", State: "retiring", Signs: true, Created: at(8, 0, 0).AddDate(0, -1, 0), Expires: at(8, 0, 0).AddDate(0, 0, 20)},
			{ID: "2vLAbBBpG3gUMBFlQF3dXmNjAqA9IVGWZ4wVyp8RQoo", Use: "signing", State: "next", Created: at(8, 0, 0), ActiveFrom: at(8, 0, 0).AddDate(0, 0, 10)},
		},
		Trusted: []status.TrustedKey{
			{ID: "_f3sUb7Rz8UUKfpSg3vXGQZdWg6K4hYzqVJkK0lD4bY", Issuer: "portal", Source: "configuration", State: "active"},
			{ID: "-K2gF0mJzF8PpN9XyIgi2W7HcGnZB7fdl0nR3VtX9wE", Issuer: "portal", Source: "command", State: "retiring", Expires: at(8, 0, 0).AddDate(0, 0, 5)},
		},
	}
}

// sick is an agent with every kind of trouble, and texts from outside that try to break the view.
func sick() status.Report {
	r := healthy()
	r.Overall = health.Down
	r.Conditions = []health.Condition{
		{Name: health.Ledger, Severity: health.Down, Since: at(11, 57, 0), Message: "no space left on device", Remedy: "Make room on the disk.", Reason: writeback.AgentStorageUnavailable},
		{Name: health.Domain("lab.example"), Severity: health.Degraded, Since: at(11, 0, 0), Message: "no controller answers", Remedy: "Check name resolution and port 636.", Reason: writeback.DirectoryUnavailable},
		{Name: health.Relay, Severity: health.OK, Since: at(9, 30, 1)},
	}
	r.Relay = status.Relay{
		Queue: "writeback-requests", InHand: 1, Intake: status.IntakeClosed,
		LastError: "amqp: \x1b[31mlink\ndetached\tforced", LastErrorAt: at(11, 59, 59),
	}
	r.Domains[1] = status.Domain{Name: "lab.example", Health: health.Degraded, Message: "connection refused"}
	r.Domains[0].Controllers[1].Site = "\x1b[31mBer\nlin"
	r.Last = &status.Request{
		At: at(11, 58, 0), Operation: writeback.OpReset, Issuer: "portal", Verdict: writeback.NotWritten,
		Reason: writeback.DirectoryUnavailable, Milliseconds: 10_003,
	}
	r.Discarded = map[writeback.Reason]uint64{writeback.EnvelopeBadSignature: 3, writeback.EnvelopeMalformed: 11}
	r.Outbox, r.Unresolved = 4, 1
	r.NotSealing = []string{"kiosk"}
	return r
}

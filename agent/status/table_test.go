package status_test

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
)

func render(t *testing.T, report status.Report, color bool) string {
	t.Helper()
	var out strings.Builder
	if err := report.WriteTable(&out, color); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheTableOfAHealthyAgent(t *testing.T) { golden(t, "healthy.txt", render(t, healthy(), false)) }

func TestTheTableOfASickAgent(t *testing.T) { golden(t, "sick.txt", render(t, sick(), false)) }

func TestTheTableOfAnAgentThatHasJustStarted(t *testing.T) {
	report := status.Report{
		Time: at(12, 0, 0), Agent: status.Agent{Group: "corp", ID: "a1", Version: "1.0.0", Since: at(12, 0, 0)}, Overall: health.Degraded,
		Relay: status.Relay{Queue: "writeback-requests", Intake: status.IntakeClosed},
	}
	golden(t, "fresh.txt", render(t, report, false))
}

// Colours must change nothing but colours: not the columns, not the words.
func TestColoursKeepTheColumns(t *testing.T) {
	codes := regexp.MustCompile(`\x1b\[[0-9]+m`)
	for name, report := range map[string]status.Report{"healthy": healthy(), "sick": sick()} {
		colored := render(t, report, true)
		if diff := cmp.Diff(render(t, report, false), codes.ReplaceAllString(colored, "")); diff != "" {
			t.Errorf("%s (-plain +colored):\n%s", name, diff)
		}
	}
	colored := render(t, sick(), true)
	for _, want := range []string{"\x1b[31mdown\x1b[0m", "\x1b[33mdegraded\x1b[0m", "\x1b[32mhealthy\x1b[0m", "\x1b[31mnot connected\x1b[0m"} {
		if !strings.Contains(colored, want) {
			t.Errorf("%q is not in\n%s", want, colored)
		}
	}
}

func TestTextsFromOutsideCannotBreakTheView(t *testing.T) {
	report := healthy()
	const hostile = "x\x1b[2J\n\r\t\x00\x9b31m"
	report.Agent.Group, report.Agent.ID, report.Agent.Version = hostile, hostile, hostile
	report.Relay.Queue, report.Relay.LastError, report.Relay.Intake = hostile, hostile, hostile
	report.Domains[0] = status.Domain{
		Name: hostile, Controller: hostile, Health: hostile, Message: hostile,
		Controllers: []status.Controller{{Address: hostile, State: hostile, Site: hostile, LastError: hostile}},
	}
	report.Conditions = []health.Condition{{Name: hostile, Severity: hostile, Message: hostile, Remedy: hostile, Reason: hostile}}
	report.Last = &status.Request{Operation: hostile, Issuer: hostile, Reason: hostile, Verdict: hostile}
	report.Reasons["x\x1b[2J"] = 1
	report.NotSealing = []string{hostile}
	report.Keys[0].ID, report.Keys[0].Use = hostile, hostile
	for line := range strings.Lines(render(t, report, false)) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("control character %q in %q", line[i], line)
		}
	}
}

func TestADomainsConditionIsSaidOnce(t *testing.T) {
	const problem = "no controller can be used"
	for severity, want := range map[health.Severity]int{health.Down: 1, health.OK: 1} { // a condition that is ok is not shown
		report := healthy()
		report.Domains[0].Health, report.Domains[0].Message = health.Down, problem
		report.Conditions = []health.Condition{{Name: "domain:corp.example.com", Severity: severity, Message: problem}}
		if got := strings.Count(render(t, report, false), problem); got != want {
			t.Errorf("condition %q: said %d times, want %d", severity, got, want)
		}
	}
}

func TestAges(t *testing.T) {
	for age, want := range map[time.Duration]string{
		0:                            "(0 s ago)",
		59 * time.Second:             "(59 s ago)",
		time.Minute:                  "(1 min ago)",
		time.Hour:                    "(1 h 0 min ago)",
		25*time.Hour + time.Minute:   "(1 d 1 h ago)",
		100 * 24 * time.Hour:         "(100 d 0 h ago)",
		-time.Minute:                 "(in the future)",
		59*time.Minute + time.Second: "(59 min ago)",
	} {
		report := healthy()
		report.Agent.Since = report.Time.Add(-age)
		line := strings.Split(render(t, report, false), "\n")[1]
		if !strings.HasSuffix(line, want) {
			t.Errorf("%s: %q, want %s", age, line, want)
		}
	}
}

func TestAnIssuerIsNamedOnce(t *testing.T) {
	report := sick()
	report.Conditions = append(report.Conditions, health.Condition{Name: health.Issuer("kiosk"), Severity: health.Degraded, Message: "seals for others"})
	if got := strings.Count(render(t, report, false), "issuer:kiosk"); got != 1 {
		t.Errorf("named %d times", got)
	}
}

func TestExitCodes(t *testing.T) {
	for severity, want := range map[health.Severity]int{health.OK: 0, health.Degraded: 1, health.Down: 2, "": 2, "odd": 2} {
		if got := (status.Report{Overall: severity}).ExitCode(); got != want {
			t.Errorf("%q: exit code %d, want %d", severity, got, want)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAFailedWriteIsReported(t *testing.T) {
	if err := healthy().WriteTable(broken{}, false); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("WriteTable: %v", err)
	}
}

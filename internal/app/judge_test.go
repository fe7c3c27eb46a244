package app_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/relay"
)

func TestADomainIsJudgedByItsControllers(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	answering := ldapwriter.ControllerStatus{Address: "dc1:636", InUse: true, LastAnswer: at, PolicyHints: "1.2.840.113556.1.4.2239"}
	with := func(c ldapwriter.ControllerStatus, change func(*ldapwriter.ControllerStatus)) ldapwriter.ControllerStatus {
		change(&c)
		return c
	}
	refused := with(answering, func(c *ldapwriter.ControllerStatus) { c.LastError, c.LastErrorAt = "connection refused", at })
	recovered := with(answering, func(c *ldapwriter.ControllerStatus) { c.LastErrorAt = at.Add(-time.Minute) })
	unasked := ldapwriter.ControllerStatus{Address: "dc1:636", InUse: true}
	old := with(answering, func(c *ldapwriter.ControllerStatus) { c.PolicyHints = "" })
	second := with(refused, func(c *ldapwriter.ControllerStatus) { c.Address, c.InUse = "dc2:636", false })

	for name, c := range map[string]struct {
		controllers []ldapwriter.ControllerStatus
		hints       config.HintsRule
		several     bool
		health      health.Severity
		controller  string
		says        string // part of the message
	}{
		"it answers":                       {[]ldapwriter.ControllerStatus{answering}, config.HintsRequire, false, health.OK, "dc1:636", ""},
		"it answers again":                 {[]ldapwriter.ControllerStatus{recovered}, config.HintsRequire, false, health.OK, "dc1:636", ""},
		"the other one does not":           {[]ldapwriter.ControllerStatus{second, answering}, config.HintsRequire, false, health.OK, "dc1:636", ""},
		"none was asked":                   {[]ldapwriter.ControllerStatus{unasked}, config.HintsRequire, false, health.Down, "", "yet"},
		"none answers":                     {[]ldapwriter.ControllerStatus{refused, second}, config.HintsRequire, false, health.Down, "", "dc1:636: connection refused; dc2:636: connection refused"},
		"none answers, others serve":       {[]ldapwriter.ControllerStatus{refused}, config.HintsRequire, true, health.Degraded, "", "dc1:636"},
		"no hints, but required":           {[]ldapwriter.ControllerStatus{old}, config.HintsRequire, false, health.Down, "dc1:636", "every reset is refused"},
		"no hints, required, others serve": {[]ldapwriter.ControllerStatus{old}, config.HintsRequire, true, health.Degraded, "dc1:636", "every reset is refused"},
		"no hints, a warning is asked for": {[]ldapwriter.ControllerStatus{old}, config.HintsWarn, false, health.Degraded, "dc1:636", "written without it"},
		"no hints, and that is allowed":    {[]ldapwriter.ControllerStatus{old}, config.HintsAllow, false, health.OK, "dc1:636", ""},
	} {
		got, remedy := app.StateOf("corp.example.com", c.controllers, c.hints, c.several)
		if got.Name != "corp.example.com" || got.Health != c.health || got.Controller != c.controller {
			t.Errorf("%s: %+v", name, got)
		}
		if !strings.Contains(got.Message, c.says) || (got.Message == "") != (c.health == health.OK) || remedy == "" {
			t.Errorf("%s: %q, %q", name, got.Message, remedy)
		}
	}
}

func TestConditionsComeAndGo(t *testing.T) {
	connected := relay.Stats{Connected: true}
	for name, c := range map[string]struct {
		condition health.Name
		sick      func(app.Judge)
		severity  health.Severity
		says      string
		well      func(app.Judge)
	}{
		"not connected yet": {
			health.Relay, func(j app.Judge) { j.Relay(relay.Stats{}) }, health.Degraded, "not connected yet",
			func(j app.Judge) { j.Relay(connected) },
		},
		"the queue is away": {
			health.Relay, func(j app.Judge) { j.Relay(relay.Stats{LastReceiveError: "refused"}) }, health.Down, "cannot be reached: refused",
			// An error from before the connection does not matter.
			func(j app.Judge) { j.Relay(relay.Stats{Connected: true, LastReceiveError: "refused"}) },
		},
		"results are not accepted": {
			health.Outbox, func(j app.Judge) {
				j.Relay(relay.Stats{Connected: true, FailingQueues: []string{"a", "b"}, LastSendError: "no such queue"})
			}, health.Degraded, "a, b: no such queue",
			func(j app.Judge) { j.Relay(connected) },
		},
		"a portal seals for others": {
			health.Issuer("portal"), func(j app.Judge) { j.Issuer("portal", true) }, health.Degraded, "not sealed for this agent",
			func(j app.Judge) { j.Issuer("portal", false) },
		},
	} {
		board := health.New(time.Now)
		judge := app.NewJudge(board)
		c.sick(judge)
		got := condition(status.Report{Conditions: board.Snapshot()}, c.condition)
		if got.Severity != c.severity || !strings.Contains(got.Message, c.says) || !strings.HasSuffix(got.Remedy, ".") {
			t.Errorf("%s: %+v", name, got)
		}
		if !board.Gate().Open() {
			t.Errorf("%s: closes the intake", name)
		}
		c.well(judge)
		if board.Overall() != health.OK {
			t.Errorf("%s: still %+v", name, board.Snapshot())
		}
	}
}

func TestAConditionIsLoggedWithWhatToDo(t *testing.T) {
	ok := health.Condition{Name: health.Ledger, Severity: health.OK}
	full := health.Condition{
		Name: health.Ledger, Severity: health.Down, Message: "no space left on device", Remedy: "Make room.", Reason: writeback.AgentStorageUnavailable,
	}
	for name, c := range map[string]struct {
		before, after health.Condition
		want          string
	}{
		"it comes": {ok, full, `level=warning msg="no space left on device" condition=ledger hint="Make room." is=down reason=agent.storage_unavailable was=ok`},
		"it goes":  {full, ok, `level=info msg="condition is over" condition=ledger is=ok was=down`},
	} {
		var out bytes.Buffer
		log, err := logging.New(&out, logging.Options{Level: "info", Format: "text"})
		check(t, err)
		app.LogCondition(log, c.before, c.after)
		_, line, _ := strings.Cut(strings.TrimSpace(out.String()), " ") // without the time
		if diff := cmp.Diff(c.want, line); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRulesOfAnIssuer(t *testing.T) {
	domains := []config.Domain{
		{
			Name: "corp.example.com", Bind: config.Bind{User: "svc@corp.example.com"}, ProtectedGroups: []string{"S-1-5-32-544"},
			EnabledFor: config.EnabledForGroups, EnabledGroups: []string{"S-1-5-21-1-2-3-1601"},
			Scope: config.Scope{Include: []string{"ou=Staff, dc=Corp,DC=example,DC=com"}, Exclude: []string{"OU=Temp,OU=Staff,DC=corp,DC=example,DC=com"}},
		},
		{Name: "lab.example.net", Scope: config.Scope{Include: []string{"DC=lab,DC=example,DC=net"}}},
	}
	rules, faulty := app.GuardRules(&config.Config{
		Domains: domains, Policy: config.Policy{ClockSkew: 7 * time.Second},
		Issuers: []config.Issuer{
			{ID: "everywhere", Operations: []writeback.Operation{writeback.OpReset}, RequireMethods: 2, MaxAuthAge: time.Minute},
			{ID: "narrow", Scope: []string{"OU=Kiosk,DC=lab,DC=example,DC=net"}},
			{ID: "whole", WholeDirectory: true},
		},
	})
	if len(faulty) > 0 {
		t.Fatalf("faulty: %v", faulty)
	}
	include := func(id string) []string { return rules.Issuers[id].Scope }
	corp := rules.Domains["corp.example.com"]
	if diff := cmp.Diff(append(append([]string{}, corp.Include...), rules.Domains["lab.example.net"].Include...), include("everywhere")); diff != "" {
		t.Errorf("an issuer without a scope has not that of all domains:\n%s", diff)
	}
	if len(include("narrow")) != 1 || len(include("whole")) != 0 || !rules.Issuers["whole"].WholeDirectory {
		t.Errorf("narrow %v, whole %+v", include("narrow"), rules.Issuers["whole"])
	}
	staff, err := ldapwriter.NormalizeDN("OU=STAFF,DC=CORP,DC=EXAMPLE,DC=COM")
	check(t, err)
	if diff := cmp.Diff([]string{staff}, corp.Include); diff != "" {
		t.Errorf("not in the form of the accounts' names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"svc@corp.example.com"}, corp.BindAccounts); diff != "" || len(corp.Exclude) != 1 || len(corp.ProtectedGroups) != 1 ||
		corp.EnabledFor != guard.EnabledGroups || len(corp.EnabledGroups) != 1 {
		t.Errorf("domain: %+v", corp)
	}
	got := rules.Issuers["everywhere"]
	if got.RequireMethods != 2 || got.MaxAuthAge != time.Minute || len(got.Operations) != 1 || rules.Skew != 7*time.Second {
		t.Errorf("issuer: %+v, skew %s", got, rules.Skew)
	}
	if _, err := guard.New(rules); err == nil {
		t.Error("an issuer without operations is accepted") // the guard, not this room, judges the rules
	}
}

// However its name is written in the configuration, the agent never resets the account it logs on with.
func TestTheBindAccountIsProtectedUnderItsNameAsTheControllerWritesIt(t *testing.T) {
	rules, faulty := app.GuardRules(&config.Config{Domains: []config.Domain{{EnabledFor: config.EnabledForAll,
		Name: "corp.example.com", Bind: config.Bind{User: "cn=Svc Writeback, ou=Staff, dc=corp,dc=example,dc=com"},
		Scope: config.Scope{Include: []string{"DC=corp,DC=example,DC=com"}},
	}}})
	if len(faulty) > 0 {
		t.Fatalf("faulty: %v", faulty)
	}
	rules.Issuers["portal"] = guard.IssuerRules{Identifiers: []writeback.IdentifierKind{writeback.ByGUID}, WholeDirectory: true}
	made, err := guard.New(rules)
	check(t, err)
	request := &writeback.Request{
		Claims: writeback.Claims{Issuer: "portal", Operation: writeback.OpReset}, Subject: writeback.Subject{Kind: writeback.ByGUID},
	}
	account := writeback.Account{
		GUID: writeback.GUID{1}, SID: "S-1-5-21-1-2-3-1104", Domain: "corp.example.com", ObjectClasses: []string{"user"},
		UserAccountControl: writeback.UACNormalAccount, TokenGroups: []string{"S-1-5-21-1-2-3-513"},
		DistinguishedName: "CN=Svc Writeback,OU=Staff,DC=corp,DC=example,DC=com", Containers: rules.Domains["corp.example.com"].Include,
	}
	if reason := writeback.ReasonOf(made.CheckAccount(request, account, time.Now())); reason != writeback.PolicyProtectedUser {
		t.Errorf("a reset of the agent's own account: %s, want %s", reason, writeback.PolicyProtectedUser)
	}
}

func TestNamesThatAreNoneAreAllReported(t *testing.T) {
	_, faulty := app.GuardRules(&config.Config{
		Domains: []config.Domain{{Name: "d", Scope: config.Scope{Include: []string{"DC=d", "no name"}, Exclude: []string{"="}}}},
		Issuers: []config.Issuer{{ID: "i", Scope: []string{"OU=x,"}}},
	})
	want := []string{"domains[0].scope.include[1]", "domains[0].scope.exclude[0]", "issuers[0].scope[0]"}
	if diff := cmp.Diff(want, faulty); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheRecorderFeedsTheStatus(t *testing.T) {
	r := app.NewRecorder()
	for _, a := range []struct {
		issuer string
		toUs   bool
	}{{"b", false}, {"a", false}, {"c", false}, {"c", true}, {"d", true}, {"a", false}} {
		r.Addressed(a.issuer, a.toUs)
	}
	if diff := cmp.Diff([]string{"a", "b"}, r.NotSealing()); diff != "" {
		t.Errorf("not sealing (-want +got):\n%s", diff)
	}
	r.Answered(agent.Answer{
		Issuer: "a", Operation: writeback.OpUnlock, Took: 1500 * time.Microsecond,
		Outcome: writeback.Outcome{Verdict: writeback.NotWritten, Reason: writeback.UserNotFound},
	})
	r.Discarded(writeback.EnvelopeBadSignature)
	r.Discarded(writeback.EnvelopeBadSignature)
	report := r.Report()
	if report.Reasons[writeback.UserNotFound] != 1 || report.Discarded[writeback.EnvelopeBadSignature] != 2 {
		t.Errorf("counts: %v, %v", report.Reasons, report.Discarded)
	}
	if last := report.Last; last == nil || last.Issuer != "a" || last.Operation != writeback.OpUnlock || last.Milliseconds != 1 {
		t.Errorf("last: %+v", last)
	}
}

func TestWordsForTheIntake(t *testing.T) {
	for state, want := range map[relay.IntakeState]status.Intake{
		relay.IntakeRunning: status.IntakeOpen, relay.IntakeSlow: status.IntakeSlow, relay.IntakeGateClosed: status.IntakeClosed,
		relay.IntakeDraining: status.IntakeStopping, relay.IntakeStopped: status.IntakeStopping,
	} {
		if got := app.Intake(state); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
}

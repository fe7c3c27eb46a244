package app

import (
	"context"
	"io"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/relay"
)

// StateOf exposes how a domain is judged by its controllers.
func StateOf(name string, controllers []ldapwriter.ControllerStatus, hints config.HintsRule, oneOfSeveral bool) (domain status.Domain, remedy string) {
	state := stateOf(name, controllers, hints, oneOfSeveral)
	return state.Domain, state.remedy
}

// Advise exposes what is said of the controllers of a domain that is served by one of them, or by none.
func Advise(served string, controllers []ldapwriter.ControllerStatus, unlisted error, now time.Time) (domain status.Domain, remedy string) {
	state := domainState{}
	state.Name, state.Controller, state.Health = "corp.example.com", served, health.OK
	if served == "" {
		state.Health = health.Down
	}
	if unlisted != nil {
		state.unlisted(unlisted)
	}
	state.advise(controllers, now)
	state.Controllers = asControllers(controllers)
	return state.Domain, state.remedy
}

// GuardRules exposes the rules made of a configuration, and the fields that are no names of containers.
func GuardRules(cfg *config.Config) (rules guard.Rules, faulty []string) {
	rules = guardRules(cfg, func(path string, _ error) { faulty = append(faulty, path) })
	return rules, faulty
}

// Judge is an agent that only judges conditions.
type Judge struct{ agent *Agent }

// NewJudge makes one.
func NewJudge(board *health.Board) Judge { return Judge{&Agent{board: board}} }

// NewListJudge makes one for the lists of passwords.
func NewListJudge(board *health.Board, policy config.Policy) Judge {
	return Judge{&Agent{board: board, lists: openLists(policy, func(string, error) {})}}
}

// NewDiskJudge makes one for the room on the disk. space tells of a folder how many bytes are free, of how many, and how many files.
func NewDiskJudge(board *health.Board, space func(folder string) (free, size, freeFiles, files uint64, err error)) Judge {
	cfg := &config.Config{StateDir: "/state", Audit: config.Audit{Dir: "/audit"}}
	return Judge{&Agent{board: board, cfg: cfg, space: func(folder string) (s diskSpace, err error) {
		s.free, s.size, s.freeFiles, s.files, err = space(folder)
		return s, err
	}}}
}

// Disk judges the room on the disk.
func (j Judge) Disk() { j.agent.judgeDisk() }

// SpaceOf exposes what the host says of a folder's file system.
func SpaceOf(folder string) (free, size, freeFiles, files uint64, err error) {
	s, err := spaceOf(folder)
	return s.free, s.size, s.freeFiles, s.files, err
}

// SetFree makes a file system of a GiB of which so many bytes are free. The agent must not run yet.
func SetFree(a *Agent, free func() uint64) {
	a.space = func(string) (diskSpace, error) { return diskSpace{free: free(), size: 1 << 30}, nil }
}

// SetClock sets the clock by which the intake is closed and opened after a part of the host was set back. The agent must not run yet.
func SetClock(a *Agent, now func() time.Time) { a.now = now }

// Lists judges the lists of passwords.
func (j Judge) Lists() { j.agent.judgeLists() }

// Relay judges what the loop says, and Issuer what the last request of a portal was.
func (j Judge) Relay(stats relay.Stats) {
	j.agent.judgeRelay(stats)
	j.agent.judgeOutbox(stats)
}

// Issuer judges a portal by its last request.
func (j Judge) Issuer(id string, foreign bool) { j.agent.judgeIssuer(id, foreign) }

// Recorder exposes what feeds the status.
type Recorder struct{ *recorder }

// NewRecorder makes one.
func NewRecorder() Recorder { return Recorder{newRecorder(status.NewCounters(time.Now))} }

// NotSealing returns the issuers that do not seal for this agent.
func (r Recorder) NotSealing() []string { return r.notSealing() }

// Report fills in the counts.
func (r Recorder) Report() (report status.Report) {
	r.counters.Fill(&report)
	return report
}

// Intake exposes the word for a state of the loop.
func Intake(state relay.IntakeState) status.Intake { return intake(state) }

// LogOf returns the logger of an agent.
func LogOf(a *Agent) logrus.FieldLogger { return a.log }

// BindPassword reads a bind password as the directory does, and masks it in what is written through the returned writer.
func BindPassword(path string, w io.Writer) (read func(context.Context) (secret.Value, error), masked io.Writer, forget func() error) {
	known := &secrets{}
	return (&bindSecret{path: path, load: config.ReadSecret, known: known}).read, known.writer(w), known.forget
}

// LogCondition writes what is logged when a condition comes, changes or goes.
func LogCondition(log logrus.FieldLogger, before, after health.Condition) {
	(&Agent{log: log}).logCondition(before, after)
}

// Keyring exposes the keys that the pipeline uses.
type Keyring struct{ *keyring }

// NewKeyring makes one on a clock of one's choice.
func NewKeyring(cfg *config.Config, now func() time.Time) (Keyring, error) {
	ring, err := newKeyring(cfg, now)
	return Keyring{ring}, err
}

// Refresh looks at the files.
func (k Keyring) Refresh() bool { return k.refresh() }

// Judge brings the condition of the keys up to date.
func (k Keyring) Judge(board *health.Board) { (&Agent{board: board, keyring: k.keyring}).judgeKeys() }

// WatchClock watches a clock of one's choice.
func WatchClock(ctx context.Context, a *Agent, now func() time.Time) { a.watchClock(ctx, now) }

// RetireKeys deletes the dead keys of an agent at a time, when a controller has confirmed another one; zero: none has confirmed any.
func RetireKeys(ctx context.Context, a *Agent, now, confirmed time.Time) error {
	err := a.ledger.AdvanceTime(ctx, confirmed)
	a.retireKeys(ctx, now)
	return err
}

// CheckedController exposes what a check says of a controller that was asked, apart from the network to it.
func CheckedController(seen ldapwriter.ControllerStatus, hints config.HintsRule, now time.Time) map[string]check.Finding {
	return map[string]check.Finding{
		"tls": secured(seen), "logon": loggedOn(seen), "certificate": certificate(seen, now), "history": historyKept(seen, hints), "clock": clockOf(seen),
	}
}

// RightsFound exposes how examples are summed up.
func RightsFound(looked int, refused []check.Finding, warnings []string) check.Finding {
	return rightsFound(looked, refused, warnings)
}

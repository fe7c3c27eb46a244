package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// ContentType is what a request's message must declare.
const ContentType = "application/jwt"

// Config holds what a [Pipeline] is made of. Every port is required; the limits have defaults.
type Config struct {
	Group  string            // the agents' group
	Agent  string            // this agent's id within the group
	Queues map[string]string // issuer -> its results queue

	Envelope  Envelope
	Signer    ResultSigner
	Directory Directory
	Guard     Guard
	Passwords Passwords // nil: there are no lists
	Ledger    Ledger
	Audit     Audit
	Health    Health
	Recorder  Recorder
	Observer  Observer // may be nil
	Now       func() time.Time
	Log       logrus.FieldLogger

	// UserBudget bounds the failed changes and unlocks of one user, all issuers together. Required.
	UserBudget ledger.Budget

	Limits Limits
}

// Limits are the times of the pipeline. Zero values mean the defaults.
type Limits struct {
	Skew             time.Duration // between the portal's clock and ours: 30 s
	WriteTimeout     time.Duration // of one Modify: 5 s
	ControllerSearch time.Duration // for a controller that answers: 10 s
	FindOut          time.Duration // while a person waits: 30 s
	KeepLooking      time.Duration // in the background: 1 h
	NotForUsDelay    time.Duration // before a message for other agents is handed on: 2 s
	OutboxLife       time.Duration // of an unsent result: 1 h
	ControllerSkew   time.Duration // between a controller's clock and ours: 60 s
	PollInterval     time.Duration // between two looks while a person waits: 500 ms
	Waiting          int           // deliveries that may wait for others of the same user, and half as many for copies of themselves: 8
}

func (l Limits) withDefaults() Limits {
	orElse := func(value *time.Duration, fallback time.Duration) {
		if *value <= 0 {
			*value = fallback
		}
	}
	orElse(&l.Skew, 30*time.Second)
	orElse(&l.WriteTimeout, 5*time.Second)
	orElse(&l.ControllerSearch, 10*time.Second)
	orElse(&l.FindOut, 30*time.Second)
	orElse(&l.KeepLooking, time.Hour)
	orElse(&l.NotForUsDelay, 2*time.Second)
	orElse(&l.OutboxLife, time.Hour)
	orElse(&l.ControllerSkew, 60*time.Second)
	orElse(&l.PollInterval, 500*time.Millisecond)
	if l.Waiting <= 0 {
		l.Waiting = 8
	}
	return l
}

// Pipeline turns deliveries into outcomes. It is safe for concurrent use.
type Pipeline struct {
	Config
	requests *keyLock[writeback.RequestKey] // one delivery of a request at a time
	accounts *keyLock[writeback.GUID]       // one request of an account at a time
	clock    *confirmedClock
	watches  *watchList
	limited  *refusals // requests beyond an issuer's rate
	foreign  *foreign  // requests that no agent opened

	auditBroken atomic.Bool // a line could not be written, and none has been since

	// life ends when the pipeline is closed: it carries what must outlive a single delivery.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

// New makes a pipeline. Call [Pipeline.Recover] before the first delivery and [Pipeline.Close] after the last.
func New(config Config) (*Pipeline, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	config.Limits = config.Limits.withDefaults()
	if config.Observer == nil {
		config.Observer = unobserved{}
	}
	life, end := context.WithCancel(context.Background())
	return &Pipeline{
		Config:   config,
		requests: newKeyLock[writeback.RequestKey](max(1, config.Limits.Waiting/2)),
		accounts: newKeyLock[writeback.GUID](config.Limits.Waiting),
		clock:    newConfirmedClock(config.Ledger),
		watches:  newWatchList(),
		limited:  newRefusals(),
		foreign:  newForeign(),
		life:     life,
		end:      end,
	}, nil
}

// complete names everything that is missing, in one go.
func (c Config) complete() error {
	var faults []error
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Group", c.Group == ""}, {"Agent", c.Agent == ""}, {"Envelope", c.Envelope == nil}, {"Signer", c.Signer == nil},
		{"Directory", c.Directory == nil}, {"Guard", c.Guard == nil}, {"Ledger", c.Ledger == nil}, {"Audit", c.Audit == nil},
		{"Health", c.Health == nil}, {"UserBudget", c.UserBudget.Tries <= 0 || c.UserBudget.Per <= 0},
		{"Recorder", c.Recorder == nil}, {"Now", c.Now == nil}, {"Log", c.Log == nil},
	} {
		if part.missing {
			faults = append(faults, fmt.Errorf("agent: Config.%s is missing", part.name))
		}
	}
	return errors.Join(faults...)
}

type unobserved struct{}

func (unobserved) Reached(Step, writeback.RequestKey) {}

// Close ends the watches that still look for an outcome; what they have not found stays in the ledger for the next start.
func (p *Pipeline) Close() {
	p.end()
	p.running.Wait()
}

// job is one delivery on its walk.
type job struct {
	delivery *writeback.Delivery
	received time.Time
	signed   Signed
	claims   writeback.Claims
	request  *writeback.Request // owned by the job until a watch takes it over
	account  writeback.Account
	recorded bool // the ledger holds a record of this request
	sent     bool // a Modify may have left
	releases []func()
}

// release gives back the locks, last first, and zeroes the secrets.
func (j *job) release() {
	for i := len(j.releases) - 1; i >= 0; i-- {
		j.releases[i]()
	}
	j.releases = nil
	if j.request != nil {
		j.request.Destroy()
	}
}

// ending is why a walk is over and how it is answered.
type ending struct {
	outcome writeback.Outcome
	answer  answerKind
	err     error // for the log and the audit; may be nil
	// unaudited keeps one of many alike out of the audit.
	unaudited bool
}

type answerKind string

const (
	answerStored  answerKind = "stored"  // store the outcome, then answer
	answerOnce    answerKind = "once"    // answer without storing: from memory, or while a directory is away
	answerAlready answerKind = "already" // a watch has stored and answered
	answerNot     answerKind = "not"     // say nothing
)

// finish ends a walk with an outcome that is stored and answered.
func finish(outcome writeback.Outcome) *ending {
	return &ending{outcome: outcome, answer: answerStored}
}

// refuse ends a walk with the reason of err: nothing was written. A reason that is usually met with silence is answered here:
// somebody signed the request and waits.
func refuse(err error) *ending {
	outcome := writeback.Answer(writeback.ReasonOf(err), writeback.DetailOf(err))
	if outcome.Verdict == "" {
		outcome.Verdict = writeback.NotWritten
	}
	return &ending{outcome: outcome, answer: answerStored, err: err}
}

// silent ends a walk without an answer; the reason still decides the settlement.
func silent(reason writeback.Reason, err error) *ending {
	return &ending{outcome: writeback.Outcome{Reason: reason}, answer: answerNot, err: err}
}

// Handle takes one delivery through all steps and says how to settle it. It returns only when the outcome is on disk and
// the signed result is in the outbox, or when it is certain that nothing was sent to the directory. A cancelled ctx ends
// the walk before the write, never during it.
func (p *Pipeline) Handle(ctx context.Context, delivery *writeback.Delivery) writeback.Disposition {
	j := &job{delivery: delivery, received: p.Now()}
	defer j.release()
	reason := p.serve(ctx, j)
	p.observe(StepSettled, j)
	return p.dispose(reason, j)
}

// serve walks and concludes. A panic while concluding leaves the record on disk as it is, for the next start to resolve;
// the message is removed, because a write may have been sent.
func (p *Pipeline) serve(ctx context.Context, j *job) (reason writeback.Reason) {
	defer p.contain(j, func() { reason = writeback.AgentInternal })
	return p.conclude(j, p.walkContained(ctx, j))
}

// walkContained keeps the promise of a known outcome through a panic: once a Modify may have left, nobody may claim that
// nothing was written.
func (p *Pipeline) walkContained(ctx context.Context, j *job) (end *ending) {
	defer p.contain(j, func() {
		switch {
		case j.sent:
			end = p.findOut(ctx, j)
		case j.signed == nil:
			end = silent(writeback.EnvelopeMalformed, errPanic)
		default:
			end = refuse(writeback.NewError(writeback.AgentInternal, errPanic))
		}
	})
	return p.walk(ctx, j)
}

// errPanic stands for a panic in errors. The panic's own value stays out: it may hold parts of the request.
var errPanic = errors.New("ended by a panic; the stack is in the log")

// contain recovers from a panic, logs where it came from and calls then.
func (p *Pipeline) contain(j *job, then func()) {
	if fault := recover(); fault != nil {
		p.log(j).WithField("stack", string(debug.Stack())).Errorf("a request was ended by a panic of type %T", fault)
		then()
	}
}

// walk is the path of one request, step by step.
func (p *Pipeline) walk(ctx context.Context, j *job) *ending {
	steps := []struct {
		reached Step
		take    func(context.Context, *job) *ending
	}{
		{StepReceived, p.receive},
		{StepVerified, p.verify},
		{StepOpened, p.open},
		{StepRecalled, p.recall},
		{StepResolved, p.resolve},
		{StepAdmitted, p.admit},
		{StepRecorded, p.record},
		{StepWritten, p.write},
	}
	for _, step := range steps {
		if end := step.take(ctx, j); end != nil {
			return end
		}
		p.observe(step.reached, j)
	}
	return finish(writeback.Answer(writeback.ReasonOK, writeback.Detail{}))
}

func (p *Pipeline) receive(ctx context.Context, j *job) *ending {
	if ctx.Err() != nil {
		return silent(writeback.AgentStopping, context.Cause(ctx))
	}
	if j.delivery.ContentType != ContentType {
		return silent(writeback.EnvelopeMalformed, fmt.Errorf("content type is not %s", ContentType))
	}
	return nil
}

func (p *Pipeline) observe(step Step, j *job) { p.Observer.Reached(step, j.claims.Key()) }

// dispose turns the reason into a settlement. What was sealed for other agents only is held back for them, and the intake slows down.
func (p *Pipeline) dispose(reason writeback.Reason, j *job) writeback.Disposition {
	disposition := writeback.Disposition{Reason: reason, Settlement: writeback.Settle(reason, j.delivery.Count)}
	if reason != writeback.EnvelopeNotForUs {
		return disposition
	}
	if disposition.Settlement != writeback.Abandon {
		p.foreign.end(j.claims.Issuer, p.Now())
	}
	if p.foreign.forNobody(j.claims.Issuer, p.Now()) {
		return disposition
	}
	disposition.SlowIntake = true
	if disposition.Settlement == writeback.Abandon {
		disposition.Delay = p.Limits.NotForUsDelay
	}
	return disposition
}

// log returns a logger that names the request, and nothing secret.
func (p *Pipeline) log(j *job) logrus.FieldLogger {
	if j.claims.ID == "" {
		return p.Log
	}
	return p.Log.WithFields(logrus.Fields{"issuer": j.claims.Issuer, "request": j.claims.ID, "operation": j.claims.Operation})
}

// storageFailed closes the intake and ends the walk: what cannot be remembered is not done.
func (p *Pipeline) storageFailed(err error) *ending {
	p.Health.Fail(health.Ledger, health.Down, err)
	return silent(writeback.AgentStorageUnavailable, err)
}

// auditFailed closes the intake until the audit has been written again.
func (p *Pipeline) auditFailed(err error) {
	p.auditBroken.Store(true)
	p.Health.Fail(health.Audit, health.Down, err)
}

// ledgerFailed is storageFailed for the ledger, and tells a request that was cancelled from a ledger that is broken.
func (p *Pipeline) ledgerFailed(ctx context.Context, err error) *ending {
	if ctx.Err() != nil {
		return silent(writeback.AgentStopping, err)
	}
	if errors.Is(err, ledger.ErrState) {
		return refuse(writeback.NewError(writeback.AgentInternal, err))
	}
	return p.storageFailed(err)
}

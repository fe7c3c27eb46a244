package agent

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// Envelope verifies request tokens.
type Envelope interface {
	// Verify checks the signature and everything outside the sealed part; it judges no times and decrypts nothing. The
	// error has an envelope.* or request.unsupported reason; with it comes a Signed only if an answer can be given.
	Verify(token []byte) (Signed, error)
	// JudgeTimes compares the claims' times with a clock. It stands apart from Verify, because the ledger is asked first.
	JudgeTimes(claims writeback.Claims, now time.Time) error
}

// Signed is a request whose signature was verified. Only such a value can be opened.
type Signed interface {
	Claims() writeback.Claims
	// Open decrypts the part sealed for this agent. The error's reason is envelope.not_for_us, envelope.undecryptable or
	// request.unsupported.
	Open() (*writeback.Request, error)
}

// ResultSigner signs results with the agent's key.
type ResultSigner interface {
	Sign(result writeback.Result) (token []byte, err error)
}

// Directory is Active Directory. All errors carry a reason.
type Directory interface {
	// Resolve finds exactly one account on one controller.
	Resolve(ctx context.Context, subject writeback.Subject) (writeback.Account, error)
	// Preflight tells what a reset, change or unlock of the account would meet, whatever the password, without writing: as the error it
	// would fail with, else as a detail that can be shown beforehand (min_length, history_length, retry_after, warnings).
	Preflight(ctx context.Context, account writeback.Account, operation writeback.Operation) (writeback.Detail, error)
	// Write sends one Modify to the account's controller. The reason directory.outcome_unknown means that it may have
	// been received; with every other reason the controller has answered or nothing was sent.
	Write(ctx context.Context, account writeback.Account, change writeback.Change) error
	// PasswordState reads the evidence again, from the account's controller; it needs only GUID, Domain and Controller.
	PasswordState(ctx context.Context, account writeback.Account) (writeback.PasswordState, error)
	// Probe binds as the account once. It may cost a bad-password count: the caller keeps the conditions.
	Probe(ctx context.Context, account writeback.Account, password secret.Value) (ProbeResult, error)
}

// ProbeResult is what a bind with the new password showed.
type ProbeResult string

// The results of a probe.
const (
	ProbeOurs         ProbeResult = "ours"     // the password is the one of the request
	ProbeNotOurs      ProbeResult = "not_ours" // it is another
	ProbeInconclusive ProbeResult = "inconclusive"
)

// Guard says whether an issuer may ask, and whether an account may be reset. All errors carry a reason.
type Guard interface {
	// Admit counts a request of the issuer, and refuses it when there were too many.
	Admit(issuer string, now time.Time) error
	CheckIssuer(claims writeback.Claims, now time.Time) error
	CheckSubject(request *writeback.Request) error
	CheckPassword(request *writeback.Request) error
	CheckAccount(request *writeback.Request, account writeback.Account, now time.Time) error
	// Checks names the operation that a check by this issuer asks about.
	Checks(issuer string) writeback.Operation
	// Conceal hides from an issuer with a narrow scope whether a user exists.
	Conceal(issuer string, err error) error
}

// Passwords judges new passwords by the administrator's lists. All errors carry a reason.
type Passwords interface {
	Check(ctx context.Context, password secret.Value) error
}

// Ledger is the durable memory of requests; see agent/ledger for the promises.
type Ledger interface {
	Get(ctx context.Context, key writeback.RequestKey) (ledger.Record, bool, error)
	Claim(ctx context.Context, claims writeback.Claims) (ledger.Record, bool, error)
	BeginWriting(ctx context.Context, key writeback.RequestKey, intent ledger.Intent, budget ledger.Budget) error
	BudgetSpent(ctx context.Context, account writeback.GUID, operation writeback.Operation, budget ledger.Budget) error
	Release(ctx context.Context, key writeback.RequestKey) error
	MarkProbed(ctx context.Context, key writeback.RequestKey) error
	Finish(ctx context.Context, key writeback.RequestKey, outcome writeback.Outcome, settled bool, result *writeback.PendingResult) error
	Revise(ctx context.Context, key writeback.RequestKey, outcome writeback.Outcome, result *writeback.PendingResult) error
	Settle(ctx context.Context, key writeback.RequestKey) error
	Enqueue(ctx context.Context, result writeback.PendingResult) error
	LastWrite(ctx context.Context, account writeback.GUID) (ledger.LastWrite, bool, error)
	Unresolved(ctx context.Context) ([]ledger.Record, error)
	Unaudited(ctx context.Context) ([]ledger.Record, error)
	MarkAudited(ctx context.Context, keys ...writeback.RequestKey) error
	HighestTime(ctx context.Context) (time.Time, error)
	AdvanceTime(ctx context.Context, confirmed time.Time) error
	Prune(ctx context.Context) (int, error)
}

// Audit is the tamper-evident log. Append returns after the line is on disk.
type Audit interface {
	Append(ctx context.Context, event audit.Event) error
}

// Health takes note of what is wrong. Conditions of the agent's own memory close the intake.
type Health interface {
	Fail(name health.Name, severity health.Severity, err error)
	Clear(name health.Name)
}

// Recorder counts what happened, for status.
type Recorder interface {
	Answered(Answer)
	Discarded(writeback.Reason)
	// Addressed tells whether an issuer's message held an entry for this agent's key.
	Addressed(issuer string, toUs bool)
}

// Answer is one finished request as status shows it: without the user.
type Answer struct {
	Issuer    string
	Operation writeback.Operation
	Outcome   writeback.Outcome
	Received  time.Time
	Took      time.Duration
}

// Observer is told when a request has passed a step. Tests stop or kill the agent there; it must be quick otherwise.
type Observer interface {
	Reached(step Step, key writeback.RequestKey)
}

// Step names a point on the walk of a request; see the package documentation.
type Step string

// The steps, in order.
const (
	StepReceived Step = "received"
	StepVerified Step = "verified"
	StepOpened   Step = "opened"
	StepRecalled Step = "recalled"
	StepResolved Step = "resolved"
	StepAdmitted Step = "admitted"
	StepRecorded Step = "recorded"
	StepWritten  Step = "written"
	StepStored   Step = "stored"
	StepSettled  Step = "settled"
)

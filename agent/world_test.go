package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// world is a pipeline with its real ledger, audit and health board, and a directory, envelope and guard that the test
// plays. Tests run in a synctest bubble: hours pass in no time, and "nothing happens any more" can be waited for.
type world struct {
	t         *testing.T
	dir       string
	config    agent.Config
	pipeline  *agent.Pipeline
	ledger    *brittleLedger
	audit     *brittleAudit
	board     *health.Board
	directory *directory
	envelope  *envelope
	guard     *guard
	rules     agent.Guard // in place of guard, when set
	recorder  *recorder
	observer  *observer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), directory: newDirectory(), envelope: newEnvelope(), guard: &guard{}, recorder: &recorder{}, observer: &observer{}}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start opens everything on the same folder, as a new process would.
func (w *world) start() {
	w.t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	memory, err := ledger.Open(w.t.Context(), ledger.Options{Path: filepath.Join(w.dir, "ledger.db"), Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	lines, err := audit.Open(w.t.Context(), audit.Options{Dir: filepath.Join(w.dir, "audit"), Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger, w.audit, w.board = &brittleLedger{Ledger: memory}, &brittleAudit{Log: lines}, health.New(time.Now)
	w.config = agent.Config{
		Group: "corp", Agent: "host1", Queues: map[string]string{"portal": "results-portal"},
		Envelope: w.envelope, Signer: signer{}, Directory: w.directory, Guard: w.guard, Ledger: w.ledger, Audit: w.audit,
		Health: w.board, Recorder: w.recorder, Observer: w.observer, Now: time.Now, Log: log,
		UserBudget: ledger.Budget{Tries: 5, Per: time.Hour},
	}
	if w.rules != nil {
		w.config.Guard = w.rules
	}
	w.pipeline, err = agent.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.pipeline.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	w.pipeline.Close()
	_ = w.audit.Close()
	_ = w.ledger.Close()
}

// restart ends the process in order and starts another. What a crash leaves behind is produced by brittleLedger.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// handle delivers a request once, with a lock of five minutes.
func (w *world) handle(token []byte) writeback.Disposition {
	w.t.Helper()
	return w.pipeline.Handle(w.t.Context(), delivery(token, 1))
}

func delivery(token []byte, count uint32) *writeback.Delivery {
	locked := time.Now().Add(5 * time.Minute)
	return &writeback.Delivery{Body: token, ContentType: agent.ContentType, Count: count, LockedUntil: func() time.Time { return locked }}
}

// results returns everything that waits in the outbox, oldest first, decoded.
func (w *world) results() []writeback.Result {
	w.t.Helper()
	pending, err := w.ledger.Pending(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var results []writeback.Result
	for _, p := range pending {
		results = append(results, decoded(w.t, p.Token))
	}
	return results
}

// last returns the newest result.
func (w *world) last() writeback.Result {
	w.t.Helper()
	results := w.results()
	if len(results) == 0 {
		w.t.Fatal("no result in the outbox")
	}
	return results[len(results)-1]
}

func (w *world) record(request writeback.Request) ledger.Record {
	w.t.Helper()
	record, known, err := w.ledger.Get(w.t.Context(), request.Key())
	if err != nil || !known {
		w.t.Fatalf("record of %s: known %v, %v", request.Key(), known, err)
	}
	return record
}

// auditKinds returns the kinds of all audit lines about a request, after the chain was verified.
func (w *world) auditKinds(request writeback.Request) []audit.Kind {
	w.t.Helper()
	var kinds []audit.Kind
	for entry, err := range audit.Read(w.t.Context(), filepath.Join(w.dir, "audit")) {
		if err != nil {
			w.t.Fatal(err)
		}
		if entry.Request == request.Key() {
			kinds = append(kinds, entry.Kind)
		}
	}
	return kinds
}

// signedResult is the "token" of the test signer.
type signedResult struct {
	writeback.Result
	Replayed bool
}

type signer struct{}

func (signer) Sign(result writeback.Result) ([]byte, error) {
	return json.Marshal(signedResult{result, result.Outcome.Replayed})
}

func decoded(t *testing.T, token []byte) writeback.Result {
	t.Helper()
	var result signedResult
	if err := json.Unmarshal(token, &result); err != nil {
		t.Fatal(err)
	}
	result.Result.Outcome.Replayed = result.Replayed
	return result.Result
}

// envelope knows requests by their token.
type envelope struct {
	mu       sync.Mutex
	requests map[string]sealed
	times    error // what JudgeTimes finds beyond the clock's word
	revoked  bool  // nobody's signature counts any more
}

type sealed struct {
	request   writeback.Request
	password  string
	old       string
	verifyErr error
	signed    bool // with verifyErr: answerable
	openErr   error
}

func newEnvelope() *envelope { return &envelope{requests: map[string]sealed{}} }

func (e *envelope) put(token string, s sealed) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests[token] = s
	return []byte(token)
}

func (e *envelope) Verify(token []byte) (agent.Signed, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, known := e.requests[string(token)]
	switch {
	case !known:
		return nil, writeback.NewError(writeback.EnvelopeBadSignature, errors.New("forged"))
	case e.revoked:
		return nil, writeback.NewError(writeback.EnvelopeUntrustedIssuer, errors.New("revoked"))
	case s.verifyErr != nil && !s.signed:
		return nil, s.verifyErr
	}
	return s, s.verifyErr
}

func (e *envelope) revoke() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.revoked = true
}

func (e *envelope) JudgeTimes(claims writeback.Claims, now time.Time) error {
	switch {
	case claims.IssuedAt.After(now.Add(30 * time.Second)):
		return writeback.NewError(writeback.RequestNotYetValid, nil)
	case !now.Before(claims.ExpiresAt.Add(30 * time.Second)):
		return writeback.NewError(writeback.RequestExpired, nil)
	}
	return e.times
}

func (s sealed) Claims() writeback.Claims { return s.request.Claims }

func (s sealed) Open() (*writeback.Request, error) {
	if s.openErr != nil {
		return nil, s.openErr
	}
	request := s.request
	request.Password = secret.NewString(s.password)
	request.OldPassword = secret.NewString(s.old)
	return &request, nil
}

// guard admits everybody unless told otherwise.
type guard struct {
	mu                                       sync.Mutex
	issuer, subject, password, account, rate error
	checks                                   writeback.Operation // what a check asks about
}

func (g *guard) Admit(string, time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rate
}

func (g *guard) Checks(string) writeback.Operation {
	if g.checks == "" {
		return writeback.OpReset
	}
	return g.checks
}

func (g *guard) CheckIssuer(writeback.Claims, time.Time) error { return g.issuer }

func (g *guard) CheckSubject(*writeback.Request) error { return g.subject }

func (g *guard) CheckPassword(*writeback.Request) error { return g.password }

func (g *guard) CheckAccount(*writeback.Request, writeback.Account, time.Time) error {
	return g.account
}

func (g *guard) Conceal(_ string, err error) error { return err }

// recorder remembers what status would count.
type recorder struct {
	mu        sync.Mutex
	answers   []agent.Answer
	discarded []writeback.Reason
	foreign   []string
}

func (r *recorder) Answered(a agent.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
}

func (r *recorder) Discarded(reason writeback.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discarded = append(r.discarded, reason)
}

func (r *recorder) Addressed(issuer string, toUs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !toUs {
		r.foreign = append(r.foreign, issuer)
	}
}

// observer records the steps and can act at one of them.
type observer struct {
	mu    sync.Mutex
	steps []agent.Step
	at    map[agent.Step]func()
}

func (o *observer) Reached(step agent.Step, _ writeback.RequestKey) {
	o.mu.Lock()
	o.steps = append(o.steps, step)
	act := o.at[step]
	o.mu.Unlock()
	if act != nil {
		act()
	}
}

func (o *observer) when(step agent.Step, act func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = map[agent.Step]func(){step: act}
}

func (o *observer) passed() []agent.Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.steps)
}

// brittleLedger is a ledger whose disk can fail.
type brittleLedger struct {
	*ledger.Ledger
	mu    sync.Mutex
	fails map[string]error // method -> error
}

func (l *brittleLedger) fail(method string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = map[string]error{method: err}
}

func (l *brittleLedger) failure(method string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fails[method]
}

func (l *brittleLedger) Claim(ctx context.Context, claims writeback.Claims) (ledger.Record, bool, error) {
	if err := l.failure("Claim"); err != nil {
		return ledger.Record{}, false, err
	}
	return l.Ledger.Claim(ctx, claims)
}

func (l *brittleLedger) BeginWriting(ctx context.Context, key writeback.RequestKey, intent ledger.Intent, budget ledger.Budget) error {
	if err := l.failure("BeginWriting"); err != nil {
		return err
	}
	return l.Ledger.BeginWriting(ctx, key, intent, budget)
}

func (l *brittleLedger) Finish(ctx context.Context, key writeback.RequestKey, outcome writeback.Outcome, settled bool, result *writeback.PendingResult) error {
	if err := l.failure("Finish"); err != nil {
		return err
	}
	return l.Ledger.Finish(ctx, key, outcome, settled, result)
}

func (l *brittleLedger) Get(ctx context.Context, key writeback.RequestKey) (ledger.Record, bool, error) {
	if err := l.failure("Get"); err != nil {
		return ledger.Record{}, false, err
	}
	return l.Ledger.Get(ctx, key)
}

func (l *brittleLedger) Unaudited(ctx context.Context) ([]ledger.Record, error) {
	if err := l.failure("Unaudited"); err != nil {
		return nil, err
	}
	return l.Ledger.Unaudited(ctx)
}

// brittleAudit is an audit whose disk can fail for one kind of event.
type brittleAudit struct {
	*audit.Log
	mu    sync.Mutex
	fails map[audit.Kind]error
}

func (a *brittleAudit) fail(kind audit.Kind, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fails = map[audit.Kind]error{kind: err}
}

func (a *brittleAudit) Append(ctx context.Context, event audit.Event) error {
	a.mu.Lock()
	err := a.fails[event.Kind]
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.Log.Append(ctx, event)
}

var errDisk = errors.New("no space left on device")

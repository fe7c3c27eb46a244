package agent

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// watch finds out about one write whose answer was lost. It holds the account's lock while it looks: a later request for
// the same user must not write before the earlier one's outcome is known.
type watch struct {
	record  ledger.Record
	intent  ledger.Intent
	account writeback.Account
	release func() // of the account's lock

	mu       sync.Mutex
	password secret.Value // empty after a restart, until the queue delivers the request again
	probed   bool         // the one bind was spent
	shown    ProbeResult  // what it showed; notProbed if that was lost with an earlier process

	offered  chan struct{} // a password came in
	settled  sync.Once
	answered chan struct{} // closed when the first outcome is stored
	first    writeback.Outcome
}

// newWatch makes a watch of a request in hand; it shares the request's secrets.
func (p *Pipeline) newWatch(j *job) *watch {
	return &watch{
		record: ledger.Record{
			Key: j.claims.Key(), Digest: j.claims.Digest, Operation: j.claims.Operation,
			IssuedAt: j.claims.IssuedAt, ExpiresAt: j.claims.ExpiresAt, ReplySession: j.claims.ReplySession, State: ledger.StateWriting,
		},
		intent: j.intent(p), account: j.account, release: func() {}, password: j.request.Password,
		offered: make(chan struct{}, 1), answered: make(chan struct{}),
	}
}

// findOut hands the request's account lock and secrets over to a watch and waits for its first answer. A stop ends the
// waiting, not the watch; the message is removed all the same, because nobody else may write it any more.
func (p *Pipeline) findOut(ctx context.Context, j *job) *ending {
	w := p.newWatch(j)
	w.release = j.handOver()
	p.start(w)
	select {
	case <-w.answered:
		return &ending{outcome: w.first, answer: answerAlready}
	case <-ctx.Done():
		return silent(writeback.DirectoryOutcomeUnknown, context.Cause(ctx))
	}
}

// handOver gives the account's lock, which is always the last one taken, and the secrets to the caller.
func (j *job) handOver() (release func()) {
	last := len(j.releases) - 1
	release = j.releases[last]
	j.releases, j.request = j.releases[:last], nil
	return release
}

// start runs w until it knows or gives up. A panic ends the watch and not the process: the record stays unresolved, and
// maintenance has somebody else look.
func (p *Pipeline) start(w *watch) {
	p.watches.add(w)
	p.running.Go(func() {
		defer p.watches.remove(w)
		defer w.release()
		defer w.forget()
		defer p.containWatch(w)
		p.run(w)
	})
}

func (p *Pipeline) containWatch(w *watch) {
	if fault := recover(); fault != nil {
		p.Log.WithField("request", w.record.Key.String()).WithField("stack", string(debug.Stack())).
			Errorf("a search for an outcome was ended by a panic of type %T", fault)
		w.settleFirst(writeback.Answer(writeback.DirectoryOutcomeUnknown, writeback.Detail{}))
	}
}

func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.password.Destroy()
}

// run looks while a person waits, answers, and goes on looking in the background if the answer was "unknown".
func (p *Pipeline) run(w *watch) {
	if w.record.State == ledger.StateWriting {
		outcome := p.look(w, p.Limits.FindOut, p.Limits.PollInterval)
		if outcome.Verdict == writeback.Unknown && p.life.Err() != nil {
			w.settleFirst(outcome) // cut short: the record still says "writing", and the next start finds out
			return
		}
		p.answerWatch(w, outcome)
		if outcome.Verdict != writeback.Unknown {
			return
		}
	} else {
		w.settleFirst(*w.record.Outcome)
	}
	p.revise(w)
}

// settleFirst lets everybody go who waits for the first outcome; there is only one.
func (w *watch) settleFirst(outcome writeback.Outcome) {
	w.settled.Do(func() {
		w.first = outcome
		close(w.answered)
	})
}

// answerWatch stores the first outcome; the waiting delivery is released even if the disk refuses, because the record on
// disk still says "writing" and the next start finds out again.
func (p *Pipeline) answerWatch(w *watch, outcome writeback.Outcome) {
	defer w.settleFirst(outcome)
	p.store(p.entryOf(w), outcome, outcome.Verdict != writeback.Unknown)
	p.Log.WithFields(logrus.Fields{"request": w.record.Key.String(), "outcome": outcome.Verdict, "reason": outcome.Reason}).
		Info("a write whose answer was lost was looked for")
}

// revise keeps looking and corrects the answer at most once, from unknown to written.
func (p *Pipeline) revise(w *watch) {
	finished := w.record.FinishedAt
	if finished.IsZero() {
		finished = p.Now()
	}
	outcome := p.look(w, finished.Add(p.Limits.KeepLooking).Sub(p.Now()), 10*p.Limits.PollInterval)
	if p.life.Err() != nil && outcome.Verdict == writeback.Unknown {
		return // the next start goes on looking
	}
	p.storeRevision(p.entryOf(w), outcome)
}

// look examines the evidence again and again until it is conclusive or the time is over.
func (p *Pipeline) look(w *watch, within, every time.Duration) writeback.Outcome {
	ctx, cancel := context.WithTimeout(p.life, within)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if outcome, known := p.examine(ctx, w); known {
			return outcome
		}
		select {
		case <-ctx.Done():
			return writeback.Answer(writeback.DirectoryOutcomeUnknown, writeback.Detail{})
		case <-w.offered:
		case <-tick.C:
		}
	}
}

// examine looks once. It never concludes that nothing was written: a controller that hung may still carry the write out.
func (p *Pipeline) examine(ctx context.Context, w *watch) (outcome writeback.Outcome, known bool) {
	state, err := p.stateOf(ctx, w)
	if err != nil {
		return writeback.Outcome{}, false
	}
	if w.intent.Operation == writeback.OpUnlock {
		wasSeen := w.intent.Seen.LockoutTimeSet // else it cannot be seen now that it is gone
		return writeback.Answer(writeback.AlreadyApplied, writeback.Detail{}), wasSeen && !state.LockoutTimeSet
	}
	if compare(w.intent.Seen, state) != movedByOne {
		return writeback.Outcome{}, false
	}
	return writeback.Answer(writeback.ReasonOK, writeback.Detail{}), p.isOurWrite(ctx, w, state)
}

// isOurWrite attributes the one password write that happened: by trying the new password where that is possible and
// harmless, else by its time.
func (p *Pipeline) isOurWrite(ctx context.Context, w *watch, state writeback.PasswordState) bool {
	switch p.probe(ctx, w, state) {
	case ProbeOurs:
		return true
	case ProbeNotOurs, ProbeInconclusive:
		return false
	}
	return fitsInTime(w.intent, state, p.Limits.WriteTimeout)
}

func (p *Pipeline) stateOf(ctx context.Context, w *watch) (writeback.PasswordState, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Limits.WriteTimeout)
	defer cancel()
	return p.Directory.PasswordState(ctx, w.account)
}

// notProbed means that no bind was tried, or that nobody remembers what it showed.
const notProbed ProbeResult = ""

// probe tries the new password once in the life of a request; that it was tried is on disk before the bind.
func (p *Pipeline) probe(ctx context.Context, w *watch, state writeback.PasswordState) ProbeResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.probed {
		return w.shown
	}
	if w.password.Empty() || !mayProbe(state) {
		return notProbed
	}
	if err := p.Ledger.MarkProbed(context.WithoutCancel(ctx), w.record.Key); err != nil {
		return notProbed
	}
	binding, cancel := context.WithTimeout(ctx, p.Limits.WriteTimeout)
	defer cancel()
	result, err := p.Directory.Probe(binding, w.account, w.password)
	if err != nil {
		result = ProbeInconclusive
	}
	w.probed, w.shown = true, result
	return result
}

// offer gives a watch that was started without the password a chance to try it. It reports whether w took it.
func (w *watch) offer(password secret.Value) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.password.Empty() || w.probed || password.Empty() {
		return false
	}
	w.password = password
	select {
	case w.offered <- struct{}{}:
	default:
	}
	return true
}

// watchList finds the running watch of a request.
type watchList struct {
	mu      sync.Mutex
	running map[writeback.RequestKey]*watch
}

func newWatchList() *watchList { return &watchList{running: map[writeback.RequestKey]*watch{}} }

func (l *watchList) add(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[w.record.Key] = w
}

func (l *watchList) remove(w *watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, w.record.Key)
}

func (l *watchList) find(key writeback.RequestKey) (*watch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.running[key]
	return w, ok
}

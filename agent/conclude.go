package agent

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// conclude is step 9: it stores and answers as the ending says, and returns the reason that settles the message.
func (p *Pipeline) conclude(j *job, end *ending) writeback.Reason {
	switch end.answer {
	case answerNot:
		return p.keepSilent(j, end)
	case answerOnce:
		return p.answerWithoutRecord(j, end)
	case answerAlready:
		p.answered(j, end.outcome, end.err)
		return end.outcome.Reason
	}
	return p.answerAndRemember(j, end)
}

func (p *Pipeline) keepSilent(j *job, end *ending) writeback.Reason {
	reason := end.outcome.Reason
	if writeback.Lookup(reason).Settlement == writeback.Discard || isOverflow(reason) {
		p.Recorder.Discarded(reason)
		p.log(j).WithField("reason", reason).WithError(end.err).Debug("message removed without an answer")
		return reason
	}
	p.log(j).WithField("reason", reason).WithError(end.err).Warn("no answer was given")
	return reason
}

// isOverflow names what may come by the thousand and is therefore counted, not logged: copies, floods, and old tokens that somebody kept.
func isOverflow(reason writeback.Reason) bool {
	return reason == writeback.RequestInProgress || reason == writeback.PolicyRateLimited || reason == writeback.RequestExpired
}

// answerWithoutRecord answers from memory, or what no record is made of. A full outbox only costs the repeated answer.
func (p *Pipeline) answerWithoutRecord(j *job, end *ending) writeback.Reason {
	ctx := context.WithoutCancel(p.life)
	result := p.sign(entry{claims: j.claims}, end.outcome)
	if result != nil {
		err := p.Ledger.Enqueue(ctx, *result)
		if err != nil && !errors.Is(err, ledger.ErrOutboxFull) {
			return p.keepSilent(j, p.storageFailed(err))
		}
	}
	if !end.outcome.Replayed && !end.unaudited { // a repetition changed nothing and is in the log; a flood of them must not fill the audit
		event := j.event().WithOutcome(end.outcome, end.err)
		event.Kind = audit.KindAnswered
		p.auditOutcome(ctx, event)
	}
	p.answered(j, end.outcome, end.err)
	return end.outcome.Reason
}

// answerAndRemember stores the outcome. A request that was refused before it was claimed is claimed now: whoever was told
// "not written" must be able to rely on it, whatever the queue delivers again. Claims that no ledger holds need no memory: no
// delivery of them can ever be served.
func (p *Pipeline) answerAndRemember(j *job, end *ending) writeback.Reason {
	ctx := context.WithoutCancel(p.life)
	if !j.recorded {
		err := p.claim(ctx, j)
		if errors.Is(err, ledger.ErrInvalid) {
			return p.answerWithoutRecord(j, end)
		}
		if err != nil {
			return p.keepSilent(j, p.ledgerFailed(ctx, err))
		}
	}
	lookedFor := j.sent && end.outcome.Verdict == writeback.Unknown
	stored := p.store(entry{claims: j.claims, event: j.event(), cause: end.err, sent: j.sent}, end.outcome, !lookedFor)
	p.observe(StepStored, j)
	if !stored && !j.sent {
		return p.keepSilent(j, silent(writeback.AgentStorageUnavailable, errors.New("the outcome could not be stored")))
	}
	p.answered(j, end.outcome, end.err)
	return end.outcome.Reason
}

// entry is what storing an outcome needs to know about its request.
type entry struct {
	claims writeback.Claims
	event  audit.Event // Kind and outcome are filled in when it is stored
	cause  error       // behind the outcome, for the audit; may be nil
	sent   bool        // a Modify may have left
}

func (p *Pipeline) entryOf(w *watch) entry {
	r := w.record
	claims := writeback.Claims{
		Issuer: r.Key.Issuer, ID: r.Key.ID, Digest: r.Digest, Operation: r.Operation,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt, ReplySession: r.ReplySession,
	}
	r.Intent = &w.intent
	return entry{claims: claims, event: eventOfRecord(r), sent: true}
}

// store puts the outcome and the signed result on disk in one commit, then into the audit. It reports whether the ledger
// has it. After a write that cannot be stored the record still says "writing": the next start finds out again.
func (p *Pipeline) store(e entry, outcome writeback.Outcome, settled bool) bool {
	ctx := context.WithoutCancel(p.life)
	key := e.claims.Key()
	if err := p.Ledger.Finish(ctx, key, outcome, settled, p.sign(e, outcome)); err != nil {
		p.Health.Fail(health.Ledger, health.Down, fmt.Errorf("store the outcome of %s: %w", key, err))
		return false
	}
	e.event.Kind = kindOf(outcome, e.sent)
	p.auditStored(ctx, key, e.event.WithOutcome(outcome, e.cause))
	return true
}

// storeRevision corrects an unknown outcome, or ends the search for it.
func (p *Pipeline) storeRevision(e entry, outcome writeback.Outcome) {
	ctx := context.WithoutCancel(p.life)
	key := e.claims.Key()
	if outcome.Verdict == writeback.Unknown {
		p.giveUp(ctx, e)
		return
	}
	if err := p.Ledger.Revise(ctx, key, outcome, p.sign(e, outcome)); err != nil {
		p.Health.Fail(health.Ledger, health.Down, err)
		return
	}
	e.event.Kind = audit.KindRevised
	p.auditStored(ctx, key, e.event.WithOutcome(outcome, nil))
	p.Log.WithFields(logrus.Fields{"issuer": key.Issuer, "request": key.ID}).Info("an unknown outcome turned out as written")
}

// giveUp ends the search for an outcome that stays unknown.
func (p *Pipeline) giveUp(ctx context.Context, e entry) {
	if err := p.Ledger.Settle(ctx, e.claims.Key()); err != nil {
		p.Health.Fail(health.Ledger, health.Down, err)
		return
	}
	e.event.Kind = audit.KindSettled
	p.auditOutcome(ctx, e.event)
}

// auditStored writes the outcome's audit line; if that fails, start-up or maintenance writes it later from the ledger.
func (p *Pipeline) auditStored(ctx context.Context, key writeback.RequestKey, event audit.Event) {
	if !p.auditOutcome(ctx, event) {
		return
	}
	if err := p.Ledger.MarkAudited(ctx, key); err != nil {
		p.Health.Fail(health.Ledger, health.Down, err)
	}
}

func (p *Pipeline) auditOutcome(ctx context.Context, event audit.Event) bool {
	if err := p.Audit.Append(ctx, event); err != nil {
		p.auditFailed(err)
		return false
	}
	return true
}

// sign makes the result for the portal; nil if it cannot be made: silence means "unknown" to a portal.
func (p *Pipeline) sign(e entry, outcome writeback.Outcome) *writeback.PendingResult {
	now := p.Now()
	id := resultID()
	token, err := p.Signer.Sign(writeback.Result{
		Agent: p.Group + "/" + p.Agent, Audience: e.claims.Issuer, ID: id, IssuedAt: now,
		RequestID: e.claims.ID, RequestDigest: e.claims.Digest, Outcome: outcome,
	})
	queue := p.Queues[e.claims.Issuer]
	if err != nil || queue == "" {
		p.Log.WithError(err).WithField("issuer", e.claims.Issuer).Error("no result could be made for this issuer")
		return nil
	}
	return &writeback.PendingResult{
		Request: e.claims.Key(), MessageID: id, Queue: queue, Session: e.claims.ReplySession,
		Token: token, Expires: now.Add(p.Limits.OutboxLife),
	}
}

// resultID returns 128 random bits.
func resultID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails since Go 1.24: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// answered counts and logs a finished request.
func (p *Pipeline) answered(j *job, outcome writeback.Outcome, err error) {
	took := p.Now().Sub(j.received)
	p.Recorder.Answered(Answer{Issuer: j.claims.Issuer, Operation: j.claims.Operation, Outcome: outcome, Received: j.received, Took: took})
	log := p.log(j).WithFields(logrus.Fields{"reason": outcome.Reason, "outcome": outcome.Verdict, "ms": took.Milliseconds()})
	if err != nil {
		log = log.WithError(err)
	}
	if outcome.Replayed {
		log = log.WithField("replayed", true)
	}
	log.Info("request answered")
}

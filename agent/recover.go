package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// maintenancePeriod is how often the ledger is pruned and a broken memory is tried again.
const maintenancePeriod = 15 * time.Second

// Recover finds out about everything an earlier process left unresolved, without waiting for the queue to deliver it
// again. It returns once every such account is locked, so that no new request can overtake; the watches go on in the
// background and their results leave through the outbox.
func (p *Pipeline) Recover(ctx context.Context) error {
	if err := p.reconcile(ctx); err != nil {
		return err
	}
	if err := p.clock.check(ctx, p.Now()); err != nil {
		p.Health.Fail(health.Clock, health.Down, err)
	}
	records, err := p.Ledger.Unresolved(ctx)
	if err != nil {
		return fmt.Errorf("read the unresolved requests: %w", err)
	}
	for _, record := range records {
		if err := p.takeOver(ctx, record); err != nil {
			return err
		}
	}
	return nil
}

// takeOver starts the watch of a record. The ledger lets only one record of an account be unresolved, so nobody holds
// the lock yet.
func (p *Pipeline) takeOver(ctx context.Context, record ledger.Record) error {
	release, _, err := p.accounts.acquire(ctx, record.Intent.Account)
	if err != nil {
		return err
	}
	p.Log.WithField("request", record.Key.String()).Warn("an earlier process left this request without an outcome: finding out")
	p.start(watchOf(record, release))
	return nil
}

// watchOf makes a watch of what the ledger knows. A bind that was spent before the first answer would have made it "written", had it
// spoken for us.
func watchOf(record ledger.Record, release func()) *watch {
	w := &watch{
		record: record, intent: *record.Intent, release: release, probed: record.Probed,
		account: writeback.Account{GUID: record.Intent.Account, Domain: record.Intent.Domain, Controller: record.Intent.Controller},
		offered: make(chan struct{}, 1), answered: make(chan struct{}),
	}
	if record.Probed && record.State == ledger.StateDone {
		w.shown = ProbeInconclusive
	}
	return w
}

// adopt goes on looking for outcomes that nobody looks for any more, because the disk refused them when they were found.
func (p *Pipeline) adopt(ctx context.Context) error {
	records, err := p.Ledger.Unresolved(ctx)
	for _, record := range records {
		if err := p.adoptOne(ctx, record.Key, record.Intent.Account); err != nil {
			return err
		}
	}
	return err
}

// adoptOne starts a watch unless the request is in hand or watched: whoever works on it holds its account.
func (p *Pipeline) adoptOne(ctx context.Context, key writeback.RequestKey, account writeback.GUID) error {
	release, free := p.accounts.tryAcquire(account)
	if !free {
		return nil
	}
	record, known, err := p.Ledger.Get(ctx, key) // again: it may have been finished before the account was free
	if err != nil || !known || !record.Unresolved() {
		release()
		return err
	}
	p.Log.WithField("request", key.String()).Warn("the outcome of this request could not be stored: finding out")
	p.start(watchOf(record, release))
	return nil
}

// awaitWatch serves a redelivery of a request whose outcome is being looked for: it lends the password to the watch,
// waits for the answer and repeats it. The message is never given back, because a write may have been sent.
func (p *Pipeline) awaitWatch(ctx context.Context, j *job, record ledger.Record) *ending {
	w, found := p.watches.find(record.Key)
	if !found {
		return silent(writeback.DirectoryOutcomeUnknown, fmt.Errorf("the outcome of %s could not be stored; it is found out once the disk works", record.Key))
	}
	p.lend(j, w)
	select {
	case <-w.answered:
		outcome := w.first
		outcome.Replayed = true
		return &ending{outcome: outcome, answer: answerOnce}
	case <-ctx.Done():
		return silent(writeback.DirectoryOutcomeUnknown, context.Cause(ctx))
	}
}

// offerPassword lends the password to the watch of an outcome that is still unknown.
func (p *Pipeline) offerPassword(j *job) {
	if w, found := p.watches.find(j.claims.Key()); found {
		p.lend(j, w)
	}
}

// lend gives w the request's secrets for as long as it looks. The job no longer owns them.
func (p *Pipeline) lend(j *job, w *watch) {
	if j.request != nil && w.offer(j.request.Password) {
		j.request = nil
	}
}

// reconcile writes the audit lines of outcomes that reached the ledger but not the audit.
func (p *Pipeline) reconcile(ctx context.Context) error {
	records, err := p.Ledger.Unaudited(ctx)
	if err != nil {
		return fmt.Errorf("read the outcomes without an audit line: %w", err)
	}
	for _, record := range records {
		event := eventOfRecord(record).WithOutcome(*record.Outcome, nil)
		event.Kind = audit.KindReconciled
		if err := p.Audit.Append(ctx, event); err != nil {
			return fmt.Errorf("write an audit line: %w", err)
		}
		if err := p.Ledger.MarkAudited(ctx, record.Key); err != nil {
			return fmt.Errorf("note an audit line: %w", err)
		}
	}
	return nil
}

// Maintain prunes the ledger and tries again what was broken, until ctx ends.
func (p *Pipeline) Maintain(ctx context.Context) {
	tick := time.NewTicker(maintenancePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.maintainOnce(ctx)
		}
	}
}

// maintainOnce clears a condition only after the thing itself has worked again.
func (p *Pipeline) maintainOnce(ctx context.Context) {
	p.judgeCondition(ctx, health.Ledger, p.tendLedger(ctx))
	if p.auditBroken.Load() {
		p.judgeCondition(ctx, health.Audit, p.repairAudit(ctx))
	}
	p.judgeCondition(ctx, health.Clock, p.clock.check(ctx, p.Now()))
}

func (p *Pipeline) tendLedger(ctx context.Context) error {
	if _, err := p.Ledger.Prune(ctx); err != nil {
		return err
	}
	return p.adopt(ctx)
}

// repairAudit tries to write again, and writes what is missing.
func (p *Pipeline) repairAudit(ctx context.Context) error {
	err := p.Audit.Append(ctx, audit.Event{Kind: audit.KindReconciled, Note: "the audit can be written again"})
	if err != nil {
		return err
	}
	p.auditBroken.Store(false) // before the rest, so that a failure beside it is not forgotten
	if err := p.reconcile(ctx); err != nil {
		p.auditBroken.Store(true) // tried again
		return err
	}
	return nil
}

// judgeCondition keeps quiet about what a stop cut off.
func (p *Pipeline) judgeCondition(ctx context.Context, condition health.Name, err error) {
	switch {
	case err == nil:
		p.Health.Clear(condition)
	case ctx.Err() == nil:
		p.Health.Fail(condition, health.Down, err)
	}
}

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
	p.start(&watch{
		record: record, intent: *record.Intent, release: release, probed: record.Probed,
		account: writeback.Account{GUID: record.Intent.Account, Domain: record.Intent.Domain, Controller: record.Intent.Controller},
		offered: make(chan struct{}, 1), answered: make(chan struct{}),
	})
	return nil
}

// awaitWatch serves a redelivery of a request whose outcome is being looked for: it lends the password to the watch,
// waits for the answer and repeats it. The message is never given back, because a write may have been sent.
func (p *Pipeline) awaitWatch(ctx context.Context, j *job, record ledger.Record) *ending {
	w, found := p.watches.find(record.Key)
	if !found {
		return silent(writeback.DirectoryOutcomeUnknown, fmt.Errorf("the outcome of %s could not be stored; the next start finds out", record.Key))
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
	p.judgeCondition(health.Ledger, p.pruneLedger(ctx))
	if p.auditBroken.Load() {
		p.judgeCondition(health.Audit, p.repairAudit(ctx))
	}
	p.judgeCondition(health.Clock, p.clock.check(ctx, p.Now()))
}

func (p *Pipeline) pruneLedger(ctx context.Context) error {
	_, err := p.Ledger.Prune(ctx)
	return err
}

// repairAudit tries to write again, and writes what is missing.
func (p *Pipeline) repairAudit(ctx context.Context) error {
	err := p.Audit.Append(ctx, audit.Event{Kind: audit.KindReconciled, Note: "the audit can be written again"})
	if err != nil {
		return err
	}
	p.auditBroken.Store(false)
	return p.reconcile(ctx)
}

func (p *Pipeline) judgeCondition(condition health.Name, err error) {
	if err != nil {
		p.Health.Fail(condition, health.Down, err)
		return
	}
	p.Health.Clear(condition)
}

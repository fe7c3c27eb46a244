package agent

import (
	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// event returns what the audit should know about j so far, without a kind.
func (j *job) event() audit.Event {
	event := audit.ForClaims("", j.claims)
	if j.request != nil {
		event = audit.ForRequest("", j.request)
	}
	if !j.account.GUID.IsZero() {
		event = event.WithAccount(j.account)
	}
	return event
}

func (j *job) eventOf(kind audit.Kind) audit.Event {
	event := j.event()
	event.Kind = kind
	return event
}

// kindOf tells a refusal before any write from the end of a write in the audit.
func kindOf(outcome writeback.Outcome, sent bool) audit.Kind {
	if outcome.Verdict == writeback.NotWritten && !sent {
		return audit.KindRefused
	}
	return audit.KindOutcome
}

// eventOfRecord returns what the ledger still knows about a request, without a kind: enough to find the intent's line.
func eventOfRecord(record ledger.Record) audit.Event {
	event := audit.Event{Request: record.Key, Digest: record.Digest, Operation: record.Operation, IssuedAt: record.IssuedAt}
	if record.Intent != nil {
		event = event.WithAccount(writeback.Account{
			GUID: record.Intent.Account, Domain: record.Intent.Domain, Controller: record.Intent.Controller, Password: record.Intent.Seen,
		})
	}
	return event
}

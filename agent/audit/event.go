package audit

import (
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Kind says what an event tells.
type Kind string

// The kinds of events.
const (
	KindStart      Kind = "start"      // the agent began to work
	KindStop       Kind = "stop"       // the agent ended in order
	KindIntent     Kind = "intent"     // a write is about to be sent; without this line on the disk none is
	KindReleased   Kind = "released"   // the write announced by an intent was not sent, for certain
	KindOutcome    Kind = "outcome"    // how a request ended
	KindRevised    Kind = "revised"    // an unknown outcome was found to be written
	KindSettled    Kind = "settled"    // an unknown outcome is no longer looked for
	KindRefused    Kind = "refused"    // a verified request was refused before any write
	KindAnswered   Kind = "answered"   // a repeated request was answered from memory; nothing was done
	KindDiscarded  Kind = "discarded"  // a message that did not verify was removed
	KindReconciled Kind = "reconciled" // an outcome the ledger holds and the audit did not, after a crash
	KindRecovered  Kind = "recovered"  // an unfinished line was set aside when the log was opened
	KindKeys       Kind = "keys"       // the keys that count have changed
	KindSnapshot   Kind = "snapshot"   // ledger, audit and clock do not agree: a part of this host was set back
	KindClock      Kind = "clock"      // an administrator took back the highest time that a controller had confirmed
)

// Event is one line of the audit. Only Kind is mandatory; what does not apply stays zero and is left out of the line.
// Strings are cut at 4 KiB.
type Event struct {
	Time time.Time // zero: the moment of Append
	Kind Kind

	// The request.
	Request   writeback.RequestKey
	Digest    writeback.Digest
	Operation writeback.Operation
	IssuedAt  time.Time
	KeyID     string // of the issuer's signing key
	Actor     writeback.Actor
	AuthTime  time.Time // when the person was verified
	Methods   []string  // how
	Subject   writeback.Subject

	// The account.
	Account           writeback.GUID
	SID               string
	DistinguishedName string
	Domain            string
	Controller        string
	PasswordVersion   uint32 // seen before the write
	VersionSource     writeback.VersionSource
	PasswordChangedAt time.Time // seen before the write, the controller's clock

	// The end.
	Verdict  writeback.Verdict
	Reason   writeback.Reason
	Detail   writeback.Detail
	Replayed bool
	Cause    string // the error behind the reason, for the administrator
	Note     string // anything else worth a line
}

// ForClaims returns an event about a request whose signature was verified.
func ForClaims(kind Kind, claims writeback.Claims) Event {
	return Event{
		Kind: kind, Request: claims.Key(), Digest: claims.Digest, Operation: claims.Operation, IssuedAt: claims.IssuedAt,
		KeyID: claims.KeyID, Actor: claims.Actor, AuthTime: claims.AuthTime, Methods: claims.Methods,
	}
}

// ForRequest returns an event about a request whose sealed part was opened.
func ForRequest(kind Kind, request *writeback.Request) Event {
	event := ForClaims(kind, request.Claims)
	event.Subject = request.Subject
	return event
}

// WithAccount returns the event with the account it is about.
func (e Event) WithAccount(account writeback.Account) Event {
	e.Account, e.SID, e.DistinguishedName = account.GUID, account.SID, account.DistinguishedName
	e.Domain, e.Controller = account.Domain, account.Controller
	e.PasswordVersion, e.VersionSource = account.Password.Version, account.Password.VersionSource
	e.PasswordChangedAt = account.Password.ChangedAt
	return e
}

// WithOutcome returns the event with how the request ended; cause may be nil.
func (e Event) WithOutcome(outcome writeback.Outcome, cause error) Event {
	e.Verdict, e.Reason, e.Detail, e.Replayed = outcome.Verdict, outcome.Reason, outcome.Detail, outcome.Replayed
	if cause != nil {
		e.Cause = cause.Error()
	}
	return e
}

// Position is a place in the chain: enough to prove later that the log still holds this line and all before it.
type Position struct {
	Sequence uint64
	Hash     string    // lower-case hex; 64 zeros before the first line
	Time     time.Time // of the line; zero before the first
}

// Entry is a line as it was read.
type Entry struct {
	Position
	Event
	File string // base name
	Line int    // 1 is the first line of the file
}

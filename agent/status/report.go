// Package status is the local window into a running agent: an HTTP server on a unix socket that answers "how are you" with a
// [Report], the client that asks, and the report's view for people.
//
// It never listens on a network. Who may connect is decided by the socket's owner, group and mode; on Windows (AF_UNIX exists there
// since Windows 10 1803 and Server 2019) by the access list of the folder the socket is in. A report holds no secret and no name of
// a user.
package status

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/writeback"
)

// ReportVersion is the version of the report's JSON form. Members are only added within a version.
const ReportVersion = 1

// Report is the state of one agent at one moment.
type Report struct {
	Version int       `json:"version"` // ReportVersion
	Time    time.Time `json:"time"`    // when the report was made, on the agent's clock

	Agent      Agent              `json:"agent"`
	Overall    health.Severity    `json:"overall"`
	Conditions []health.Condition `json:"conditions"` // the worst first; with those that are ok

	Relay   Relay    `json:"relay"`
	Domains []Domain `json:"domains"`

	Last      *Request                    `json:"last_request,omitempty"` // nil: none since the start
	Reasons   map[writeback.Reason]uint64 `json:"reasons"`                // requests since the start, by how they ended
	Discarded map[writeback.Reason]uint64 `json:"discarded"`              // messages removed without an answer since the start, by why

	Outbox     int `json:"outbox"`     // results that the queue has not accepted yet
	Unresolved int `json:"unresolved"` // requests of which nobody knows yet whether they took effect

	Keys []Key `json:"keys"`
	// NotSealing are the issuers whose requests held no entry for this agent's sealing key: they need its public keys.
	NotSealing []string `json:"not_sealing,omitempty"`
}

// Agent is who reports.
type Agent struct {
	Group   string    `json:"group"`
	ID      string    `json:"id"`
	Version string    `json:"version"` // of the program
	Since   time.Time `json:"since"`   // running since
}

// Intake says whether the agent takes requests from the queue.
type Intake string

// The states of the intake.
const (
	IntakeOpen     Intake = "open"
	IntakeSlow     Intake = "slow"     // one at a time, since requests come that other agents must serve
	IntakeClosed   Intake = "closed"   // a condition closes the gate
	IntakeStopping Intake = "stopping" // the agent finishes what is in hand
)

// Relay is the connection to the queue.
type Relay struct {
	Connected      bool      `json:"connected"`
	ConnectedSince time.Time `json:"connected_since,omitzero"` // zero: not connected
	Queue          string    `json:"queue"`                    // the requests queue
	InHand         int       `json:"in_hand"`                  // requests being served
	Intake         Intake    `json:"intake"`
	LastError      string    `json:"last_error,omitempty"`
	LastErrorAt    time.Time `json:"last_error_at,omitzero"`
}

// Domain is one Active Directory domain.
type Domain struct {
	Name       string          `json:"name"`
	Controller string          `json:"controller,omitempty"` // in use, host:port; empty: none answers
	Health     health.Severity `json:"health"`
	Message    string          `json:"message,omitempty"`
}

// Request is how one request ended. It does not say whose it was: that is for the audit.
type Request struct {
	At           time.Time           `json:"at"` // when it ended
	Operation    writeback.Operation `json:"operation"`
	Issuer       string              `json:"issuer"`
	Verdict      writeback.Verdict   `json:"verdict,omitempty"` // empty: not answered
	Reason       writeback.Reason    `json:"reason"`
	Milliseconds int64               `json:"milliseconds"` // from receiving it to its end
}

// Key is one of the agent's own keys.
type Key struct {
	ID      string          `json:"kid"` // RFC 7638 thumbprint
	Use     string          `json:"use"` // sealing or signing
	Created time.Time       `json:"created,omitzero"`
	Public  json.RawMessage `json:"public,omitempty"` // JWK (RFC 7517)
}

// complete sets the version and makes empty lists of missing ones, so that scripts never meet a null.
func (r Report) complete() Report {
	r.Version = ReportVersion
	r.Conditions = append([]health.Condition{}, r.Conditions...)
	r.Domains = append([]Domain{}, r.Domains...)
	r.Keys = append([]Key{}, r.Keys...)
	r.Reasons = maps.Collect(maps.All(r.Reasons))
	r.Discarded = maps.Collect(maps.All(r.Discarded))
	return r
}

// The exit codes of a program that shows a report.
const (
	ExitHealthy  = 0
	ExitDegraded = 1
	ExitDown     = 2 // also when no agent answers
)

// ExitCode returns the exit code that tells a script the overall state.
func (r Report) ExitCode() int {
	switch r.Overall {
	case health.OK:
		return ExitHealthy
	case health.Degraded:
		return ExitDegraded
	}
	return ExitDown
}

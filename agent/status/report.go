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

	Keys     []Key        `json:"keys"`
	Trusted  []TrustedKey `json:"trusted"`
	KeyFiles KeyFiles     `json:"key_files"`
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
	// Controllers are all that are known, in the order of preference.
	Controllers []Controller `json:"controllers,omitempty"`
}

// Controller is one domain controller.
type Controller struct {
	Address      string          `json:"address"` // host:port
	State        ControllerState `json:"state"`
	Preferred    bool            `json:"preferred,omitempty"`
	PDC          bool            `json:"pdc,omitempty"`  // it says that it is the PDC emulator
	Site         string          `json:"site,omitempty"` // empty: not known
	Milliseconds float64         `json:"milliseconds,omitempty"`
	// CertificateExpires is when the certificate ends that it showed last; zero: not known.
	CertificateExpires time.Time `json:"certificate_expires,omitzero"`
	LastError          string    `json:"last_error,omitempty"`
}

// ControllerState says how far a controller can be used.
type ControllerState string

// The states of a controller.
const (
	ControllerInUse    ControllerState = "in use"   // the next request goes here
	ControllerReady    ControllerState = "ready"    // it answers
	ControllerUnasked  ControllerState = "unasked"  // it was not asked yet
	ControllerSettling ControllerState = "settling" // it answers again, and must go on for a while before it is preferred
	ControllerAway     ControllerState = "away"     // it gives no answer
	ControllerRefused  ControllerState = "refused"  // it refuses the agent, or cannot be written to
)

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
	ID         string          `json:"kid"` // RFC 7638 thumbprint
	Use        string          `json:"use"` // sealing or signing
	Algorithm  string          `json:"alg,omitempty"`
	State      string          `json:"state,omitempty"` // next, active, retiring, retired, revoked or broken
	Signs      bool            `json:"signs,omitempty"` // results are signed with it now
	Created    time.Time       `json:"created,omitzero"`
	ActiveFrom time.Time       `json:"active_from,omitzero"` // a signing key signs from then on; zero: at once
	Expires    time.Time       `json:"expires,omitzero"`     // zero: never
	Public     json.RawMessage `json:"public,omitempty"`     // JWK (RFC 7517)
}

// TrustedKey is a key with which a portal signs requests.
type TrustedKey struct {
	ID        string    `json:"kid"`
	Issuer    string    `json:"issuer"`
	Source    string    `json:"source"` // configuration, or command: pinned by "keys trust"
	Algorithm string    `json:"alg,omitempty"`
	State     string    `json:"state"` // active, retiring, retired, revoked or broken
	Pinned    time.Time `json:"pinned,omitzero"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
}

// RevokedKey is a key, of whomever, that is trusted with nothing any more.
type RevokedKey struct {
	ID     string    `json:"kid"`
	At     time.Time `json:"revoked,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

// KeyFiles says which state of the key files the agent works with.
type KeyFiles struct {
	Generation string    `json:"generation,omitempty"` // names the state
	Loaded     time.Time `json:"loaded,omitzero"`      // when the agent took it over
}

// complete sets the version and makes empty lists of missing ones, so that scripts never meet a null.
func (r Report) complete() Report {
	r.Version = ReportVersion
	r.Conditions = append([]health.Condition{}, r.Conditions...)
	r.Domains = append([]Domain{}, r.Domains...)
	r.Keys = append([]Key{}, r.Keys...)
	r.Trusted = append([]TrustedKey{}, r.Trusted...)
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

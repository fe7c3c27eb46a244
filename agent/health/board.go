// Package health keeps what is wrong with the agent at the moment: named conditions, each with a severity, since when, why and
// what to do. The status and the log read them; the intake gate obeys them.
//
// A sick domain is a condition but never closes the gate: requests for it are answered with the reason, since a person waits for
// each of them, and the other domains go on. The gate closes only where the agent could not remember or record what it does.
package health

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Severity says how much a condition matters.
type Severity string

// The severities, from the least.
const (
	OK       Severity = "ok"
	Degraded Severity = "degraded" // requests are served, but not all, not as fast or not for long
	Down     Severity = "down"     // no request can be served
)

// rank orders severities. An unknown one counts as the worst, so that a mistake is seen.
func (s Severity) rank() int {
	switch s {
	case OK:
		return 0
	case Degraded:
		return 1
	}
	return 2
}

// Name identifies a condition: what it is about.
type Name string

// The conditions without which the agent may not take requests: see [Board.Gate].
const (
	Ledger Name = "ledger" // requests can be remembered
	Audit  Name = "audit"  // what is done can be recorded
	Disk   Name = "disk"   // there is room to go on doing so
	Clock  Name = "clock"  // the time is not behind what it was, nor far from the controllers'
	Keys   Name = "keys"   // there are keys to open and sign with, and they last
	// Snapshot: the memory is not older than what was done. While it may have forgotten requests that are still valid, it is down.
	Snapshot Name = "snapshot"
)

// Other conditions.
const (
	Relay  Name = "relay"  // the queue can be reached
	Outbox Name = "outbox" // results are accepted by the queue
	// Passwords: the administrator's lists of banned and breached passwords can be read.
	Passwords Name = "passwords"
)

// Domain is the condition of one Active Directory domain.
func Domain(dnsName string) Name { return Name("domain:" + dnsName) }

// Issuer is the condition of what one portal sends.
func Issuer(id string) Name { return Name("issuer:" + id) }

// ClosesGate reports whether the agent takes no request while the condition is [Down].
func (n Name) ClosesGate() bool {
	return n == Ledger || n == Audit || n == Disk || n == Clock || n == Keys || n == Snapshot
}

// Condition is the state of one thing.
type Condition struct {
	Name     Name             `json:"name"`
	Severity Severity         `json:"severity"`
	Since    time.Time        `json:"since"`             // when it got this severity
	Message  string           `json:"message,omitempty"` // what is the case
	Remedy   string           `json:"remedy,omitempty"`  // what to do, one sentence
	Reason   writeback.Reason `json:"reason,omitempty"`  // where a reason of the table stands behind it
}

// Board holds the conditions. It is safe for use by many goroutines; make one with [New].
type Board struct {
	now     func() time.Time
	observe []func(before, after Condition)

	mu         sync.Mutex
	conditions map[Name]Condition
	gateMoved  chan struct{} // closed when the gate opens or closes, and replaced
}

// New makes a board without conditions, which is healthy. Each observer is told when a condition's severity has changed, after the
// fact and on the goroutine that changed it; a condition that is not set counts as [OK].
func New(now func() time.Time, observe ...func(before, after Condition)) *Board {
	return &Board{now: now, observe: observe, conditions: map[Name]Condition{}, gateMoved: make(chan struct{})}
}

// Set records a condition. Its Since stays as long as its severity does.
func (b *Board) Set(name Name, severity Severity, message, remedy string) {
	b.put(Condition{Name: name, Severity: severity, Message: message, Remedy: remedy})
}

// Fail records a condition that err caused. The reason and the remedy are those of the [writeback.Error] in err's chain; an error
// without one has neither.
func (b *Board) Fail(name Name, severity Severity, err error) {
	condition := Condition{Name: name, Severity: severity, Message: err.Error()}
	var typed *writeback.Error
	if errors.As(err, &typed) {
		condition.Reason, condition.Remedy = typed.Reason, typed.Remedy()
	}
	b.put(condition)
}

// Clear removes a condition.
func (b *Board) Clear(name Name) { b.change(Condition{Name: name, Severity: OK}, false) }

func (b *Board) put(condition Condition) { b.change(condition, true) }

// change replaces or removes a condition, wakes those who wait at the gate, and tells the observers.
func (b *Board) change(after Condition, keep bool) {
	b.mu.Lock()
	before, existed := b.conditions[after.Name]
	wasOpen := b.open()
	if !existed {
		before = Condition{Name: after.Name, Severity: OK}
	}
	after.Since = b.now()
	if existed && before.Severity == after.Severity {
		after.Since = before.Since
	}
	if keep {
		b.conditions[after.Name] = after
	} else {
		delete(b.conditions, after.Name)
	}
	if b.open() != wasOpen {
		close(b.gateMoved)
		b.gateMoved = make(chan struct{})
	}
	b.mu.Unlock()
	if before.Severity != after.Severity {
		for _, tell := range b.observe {
			tell(before, after)
		}
	}
}

// open reports whether no condition closes the gate; b.mu is held.
func (b *Board) open() bool {
	for name, condition := range b.conditions {
		if name.ClosesGate() && condition.Severity.rank() == Down.rank() {
			return false
		}
	}
	return true
}

// Overall returns the severity of the worst condition.
func (b *Board) Overall() Severity {
	worst := OK
	for _, condition := range b.Snapshot() {
		if condition.Severity.rank() > worst.rank() {
			worst = condition.Severity
		}
	}
	return worst
}

// Snapshot returns all conditions, the worst first, then by name.
func (b *Board) Snapshot() []Condition {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Condition, 0, len(b.conditions))
	for _, condition := range b.conditions {
		all = append(all, condition)
	}
	slices.SortFunc(all, func(x, y Condition) int {
		return cmp.Or(cmp.Compare(y.Severity.rank(), x.Severity.rank()), cmp.Compare(x.Name, y.Name))
	})
	return all
}

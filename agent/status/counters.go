package status

import (
	"maps"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Counters counts how requests end and remembers the last one. Keys are the reasons of the table and nothing else, so that no
// message can make it grow. It is safe for many goroutines; make one with [NewCounters].
type Counters struct {
	now func() time.Time

	mu        sync.Mutex
	last      *Request
	reasons   map[writeback.Reason]uint64
	discarded map[writeback.Reason]uint64
}

// NewCounters makes counters at zero.
func NewCounters(now func() time.Time) *Counters {
	return &Counters{now: now, reasons: map[writeback.Reason]uint64{}, discarded: map[writeback.Reason]uint64{}}
}

// Finished counts a request that ended with outcome after it was in hand for took. Only call it for a verified request: the issuer
// and the operation are shown as they are.
func (c *Counters) Finished(operation writeback.Operation, issuer string, outcome writeback.Outcome, took time.Duration) {
	last := &Request{
		At: c.now().UTC(), Operation: operation, Issuer: issuer,
		Verdict: outcome.Verdict, Reason: known(outcome.Reason), Milliseconds: took.Milliseconds(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = last
	c.reasons[last.Reason]++
}

// Discarded counts a message that was removed without an answer.
func (c *Counters) Discarded(reason writeback.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discarded[known(reason)]++
}

// Fill writes the counts and the last request into a report.
func (c *Counters) Fill(report *Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	report.Reasons, report.Discarded = maps.Clone(c.reasons), maps.Clone(c.discarded)
	report.Last = nil
	if c.last != nil {
		last := *c.last
		report.Last = &last
	}
}

// known returns reason, or agent.internal for one that is not in the table.
func known(reason writeback.Reason) writeback.Reason { return writeback.Lookup(reason).Reason }

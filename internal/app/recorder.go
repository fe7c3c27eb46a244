package app

import (
	"maps"
	"slices"
	"sync"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

// recorder feeds the status from the pipeline.
type recorder struct {
	counters *status.Counters
	mu       sync.Mutex
	foreign  map[string]bool // issuers whose last request held no entry for our keys
}

func newRecorder(counters *status.Counters) *recorder {
	return &recorder{counters: counters, foreign: map[string]bool{}}
}

// Answered implements agent.Recorder.
func (r *recorder) Answered(a agent.Answer) {
	r.counters.Finished(a.Operation, a.Issuer, a.Outcome, a.Took)
}

// Discarded implements agent.Recorder.
func (r *recorder) Discarded(reason writeback.Reason) { r.counters.Discarded(reason) }

// Addressed implements agent.Recorder. Issuers are configured ones, so the map is bounded.
func (r *recorder) Addressed(issuer string, toUs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if toUs {
		delete(r.foreign, issuer)
		return
	}
	r.foreign[issuer] = true
}

// notSealing returns the issuers that do not seal for this agent, sorted.
func (r *recorder) notSealing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.foreign))
}

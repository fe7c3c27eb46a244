package requester

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the table of requests.
const (
	remembered   = time.Hour // how long a late or revised answer may come: the results queue keeps no message longer
	maxRequests  = 8192      // requests remembered at a time; the oldest are forgotten first
	maxPerAnswer = 8         // results kept per request: an answer, its repetitions and one revision
)

// table knows the requests that answers may still come for.
type table struct {
	mu       sync.Mutex
	requests map[string]*request
	now      func() time.Time
}

// request is one sent request and the results that came for it, oldest first.
type request struct {
	id      string
	digest  Digest
	sent    time.Time
	results []Result
	waiting int
	told    bool          // a caller has seen an outcome other than unknown: nothing more can come that matters
	changed chan struct{} // closed and replaced when a result comes
}

func newTable(now func() time.Time) *table {
	return &table{requests: make(map[string]*request), now: now}
}

// expect notes that an answer is awaited, before the request is sent, and returns how many results have come already: a token that is
// sent again is answered again.
func (t *table) expect(id string, digest Digest) (entry *request, seen int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetOld()
	entry, known := t.requests[id]
	if !known || entry.digest != digest {
		entry = &request{id: id, digest: digest, changed: make(chan struct{})}
		t.requests[id] = entry
	}
	entry.sent = t.now()
	entry.waiting++
	return entry, len(entry.results)
}

// find returns a request for which Await may wait.
func (t *table) find(id string) (*request, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, known := t.requests[id]
	if known {
		entry.waiting++
	}
	return entry, known
}

// leave ends a caller's wait. A request whose outcome a caller has seen is forgotten with its last caller; one whose outcome came in
// between stays for Await.
func (t *table) leave(entry *request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry.waiting--
	if entry.waiting == 0 && entry.told && t.requests[entry.id] == entry {
		delete(t.requests, entry.id)
	}
}

// look returns the results after the first skip, and a channel that is closed when another comes.
func (t *table) look(entry *request, skip int) ([]Result, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(entry.results[min(skip, len(entry.results)):]), entry.changed
}

// tell notes which result a caller has seen. Only that counts: a revision may lie behind it already, unseen.
func (t *table) tell(entry *request, result Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry.told = entry.told || result.Outcome.Verdict != Unknown
}

// digestOf returns the digest of a request that an answer is awaited for.
func (t *table) digestOf(id string) (Digest, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, known := t.requests[id]
	if !known {
		return Digest{}, false
	}
	return entry.digest, true
}

// deliver hands a result to the callers of its request and counts it before they see it. It reports false for a result that came before: queues
// deliver at least once.
func (t *table) deliver(result Result, count *atomic.Uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, known := t.requests[result.RequestID]
	if !known || len(entry.results) >= maxPerAnswer {
		return false
	}
	if slices.ContainsFunc(entry.results, func(earlier Result) bool { return earlier.ID == result.ID }) {
		return false
	}
	entry.results = append(entry.results, result)
	count.Add(1)
	close(entry.changed)
	entry.changed = make(chan struct{})
	return true
}

// forgetOld keeps the table bounded. Requests that somebody waits for are never forgotten.
func (t *table) forgetOld() {
	horizon := t.now().Add(-remembered)
	var oldest *request
	for id, entry := range t.requests {
		if entry.waiting > 0 {
			continue
		}
		if entry.sent.Before(horizon) {
			delete(t.requests, id)
			continue
		}
		if oldest == nil || entry.sent.Before(oldest.sent) {
			oldest = entry
		}
	}
	if len(t.requests) >= maxRequests && oldest != nil {
		delete(t.requests, oldest.id)
	}
}

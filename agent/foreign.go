package agent

import (
	"sync"
	"time"
)

// When an issuer's requests are found to be sealed for nobody.
const (
	foreignEnds   = 3                // so many of them came to their last delivery unopened
	foreignMemory = 10 * time.Minute // within this time
)

// foreign remembers requests that no agent opened until their last delivery. A message for another agent is held a moment and slows the
// intake, so that the other one gets it; one that is for nobody would only keep everybody's requests from being served.
type foreign struct {
	mu    sync.Mutex
	ended map[string][]time.Time // by issuer, of those of the configuration; the latest few
}

func newForeign() *foreign { return &foreign{ended: map[string][]time.Time{}} }

// end notes that a request came to its last delivery unopened.
func (f *foreign) end(issuer string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := append(f.ended[issuer], now)
	f.ended[issuer] = ended[max(0, len(ended)-foreignEnds):]
}

// forNobody reports whether what an issuer sends is opened by nobody at present.
func (f *foreign) forNobody(issuer string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := f.ended[issuer]
	return len(ended) == foreignEnds && now.Sub(ended[0]) < foreignMemory
}

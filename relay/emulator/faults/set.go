package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
)

// Set is rules with the memory of what they have seen. Its methods may be called from any goroutine.
type Set struct {
	mu    sync.Mutex
	rules []*running
}

// running is a rule in use.
type running struct {
	Rule
	chance *rand.Rand
	count  Count
	since  time.Time // start of the interval of Above
	within int       // operations in it
}

// Count is what a rule has seen so far.
type Count struct {
	// Rule is the rule.
	Rule Rule
	// Matched operations, and how many of them it Hit.
	Matched, Hit int
}

// New makes a set. The seed decides what chance does; each rule has its own.
func New(seed uint64, rules ...Rule) (*Set, error) {
	s := &Set{}
	for i, r := range rules {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
		s.rules = append(s.rules, &running{Rule: r, chance: rand.New(rand.NewPCG(seed, uint64(i))), count: Count{Rule: r}})
	}
	return s, nil
}

// Fault is an emulator.FaultFunc. All rules see the operation; the first one that hits it decides.
func (s *Set) Fault(ctx context.Context, e emulator.Event) emulator.Fault {
	r, hit := s.decide(e)
	if !hit {
		return emulator.Fault{}
	}
	if r.Delay > 0 {
		t := time.NewTimer(r.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return r.Effect
}

func (s *Set) decide(e emulator.Event) (rule Rule, hit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if !r.matches(e) {
			continue
		}
		r.count.Matched++
		if fits := r.fits(time.Now()); fits && !hit {
			r.count.Hit++
			rule, hit = r.Rule, true
		}
	}
	return rule, hit
}

// fits says whether it is the matching operation's turn. It always looks at rate and chance, so that they do not depend
// on one another.
func (r *running) fits(now time.Time) bool {
	n := r.count.Matched - r.After
	over := r.over(now)
	lucky := r.Probability == 0 || r.chance.Float64() < r.Probability
	switch {
	case n <= 0, !over, !lucky:
		return false
	case r.Nth > 0 && n != r.Nth, r.Every > 0 && n%r.Every != 0:
		return false
	}
	return r.Count == 0 || r.count.Hit < r.Count
}

// over counts an operation against the rate and says whether it exceeds it.
func (r *running) over(now time.Time) bool {
	if r.Above == (Rate{}) {
		return true
	}
	if now.Sub(r.since) >= r.Above.Per {
		r.since, r.within = now, 0
	}
	r.within++
	return r.within > r.Above.Limit
}

// Counts tells what each rule has seen so far, in the order of the rules.
func (s *Set) Counts() []Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]Count, 0, len(s.rules))
	for _, r := range s.rules {
		counts = append(counts, r.count)
	}
	return counts
}

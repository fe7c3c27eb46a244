package relay

import (
	"context"
	"sync"
)

// slots bounds how many messages are in hand. Only the intake takes; every worker releases.
type slots struct {
	mu    sync.Mutex
	limit int
	taken int
	slow  bool
	freed chan struct{} // capacity 1: wakes the one taker
}

func newSlots(limit int) *slots {
	return &slots{limit: limit, freed: make(chan struct{}, 1)}
}

// take waits for a free slot or for ctx to end. While the intake is slow there is one slot only.
func (s *slots) take(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.tryTake() {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-s.freed:
		}
	}
}

func (s *slots) tryTake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.limit
	if s.slow {
		limit = 1
	}
	if s.taken >= limit {
		return false
	}
	s.taken++
	return true
}

// release gives a slot back.
func (s *slots) release() {
	s.mu.Lock()
	s.taken--
	s.mu.Unlock()
	s.wake()
}

// setSlow makes the intake take one message at a time, or ends that. A receive that is already under way may still bring one.
func (s *slots) setSlow(slow bool) {
	s.mu.Lock()
	s.slow = slow
	s.mu.Unlock()
	s.wake()
}

func (s *slots) wake() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// state returns how the intake takes messages at the moment.
func (s *slots) state() IntakeState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow {
		return IntakeSlow
	}
	return IntakeRunning
}

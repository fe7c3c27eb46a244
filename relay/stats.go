package relay

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// IntakeState says whether, and how, messages are taken from the requests queue.
type IntakeState string

// The states of the intake.
const (
	IntakeStopped    IntakeState = "stopped"     // not run yet, or at its end
	IntakeRunning    IntakeState = "running"     // as many at once as configured
	IntakeSlow       IntakeState = "slow"        // one at a time: the last messages were not meant for this agent
	IntakeGateClosed IntakeState = "gate_closed" // none: the agent cannot remember or record
	IntakeDraining   IntakeState = "draining"    // none: finishing what is in hand
)

// Stats is a snapshot of a [Loop]. Counts are since the Loop was made.
type Stats struct {
	Connected      bool // the requests queue can be reached
	ConnectedSince time.Time
	Intake         IntakeState
	InHand         int // messages received and not settled yet

	Received         uint64
	LastReceive      time.Time // zero: nothing received yet
	LastReceiveError string    // empty: none since the last message

	LastReceiveErrorAt time.Time // of LastReceiveError; zero: none
	Settled            map[writeback.Settlement]uint64
	SettleFailures     uint64
	Discarded          uint64 // could not be verified; samples among them
	Sampled            uint64 // kept as dead-letter samples
	Panics             uint64 // of handlers
	LocksLost          uint64 // while the message was in hand

	OutboxPending  int // results that no queue has accepted yet
	ResultsSent    uint64
	ResultsExpired uint64 // given up, no queue accepted them in time
	LastSend       time.Time
	LastSendError  string   // empty: none since the last result was accepted
	FailingQueues  []string // results queues that refuse, sorted
}

// tally keeps a [Stats] that many goroutines write.
type tally struct {
	mu    sync.Mutex
	stats Stats
}

func newTally() *tally {
	return &tally{stats: Stats{Intake: IntakeStopped, Settled: map[writeback.Settlement]uint64{}}}
}

func (t *tally) update(change func(s *Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.stats)
}

func (t *tally) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := t.stats
	copied.Settled = maps.Clone(t.stats.Settled)
	copied.FailingQueues = slices.Clone(t.stats.FailingQueues)
	return copied
}

func (t *tally) inHand() int { return t.snapshot().InHand }

func (t *tally) setIntake(state IntakeState) { t.update(func(s *Stats) { s.Intake = state }) }

func (t *tally) received() {
	t.update(func(s *Stats) {
		s.Received++
		s.InHand++
		s.LastReceive = time.Now()
		s.LastReceiveError, s.LastReceiveErrorAt = "", time.Time{}
	})
}

func (t *tally) receiveFailed(err error) {
	t.update(func(s *Stats) { s.LastReceiveError, s.LastReceiveErrorAt = err.Error(), time.Now() })
}

func (t *tally) finished() { t.update(func(s *Stats) { s.InHand-- }) }

func (t *tally) settled(settlement writeback.Settlement, err error) {
	t.update(func(s *Stats) {
		if settlement == writeback.Discard {
			s.Discarded++
		}
		if err != nil {
			s.SettleFailures++
			return
		}
		s.Settled[settlement]++
	})
}

func (t *tally) sampled()  { t.update(func(s *Stats) { s.Sampled++ }) }
func (t *tally) panicked() { t.update(func(s *Stats) { s.Panics++ }) }
func (t *tally) lockLost() { t.update(func(s *Stats) { s.LocksLost++ }) }

func (t *tally) resultSent() {
	t.update(func(s *Stats) {
		s.ResultsSent++
		s.LastSend = time.Now()
		s.LastSendError = ""
	})
}

func (t *tally) resultExpired()       { t.update(func(s *Stats) { s.ResultsExpired++ }) }
func (t *tally) sendFailed(err error) { t.update(func(s *Stats) { s.LastSendError = err.Error() }) }

func (t *tally) outbox(pending int, failing []string) {
	slices.Sort(failing)
	t.update(func(s *Stats) { s.OutboxPending, s.FailingQueues = pending, failing })
}

package lab

import (
	"fmt"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/faults"
)

// Trouble is what the queues do wrong, on purpose. The zero value is none.
type Trouble struct {
	// Rules say which operations fail, when, and how.
	Rules []faults.Rule
	// Seed decides what chance does where a rule leaves something to it.
	Seed uint64
	// ClockSkew is how far the queues' clock is ahead or, when negative, behind.
	ClockSkew time.Duration
}

// Trouble makes the namespace misbehave from now on, in place of what it did before. The set tells what has been hit.
func (n *Namespace) Trouble(t Trouble) (*faults.Set, error) {
	set, err := faults.New(t.Seed, t.Rules...)
	if err != nil {
		return nil, err
	}
	n.server.SetClockSkew(t.ClockSkew)
	n.server.SetFaults(set.Fault)
	return set, nil
}

// warn tells what will go wrong, so that nobody looks for a reason elsewhere.
func (s *screen) warn(t Trouble) {
	if len(t.Rules) == 0 && t.ClockSkew == 0 {
		return
	}
	s.title("The queues misbehave, as you wished")
	for _, r := range t.Rules {
		s.printf("  %s\n", r)
	}
	if t.ClockSkew != 0 {
		s.printf("  their clock is wrong by %s\n", t.ClockSkew)
	}
}

// hits tells in the end what has gone wrong.
func (s *screen) hits(counts []faults.Count) {
	if len(counts) == 0 {
		return
	}
	s.title("Faults")
	rows := make([][2]string, 0, len(counts))
	for _, c := range counts {
		rows = append(rows, [2]string{c.Rule.String(), fmt.Sprintf("hit %d of %d", c.Hit, c.Matched)})
	}
	s.table(rows)
}

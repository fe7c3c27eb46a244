package faults

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
)

// Rule says which operations are hit and what happens to them. An operation matches when it fits Op, Queue, Name and
// Link; of those that match, the rule hits the ones that fit After, Nth, Every, Above, Probability and Count, all of
// those that are set. Zero values set no limit.
type Rule struct {
	// Op is the kind of operation; "" is all of them.
	Op emulator.Op
	// Queue is the entity path, without regard to case; "" is all of them.
	Queue string
	// Name is the management operation of an OpRequest, for instance "com.microsoft:renew-lock".
	Name string
	// Link is which end of an OpAttach the client is: Sender, Receiver or, when "", either.
	Link Link

	// After lets this many pass first.
	After int
	// Nth hits this one only, counted from 1 behind those of After.
	Nth int
	// Every hits each of this many: 3 means the third, the sixth and so on.
	Every int
	// Above hits what exceeds a rate: throttling.
	Above Rate
	// Probability, above 0 and at most 1, leaves it to chance. Zero: certain.
	Probability float64
	// Count is how many are hit at most.
	Count int

	// Delay is how long the operation waits before anything else happens.
	Delay time.Duration
	// Effect is what happens then.
	Effect emulator.Fault
}

// Link is an end of a link.
type Link string

// Ends of a link, as the client sees itself.
const (
	Sender   Link = "sender"
	Receiver Link = "receiver"
)

// Rate is so many operations per time. The zero value is no rate.
type Rate struct {
	// Limit is how many are within the rate.
	Limit int
	// Per is the length of the interval; a new one begins with the first operation after the last one ended.
	Per time.Duration
}

// maxCopies bounds what one hit may put into a queue.
const maxCopies = 100

// validate says what is wrong with a rule, everything at once.
func (r Rule) validate() error {
	return errors.Join(r.validateMatch(), r.validateTrigger(), r.validateEffect())
}

func (r Rule) validateMatch() error {
	switch r.Op {
	case "", emulator.OpAttach, emulator.OpSend, emulator.OpDeliver, emulator.OpSettle, emulator.OpRequest:
	default:
		return fmt.Errorf("op=%s: no such operation", r.Op)
	}
	if r.Name != "" && r.Op != emulator.OpRequest {
		return errors.New("name is for op=request only")
	}
	if r.Link != "" && r.Op != emulator.OpAttach {
		return errors.New("link is for op=attach only")
	}
	if r.Link != "" && r.Link != Sender && r.Link != Receiver {
		return fmt.Errorf("link=%s: neither sender nor receiver", r.Link)
	}
	return nil
}

func (r Rule) validateTrigger() error {
	var faults []error
	if r.After < 0 || r.Nth < 0 || r.Every < 0 || r.Count < 0 || r.Delay < 0 {
		faults = append(faults, errors.New("numbers and durations must not be negative"))
	}
	if !(r.Probability >= 0 && r.Probability <= 1) { // written so that it holds for what is not a number, too
		faults = append(faults, errors.New("probability is above 0 and at most 1"))
	}
	if r.Above != (Rate{}) && (r.Above.Limit < 0 || r.Above.Per <= 0) {
		faults = append(faults, errors.New("above needs a limit and the time it is for"))
	}
	return errors.Join(faults...)
}

func (r Rule) validateEffect() error {
	e, effects := r.Effect, 0
	for _, has := range []bool{e.Condition != "", e.Drop != emulator.DropNone, e.Again != 0} {
		if has {
			effects++
		}
	}
	copied := r.Op == emulator.OpDeliver || r.Op == emulator.OpSettle
	switch {
	case effects == 0 && r.Delay == 0:
		return errors.New("nothing happens: give one of " + strings.Join(effectNames(), ", "))
	case effects > 1:
		return errors.New("only one thing can happen (and a delay before it)")
	case e.Detach && !(r.Op == emulator.OpSend || copied):
		return errors.New("detach is for op=send, op=deliver and op=settle only; an attach is refused")
	case e.Condition != "" && !e.Detach && r.Op == emulator.OpDeliver:
		return errors.New("a delivery cannot be refused, only its link detached")
	case e.Again < 0 || e.Again > maxCopies:
		return fmt.Errorf("duplicate is from 1 to %d", maxCopies)
	case e.Again > 0 && !copied:
		return errors.New("duplicate is for op=deliver and op=settle only")
	case e.Status != 0 && (r.Op != emulator.OpRequest || e.Condition == "" || e.Status < 100 || e.Status > 599):
		return errors.New("status is from 100 to 599 and for op=request with refuse only")
	case e.Description != "" && e.Condition == "":
		return errors.New("description goes with refuse or detach only")
	}
	return nil
}

// matches says whether an operation is one of those the rule is about.
func (r Rule) matches(e emulator.Event) bool {
	return (r.Op == "" || r.Op == e.Op) &&
		(r.Queue == "" || strings.EqualFold(r.Queue, e.Queue)) &&
		(r.Name == "" || r.Name == e.Name) &&
		(r.Link == "" || (r.Link == Receiver) == e.Receiver)
}

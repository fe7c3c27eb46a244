package faults_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/faults"
)

// newSet makes a set from the text of rules.
func newSet(t testing.TB, texts ...string) *faults.Set {
	t.Helper()
	rules, err := faults.ParseAll(texts)
	must(t, err)
	set, err := faults.New(1, rules...)
	must(t, err)
	return set
}

// hits asks for n sends, and tells which were hit, from 1.
func hits(set *faults.Set, n int) (hit []int) {
	for i := range n {
		if set.Fault(context.Background(), emulator.Event{Op: emulator.OpSend, Queue: "q"}).Drop != emulator.DropNone {
			hit = append(hit, i+1)
		}
	}
	return hit
}

func TestTriggers(t *testing.T) {
	for rule, want := range map[string][]int{
		"drop=after":                           {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"drop=after,nth=3":                     {3},
		"drop=after,after=3":                   {4, 5, 6, 7, 8, 9, 10},
		"drop=after,after=3,nth=2":             {5},
		"drop=after,every=4":                   {4, 8},
		"drop=after,after=1,every=4":           {5, 9},
		"drop=after,count=2":                   {1, 2},
		"drop=after,every=3,count=2":           {3, 6},
		"drop=after,probability=1":             {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"drop=after,above=8/1h":                {9, 10},
		"drop=after,above=0/1h":                {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"drop=after,above=4/1h,every=2":        {6, 8, 10},
		"drop=after,queue=Q,op=send":           {1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		"drop=after,queue=other":               nil,
		"drop=after,op=settle":                 nil,
		"drop=after,op=attach,link=receiver":   nil,
		"drop=after,queue=q/$DeadLetterQueue":  nil,
		"drop=after,op=request,name=something": nil,
	} {
		if got := hits(newSet(t, rule), 10); !slices.Equal(got, want) {
			t.Errorf("%s: hits %v, want %v", rule, got, want)
		}
	}
}

func TestMatching(t *testing.T) {
	attach := func(receiver bool) emulator.Event { return emulator.Event{Op: emulator.OpAttach, Receiver: receiver} }
	renew := emulator.Event{Op: emulator.OpRequest, Name: "com.microsoft:renew-lock"}
	for _, tt := range []struct {
		rule  string
		event emulator.Event
		want  bool
	}{
		{"op=attach,link=receiver,drop=after", attach(true), true},
		{"op=attach,link=receiver,drop=after", attach(false), false},
		{"op=attach,link=sender,drop=after", attach(false), true},
		{"op=attach,link=sender,drop=after", attach(true), false},
		{"op=attach,drop=after", attach(true), true},
		{"op=request,name=com.microsoft:renew-lock,drop=after", renew, true},
		{"op=request,name=com.microsoft:peek-message,drop=after", renew, false},
		{"op=settle,drop=after", renew, false},
	} {
		if got := newSet(t, tt.rule).Fault(context.Background(), tt.event).Drop != emulator.DropNone; got != tt.want {
			t.Errorf("%s, %+v: %v", tt.rule, tt.event, got)
		}
	}
}

// TestFirstRuleDecides, and the others count all the same.
func TestFirstRuleDecides(t *testing.T) {
	set := newSet(t, "nth=2,drop=before", "after=1,drop=after", "op=settle,drop=after")
	var got []emulator.Drop
	for range 3 {
		got = append(got, set.Fault(context.Background(), emulator.Event{Op: emulator.OpSend}).Drop)
	}
	if want := []emulator.Drop{emulator.DropNone, emulator.DropBefore, emulator.DropAfter}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var counts [][2]int
	for _, c := range set.Counts() {
		counts = append(counts, [2]int{c.Matched, c.Hit})
	}
	if want := [][2]int{{3, 1}, {3, 1}, {0, 0}}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
}

func TestChanceIsSeeded(t *testing.T) {
	const n = 2000
	rule, err := faults.Parse("drop=after,probability=0.25")
	must(t, err)
	of := func(seed uint64) []int {
		set, err := faults.New(seed, rule)
		must(t, err)
		return hits(set, n)
	}
	first := of(7)
	if !slices.Equal(first, of(7)) {
		t.Error("the same seed hits other operations")
	}
	if slices.Equal(first, of(8)) {
		t.Error("another seed hits the same operations")
	}
	if len(first) < n/5 || len(first) > n*3/10 {
		t.Errorf("%d of %d hit, with a probability of a quarter", len(first), n)
	}
	two, err := faults.New(7, rule, rule)
	must(t, err)
	if got := len(hits(two, n)); got < n*2/5 || got > n/2 {
		t.Errorf("%d of %d hit by two rules: they should not always hit the same", got, n)
	}
}

func TestRateStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, "drop=after,above=2/10s")
		if got := hits(set, 4); !slices.Equal(got, []int{3, 4}) {
			t.Errorf("hits %v", got)
		}
		time.Sleep(9 * time.Second)
		if got := hits(set, 1); len(got) != 1 {
			t.Error("the interval should not be over")
		}
		time.Sleep(time.Second)
		if got := hits(set, 3); !slices.Equal(got, []int{3}) {
			t.Errorf("in the next interval: hits %v", got)
		}
	})
}

func TestDelayEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, "delay=10s,count=2")
		start := time.Now()
		set.Fault(t.Context(), emulator.Event{})
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		set.Fault(ctx, emulator.Event{})
		if took := time.Since(start); took != 11*time.Second {
			t.Errorf("waited %v in all: a connection that ended should not be waited for", took)
		}
	})
}

package ldapwriter

import (
	"testing"
	"time"
)

// A controller that comes and goes is preferred again later each time, and like any other once it stays.
func TestReturnIsOnTrial(t *testing.T) {
	var s standing
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	want := func(step string, rank int) {
		t.Helper()
		if got := s.rank(); got != rank {
			t.Errorf("%s: rank %d, want %d", step, got, rank)
		}
	}
	want("never asked", 0)
	for _, hold := range []time.Duration{settleTime, 2 * settleTime, 4 * settleTime} {
		s.fail(now)
		want("failed", 2)
		if s.due(now.Add(retryAfter-1)) || !s.due(now.Add(retryAfter)) {
			t.Error("not asked again after retryAfter")
		}
		now = now.Add(retryAfter)
		s.answer(now)
		want("back", 1)
		s.answer(now.Add(hold - 1))
		want("back, but not for long", 1)
		if s.due(now.Add(hold-1)) || !s.due(now.Add(hold)) {
			t.Errorf("not asked again after %v", hold)
		}
		now = now.Add(hold)
		s.answer(now)
		want("back to stay", 0)
		now = now.Add(time.Second)
	}
	now = now.Add(steadyTime)
	s.fail(now)
	s.answer(now)
	s.answer(now.Add(settleTime))
	want("steady for long, then away once", 0)
	for range 40 {
		s.fail(now)
		s.answer(now)
	}
	if got := s.hold(); got != settleLimit {
		t.Errorf("on trial for %v after many relapses, want at most %v", got, settleLimit)
	}
	relapses := s.relapses
	s.fail(now)
	s.fail(now.Add(time.Second))
	if s.relapses != relapses+1 {
		t.Error("a failure while away counts as another relapse")
	}
}

func TestPanicIsContained(t *testing.T) {
	err := contained(func() error { panic("secret in here") })
	if err == nil || err.Error() != "agent.internal: a panic of type string" {
		t.Errorf("%v", err)
	}
}

func TestOrderOfEqualsStays(t *testing.T) {
	fresh := []found{{"c", roleDomain, 0}, {"new", roleDomain, 0}, {"b", roleDomain, 0}, {"far", roleDomain, 9}, {"site", roleSite, 5}, {"pdc", rolePDC, 0}}
	var got []string
	for _, f := range settle(fresh, []string{"b", "c", "far"}) {
		got = append(got, f.address)
	}
	want := []string{"pdc", "site", "b", "c", "new", "far"}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

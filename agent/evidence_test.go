package agent

import (
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func version(v uint32) writeback.PasswordState {
	return writeback.PasswordState{Version: v, VersionSource: writeback.VersionReplication, ChangedAt: noon}
}

func changedAt(at time.Time) writeback.PasswordState {
	state := version(7)
	state.ChangedAt = at
	return state
}

func TestCompare(t *testing.T) {
	keyNumber := version(7)
	keyNumber.VersionSource = writeback.VersionKeyNumber
	timeOnly := writeback.PasswordState{ChangedAt: noon}
	by := func(v uint32, originating, own string) writeback.PasswordState {
		state := version(v)
		state.Originating, state.Own = originating, own
		return state
	}
	for name, c := range map[string]struct {
		noted, now writeback.PasswordState
		want       movement
	}{
		"same version":                    {version(7), version(7), movedNot},
		"one more":                        {version(7), version(8), movedByOne},
		"one more, made here":             {by(7, "b", "a"), by(8, "a", "a"), movedByOne},
		"one more, made elsewhere":        {by(7, "a", "a"), by(8, "b", "a"), movedByOther},
		"one more, made by nobody knows":  {by(7, "a", "a"), by(8, "", "a"), movedByOne},
		"one more, here is not known":     {by(7, "a", ""), by(8, "b", ""), movedByOne},
		"same version, made elsewhere":    {by(7, "b", "a"), by(7, "b", "a"), movedNot},
		"two more, made elsewhere":        {by(7, "a", "a"), by(9, "b", "a"), movedFurther},
		"two more":                        {version(7), version(9), movedFurther},
		"fewer, another replica":          {version(7), version(6), movedUnclear},
		"different sources":               {version(6), keyNumber, movedUnclear},
		"no version, same time":           {timeOnly, timeOnly, movedNot},
		"no version, other time":          {timeOnly, writeback.PasswordState{ChangedAt: noon.Add(time.Second)}, movedUnclear},
		"no version, no time":             {writeback.PasswordState{}, writeback.PasswordState{}, movedUnclear},
		"version readable only afterward": {timeOnly, version(1), movedUnclear},
	} {
		if got := compare(c.noted, c.now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFitsInTime(t *testing.T) {
	intent := ledger.Intent{WritingAt: noon}
	for name, c := range map[string]struct {
		changed time.Time
		want    bool
	}{
		"at once":                  {noon, true},
		"within the deadline":      {noon.Add(4 * time.Second), true},
		"just within tolerance":    {noon.Add(10 * time.Second), true},
		"whole seconds, before":    {noon.Add(-5 * time.Second), true},
		"long before":              {noon.Add(-6 * time.Second), false},
		"long after: anybody's":    {noon.Add(11 * time.Second), false},
		"unknown":                  {time.Time{}, false},
		"the next day: not by us":  {noon.Add(24 * time.Hour), false},
		"the day before: not ours": {noon.Add(-24 * time.Hour), false},
	} {
		if got := fitsInTime(intent, changedAt(c.changed), 5*time.Second); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSuperseded(t *testing.T) {
	claims := writeback.Claims{IssuedAt: noon}
	own := func(v uint32, issued time.Time) ledger.LastWrite {
		return ledger.LastWrite{Version: v, VersionSource: writeback.VersionReplication, IssuedAt: issued, WrittenAt: noon}
	}
	for name, c := range map[string]struct {
		changed time.Time
		last    *ledger.LastWrite
		want    bool
	}{
		"an old password":                       {noon.Add(-time.Hour), nil, false},
		"older than the tolerance":              {noon.Add(-6 * time.Second), nil, false},
		"within five seconds counts as newer":   {noon.Add(-5 * time.Second), nil, true},
		"set afterwards by somebody else":       {noon.Add(time.Second), nil, true},
		"our own write for an older request":    {noon.Add(time.Second), ptr(own(7, noon.Add(-time.Minute))), false},
		"our own write for a request as old":    {noon.Add(time.Second), ptr(own(7, noon)), false},
		"our own write for a newer request":     {noon.Add(time.Second), ptr(own(7, noon.Add(time.Minute))), true},
		"our own write, then somebody else's":   {noon.Add(time.Second), ptr(own(6, noon.Add(-time.Minute))), true},
		"our own write from another evidence":   {noon.Add(time.Second), &ledger.LastWrite{Version: 7, VersionSource: writeback.VersionKeyNumber}, true},
		"a newer request's, not replicated yet": {noon.Add(-time.Hour), ptr(own(8, noon.Add(time.Minute))), true},
		"another portal's fast clock": {noon.Add(-10 * time.Second), &ledger.LastWrite{
			Version: 7, VersionSource: writeback.VersionReplication, IssuedAt: noon.Add(20 * time.Second), WrittenAt: noon.Add(-10 * time.Second),
		}, false},
		"a newer request's, slow to take effect": {noon, &ledger.LastWrite{
			Version: 7, VersionSource: writeback.VersionReplication, IssuedAt: noon.Add(20 * time.Second), WrittenAt: noon.Add(-6 * time.Second),
		}, true},
		"an older one's, not replicated yet":    {noon.Add(-time.Hour), ptr(own(8, noon.Add(-time.Minute))), false},
		"an old password that we wrote, anyway": {noon.Add(-time.Hour), ptr(own(7, noon.Add(-time.Hour))), false},
	} {
		last := ledger.LastWrite{}
		if c.last != nil {
			last = *c.last
		}
		if got := superseded(claims, changedAt(c.changed), last, c.last != nil); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSupersededComparesOnOurClock(t *testing.T) {
	state := changedAt(noon.Add(20 * time.Second)) // a minute fast: in truth 40 s before the request
	state.ReadAt, state.ControllerTime = noon, noon.Add(time.Minute)
	if superseded(writeback.Claims{IssuedAt: noon}, state, ledger.LastWrite{}, false) {
		t.Error("a controller's fast clock made an old password look newer than the request")
	}
}

// Somebody else's write on another controller may have the version that ours had, and win when the two are replicated.
func TestSupersededByAWriteOfTheSameVersion(t *testing.T) {
	claims := writeback.Claims{IssuedAt: noon}
	last := ledger.LastWrite{Version: 7, VersionSource: writeback.VersionReplication, IssuedAt: noon.Add(-time.Minute), WrittenAt: noon}
	for originating, want := range map[string]bool{"here": false, "": false, "elsewhere": true} {
		state := changedAt(noon.Add(time.Second))
		state.Own, state.Originating = "here", originating
		if got := superseded(claims, state, last, true); got != want {
			t.Errorf("written by %q: %v, want %v", originating, got, want)
		}
	}
}

func TestSupersededWithoutVersions(t *testing.T) {
	state := writeback.PasswordState{ChangedAt: noon.Add(time.Second)}
	last := ledger.LastWrite{IssuedAt: noon.Add(-time.Minute), WrittenAt: noon}
	claims := writeback.Claims{IssuedAt: noon}
	if superseded(claims, state, last, true) {
		t.Error("our own write within the tolerance is not recognised by its time")
	}
	last.WrittenAt = noon.Add(-time.Minute)
	if !superseded(claims, state, last, true) {
		t.Error("somebody else's write passes for ours")
	}
}

func TestStale(t *testing.T) {
	last := ledger.LastWrite{Version: 8, VersionSource: writeback.VersionReplication}
	if !stale(version(7), last) || stale(version(8), last) || stale(writeback.PasswordState{}, last) {
		t.Error("stale is wrong")
	}
}

func TestMayProbe(t *testing.T) {
	for _, c := range []struct {
		known          bool
		threshold, bad int
		want           bool
	}{
		{false, 10, 0, false}, {true, 0, 99, true}, {true, 10, 7, true}, {true, 10, 8, false}, {true, 3, 0, true}, {true, 3, 1, false}, {true, 2, 0, false},
	} {
		state := writeback.PasswordState{ThresholdKnown: c.known, LockoutThreshold: c.threshold, BadPasswordCount: c.bad}
		if got := mayProbe(state); got != c.want {
			t.Errorf("threshold %d (known %v), %d bad: %v, want %v", c.threshold, c.known, c.bad, got, c.want)
		}
	}
}

func ptr[T any](v T) *T { return &v }

package guard_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/writeback"
)

// withRate is a guard whose portal may send three requests a minute.
func withRate(t *testing.T) *guard.Guard {
	t.Helper()
	r := rules()
	portal := r.Issuers["portal"]
	portal.Rate = guard.Rate{Requests: 3, Per: time.Minute}
	r.Issuers["portal"] = portal
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAdmitKeepsARate(t *testing.T) {
	g := withRate(t)
	admitted := map[time.Duration]bool{}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false}, {19 * time.Second, false}, {20 * time.Second, true}, {20 * time.Second, false},
		{40 * time.Second, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false},
	} {
		err := g.Admit("portal", noon.Add(c.after))
		if (err == nil) != c.want {
			t.Errorf("after %s: %v, want admitted %v (so far %v)", c.after, err, c.want, admitted)
		}
		admitted[c.after] = err == nil
	}
}

func TestARateRefusalSaysWhenThereIsRoom(t *testing.T) {
	g := withRate(t)
	for range 3 {
		if err := g.Admit("portal", noon); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // a refusal does not put the next one off
		err := g.Admit("portal", noon.Add(5*time.Second))
		detail := writeback.DetailOf(err)
		if writeback.ReasonOf(err) != writeback.PolicyRateLimited || detail.Hint != guard.HintIssuerRate || detail.RetryAfter == nil {
			t.Fatalf("%v with %+v", err, detail)
		}
		if room := detail.RetryAfter.Sub(noon).Round(time.Millisecond); room != 20*time.Second {
			t.Errorf("room after %s, want 20 s", room)
		}
	}
}

// Requests are handled at once, and a flood must not cost more than the time it lasts.
func TestAFloodDoesNotPutItsEndOff(t *testing.T) {
	g := withRate(t)
	var flood sync.WaitGroup
	for range 16 {
		flood.Go(func() {
			for range 5000 {
				_ = g.Admit("portal", noon)
			}
		})
	}
	flood.Wait()
	for n := range 3 {
		if err := g.Admit("portal", noon.Add(time.Minute)); err != nil {
			t.Fatalf("request %d, a minute after the flood: %v", n, err)
		}
	}
}

func TestRatesAreEachIssuersOwn(t *testing.T) {
	g := withRate(t)
	for range 10 {
		_ = g.Admit("portal", noon)
		for _, issuer := range []string{"desk", "nobody"} { // without a rate, and without rules: for CheckIssuer to refuse
			if err := g.Admit(issuer, noon); err != nil {
				t.Errorf("%s: %v", issuer, err)
			}
		}
	}
}

func TestNewRefusesHalfARate(t *testing.T) {
	for _, rate := range []guard.Rate{{Requests: 3}, {Per: time.Minute}, {Requests: -1, Per: time.Minute}, {Requests: 3, Per: -time.Minute}} {
		r := rules()
		portal := r.Issuers["portal"]
		portal.Rate = rate
		r.Issuers["portal"] = portal
		if _, err := guard.New(r); err == nil {
			t.Errorf("%+v was accepted", rate)
		}
	}
}

func TestWhatACheckAsksAbout(t *testing.T) {
	got := map[string]writeback.Operation{}
	for name, operations := range map[string][]writeback.Operation{
		"all":    {writeback.OpUnlock, writeback.OpChange, writeback.OpReset},
		"change": {writeback.OpUnlock, writeback.OpCheck, writeback.OpChange},
		"unlock": {writeback.OpPing, writeback.OpUnlock},
		"none":   {writeback.OpCheck},
	} {
		g, err := guard.New(guard.Rules{Issuers: map[string]guard.IssuerRules{"portal": {Operations: operations, WholeDirectory: true}}})
		if err != nil {
			t.Fatal(err)
		}
		got[name] = g.Checks("portal")
	}
	want := map[string]writeback.Operation{
		"all": writeback.OpReset, "change": writeback.OpChange, "unlock": writeback.OpUnlock, "none": writeback.OpReset,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

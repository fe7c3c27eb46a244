package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/check"
)

func probe(target string, finding check.Finding) check.Probe {
	return check.Probe{Component: "c", Target: target, Run: func(context.Context) check.Finding { return finding }}
}

func TestAFailureSkipsWhatNeedsIt(t *testing.T) {
	var told []string
	c := &check.Checker{Within: time.Second, Progress: func(p check.Probe) { told = append(told, p.Target) }}
	if !c.Chain(t.Context(), probe("a", check.Passed("fine")), probe("b", check.Warned("odd", "Look."))) {
		t.Error("a warning is taken for a failure")
	}
	if c.Chain(t.Context(), probe("d", check.Failed("bad", "Mend.")), probe("e", check.Passed("")), probe("f", check.Passed(""))) {
		t.Error("a failure is not noticed")
	}
	var got []string
	for _, r := range c.Report.Results {
		got = append(got, string(r.Verdict)+" "+r.Target+" "+r.Detail)
	}
	want := []string{"PASS a fine", "WARN b odd", "FAIL d bad", "SKIP e needs c d", "SKIP f needs c d"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "d"}, told); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if c.Report.OK() || !(check.Report{Results: c.Report.Results[:2]}).OK() {
		t.Error("OK is wrong")
	}
}

func TestAProbeHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &check.Checker{Within: 7 * time.Second}
		begun := time.Now()
		c.Chain(t.Context(), check.Probe{Run: func(ctx context.Context) check.Finding {
			<-ctx.Done()
			return check.Failed(ctx.Err().Error(), "")
		}})
		if took := time.Since(begun); took != 7*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func report() check.Report {
	c := &check.Checker{}
	c.Add("config", "a.yaml", check.Passed("valid"))
	c.Add("relay", "queue", check.Failed("no\x1b[2J\nanswer\t.", "Ask."))
	c.Add("keys", "", check.Skipped("needs config"))
	return c.Report
}

func TestTheTable(t *testing.T) {
	want := `PASS  config  a.yaml  valid
FAIL  relay   queue   no?[2J answer?.
      Ask.
SKIP  keys            needs config

1 passed, 0 to look at, 1 failed, 1 skipped
`
	var plain, colored strings.Builder
	if err := report().WriteTable(&plain, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := report().WriteTable(&colored, true); err != nil || !strings.Contains(colored.String(), "\n\x1b[31mFAIL\x1b[0m  relay") {
		t.Errorf("%v: %q", err, colored.String())
	}
	if err := report().WriteTable(failing{}, false); err == nil {
		t.Error("a failed write is not told")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestTheJSON(t *testing.T) {
	text, err := json.Marshal(check.Report{Results: report().Results[1:2]})
	want := `{"results":[{"component":"relay","target":"queue","verdict":"FAIL","detail":"no\u001b[2J\nanswer\t.","remedy":"Ask."}]}`
	if err != nil || string(text) != want {
		t.Errorf("%v: %s", err, text)
	}
}

// Package check is the administrator's look before the first request, or when something is wrong: probes that run one after another, each with a verdict, what
// was seen, and what to do. What cannot be judged because something before it failed is skipped, so that one fault shows once.
//
// The probes themselves belong to whoever knows the parts; this package runs them and shows what they found.
package check

import (
	"context"
	"time"
)

// Verdict is how a probe ended.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "PASS"
	Warn Verdict = "WARN" // it works, and should be looked at
	Fail Verdict = "FAIL" // requests would be refused
	Skip Verdict = "SKIP" // it could not be judged
)

// Finding is what a probe saw.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail,omitempty"` // what is the case; no secret
	Remedy  string  `json:"remedy,omitempty"` // what to do, one sentence; with Warn and Fail
}

// Passed and Skipped are findings of one sentence.
func Passed(detail string) Finding { return Finding{Verdict: Pass, Detail: detail} }

// Skipped says why nothing was judged.
func Skipped(detail string) Finding { return Finding{Verdict: Skip, Detail: detail} }

// Warned and Failed are findings with a remedy.
func Warned(detail, remedy string) Finding { return Finding{Warn, detail, remedy} }

// Failed says what is wrong and what to do.
func Failed(detail, remedy string) Finding { return Finding{Fail, detail, remedy} }

// Result is a finding and what it is about.
type Result struct {
	Component string `json:"component"` // config, keys, relay, domain, ...
	Target    string `json:"target"`    // which one
	Finding
}

// Probe looks at one thing. Run must heed ctx.
type Probe struct {
	Component, Target string
	Run               func(ctx context.Context) Finding
}

// Report holds the results in the order of the probes.
type Report struct {
	Results []Result `json:"results"`
}

// Checker runs probes and collects what they find.
type Checker struct {
	Within   time.Duration   // how long one probe may take
	Progress func(now Probe) // is told before each probe; may be nil
	Report   Report
}

// Chain runs probes of which each needs those before it: after a failure the others are skipped. It reports whether none failed.
func (c *Checker) Chain(ctx context.Context, probes ...Probe) bool {
	failed := ""
	for _, probe := range probes {
		if failed != "" {
			c.Add(probe.Component, probe.Target, Skipped("needs "+failed))
			continue
		}
		if c.run(ctx, probe).Verdict == Fail {
			failed = probe.Component + " " + probe.Target
		}
	}
	return failed == ""
}

func (c *Checker) run(ctx context.Context, probe Probe) Finding {
	if c.Progress != nil {
		c.Progress(probe)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	finding := probe.Run(ctx)
	c.Add(probe.Component, probe.Target, finding)
	return finding
}

// Add notes what was found without a probe.
func (c *Checker) Add(component, target string, finding Finding) {
	c.Report.Results = append(c.Report.Results, Result{component, target, finding})
}

// Count returns how many results have a verdict.
func (r Report) Count(verdict Verdict) int {
	n := 0
	for _, result := range r.Results {
		if result.Verdict == verdict {
			n++
		}
	}
	return n
}

// OK reports whether nothing failed; warnings do not count.
func (r Report) OK() bool { return r.Count(Fail) == 0 }

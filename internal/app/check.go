package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

// probeTime is how long one probe of a check may take.
const probeTime = 20 * time.Second

// Check looks at everything that an agent with the configuration at path needs, on this host and around it. It writes nothing anywhere and takes no message; it
// needs no running agent, and does not disturb one. progress is told what is looked at next; it may be nil.
func Check(ctx context.Context, path string, progress func(check.Probe)) check.Report {
	c := &checking{Checker: &check.Checker{Within: probeTime, Progress: progress}, path: path}
	if !c.Chain(ctx, check.Probe{Component: "config", Target: path, Run: c.load}) {
		c.explainFaults()
		for _, rest := range []string{"agent", "keys", "ledger", "audit", "relay", "domain"} {
			c.Add(rest, "", check.Skipped("needs config"))
		}
		return c.Report
	}
	defer func() { _ = c.secrets.forget() }()
	c.host(ctx)
	c.relay(ctx)
	c.domains(ctx)
	return c.Report
}

// checking is one check on its way.
type checking struct {
	*check.Checker
	path    string
	cfg     *config.Config
	faults  *config.Faults
	secrets secrets
	running *status.Report // of the agent that runs; nil: none does
}

func (c *checking) load(context.Context) check.Finding {
	cfg, err := Load(c.path)
	if errors.As(err, &c.faults) {
		return check.Failed(fmt.Sprintf("faulty, see below (%d)", len(c.faults.List)), "Correct them; config.example.yaml explains every setting.")
	}
	if err != nil {
		return failure(err)
	}
	c.cfg = cfg
	return check.Passed(fmt.Sprintf("valid: agent %s of group %s, domains: %d, portals: %d", cfg.Agent, cfg.Group, len(cfg.Domains), len(cfg.Issuers)))
}

func (c *checking) explainFaults() {
	if c.faults == nil {
		return
	}
	for _, fault := range c.faults.List {
		place := fault.Path
		if fault.Line > 0 {
			place += fmt.Sprintf(" (line %d)", fault.Line)
		}
		c.Add("config", place, check.Failed(fault.Problem, fault.Remedy))
	}
}

// failure is the finding of an error: its cause, which stays on this host, and what to do.
func failure(err error) check.Finding {
	finding := check.Failed(err.Error(), "See docs/operations.md.")
	var typed *writeback.Error
	if errors.As(err, &typed) {
		finding.Remedy = cmp.Or(typed.Remedy(), finding.Remedy)
		if typed.Detail.Hint != "" {
			finding.Detail += " (hint " + typed.Detail.Hint + ")"
		}
	}
	return finding
}

// host looks at what is on this host.
func (c *checking) host(ctx context.Context) {
	c.Chain(ctx, check.Probe{Component: "agent", Target: c.cfg.Status.Socket, Run: c.agent})
	c.Chain(ctx, check.Probe{Component: "keys", Target: c.cfg.KeysDir, Run: c.keys})
	c.Chain(ctx, check.Probe{Component: "ledger", Target: c.ledgerPath(), Run: c.ledger})
	c.Chain(ctx, check.Probe{Component: "audit", Target: c.cfg.Audit.Dir, Run: c.audit})
	lists := openLists(c.cfg.Policy, func(string, error) {}) // faults are those of the configuration
	if words, breached := lists.Describe(); words+breached != "" {
		c.Add("passwords", "", check.Passed(joined(words, breached)))
	}
}

// agent asks the running one, which knows of what only shows over time.
func (c *checking) agent(ctx context.Context) check.Finding {
	report, err := status.Fetch(ctx, c.cfg.Status.Socket)
	if err != nil {
		return check.Passed("none answers: it is not running, or this account may not ask it")
	}
	c.running = &report
	for _, condition := range report.Conditions {
		if condition.Severity != health.OK {
			return check.Warned(fmt.Sprintf("running, %s: %s: %s", report.Overall, condition.Name, condition.Message), condition.Remedy)
		}
	}
	return check.Passed("running since " + inSeconds(report.Agent.Since))
}

func (c *checking) keys(context.Context) check.Finding {
	ring, err := newKeyring(c.cfg, time.Now)
	if err != nil {
		return failure(err)
	}
	if warnings := ring.current.Load().warnings(time.Now()); len(warnings) > 0 {
		return check.Warned(warnings[0].message, warnings[0].remedy)
	}
	return check.Passed("to open, to sign and to verify with; none ends soon")
}

// relay looks at the queues.
func (c *checking) relay(ctx context.Context) {
	queue, err := dialQueue(ctx, c.cfg.Relay, &c.secrets, silent())
	if err != nil {
		c.Add("relay", c.cfg.Relay.RequestsQueue, failure(err))
		return
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = queue.Close(closing) // nothing was sent or taken
	}()
	at := func(name string, run func(context.Context) check.Finding) check.Probe {
		return check.Probe{Component: "relay", Target: queue.Address() + "/" + name, Run: run}
	}
	requests := at(c.cfg.Relay.RequestsQueue, func(ctx context.Context) check.Finding { return reached(queue.ReachRequests(ctx)) })
	var results []check.Probe
	for _, issuer := range c.cfg.Issuers {
		results = append(results, at(issuer.ResultsQueue, func(ctx context.Context) check.Finding {
			return sendable(queue.ReachResults(ctx, issuer.ResultsQueue), issuer.ID)
		}))
	}
	met := c.Chain(ctx, requests)
	for _, result := range results {
		if !met && c.cfg.Relay.ResultsConnectionStringFile == "" { // the same connection string
			c.Add(result.Component, result.Target, check.Skipped("needs relay "+requests.Target))
			continue
		}
		c.Chain(ctx, result)
	}
}

func reached(err error) check.Finding {
	if err != nil {
		return check.Failed(err.Error(), "Check that this host may open connections to the namespace (TCP port 5671), that the queue exists, and that the connection string's key is valid and grants Listen.")
	}
	return check.Passed("answers; whether its lock lasts 5 minutes shows with the first request")
}

func sendable(err error, issuer string) check.Finding {
	if err != nil {
		return check.Failed(err.Error(), "Check that the queue exists and requires sessions, and that the connection string's key grants Send on it.")
	}
	return check.Passed("may be sent to, with the results for " + issuer)
}

// domains looks at every controller of every domain, and at the rights in each.
func (c *checking) domains(ctx context.Context) {
	directory, err := newDirectory(c.cfg, &c.secrets, silent())
	if err != nil {
		c.Add("domain", "", failure(err))
		return
	}
	defer func() { _ = directory.Close() }()
	if c.Progress != nil {
		c.Progress(check.Probe{Component: "domain", Target: "every controller"})
	}
	asking, cancel := context.WithTimeout(ctx, probeTime)
	known := directory.Health(asking)
	cancel()
	for _, domain := range c.cfg.Domains {
		c.domain(ctx, directory, domain, known)
	}
}

package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/writeback"
)

// WriteTable writes the report as a person reads it: what needs attention first, then the figures. Times are UTC, ages are those at
// the time of the report. color adds terminal colours.
func (r Report) WriteTable(w io.Writer, color bool) error {
	out := &table{tabs: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), color: color, now: r.Time}
	out.head(r)
	out.attention(r)
	out.domains(r)
	out.counts("Requests since the start", r.Reasons)
	out.counts("Removed without an answer", r.Discarded)
	out.keys(r.Keys)
	out.trusted(r.Trusted)
	return out.tabs.Flush()
}

// table writes the sections of a report. A failed write shows at the final Flush.
type table struct {
	tabs  *tabwriter.Writer
	color bool
	now   time.Time
}

// row writes cells that line up with those of the rows around it, without empty ones at the end.
func (t *table) row(cells ...string) {
	for len(cells) > 1 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	for i := range cells {
		cells[i] = strings.Map(visible, cells[i])
	}
	fmt.Fprintln(t.tabs, strings.Join(cells, "\t"))
}

// section begins a new alignment under a title.
func (t *table) section(title string) { fmt.Fprintf(t.tabs, "\n%s\n", title) }

// visible keeps texts from outside (a broker's error) from breaking the lines and the terminal; only our own colours pass.
func visible(r rune) rune {
	if r < ' ' && r != '\x1b' || r >= 0x7f && r < 0xa0 {
		return '?'
	}
	return r
}

func (t *table) head(r Report) {
	t.row("Agent", fmt.Sprintf("%s/%s, version %s", foreign(r.Agent.Group), foreign(r.Agent.ID), foreign(r.Agent.Version)))
	t.row("State", t.paint(r.Overall, word(r.Overall))+", running since "+t.when(r.Agent.Since))
	t.row("Relay", t.relay(r.Relay))
	t.row("", fmt.Sprintf("%s in hand, intake %s", requests(r.Relay.InHand), foreign(string(r.Relay.Intake))))
	if r.Relay.LastError != "" {
		t.row("", fmt.Sprintf("last error %s: %s", t.when(r.Relay.LastErrorAt), foreign(r.Relay.LastError)))
	}
	t.row("Results", fmt.Sprintf("%d waiting to be sent, %d with an outcome not known yet", r.Outbox, r.Unresolved))
	t.row("Last request", t.last(r.Last))
}

func (t *table) relay(relay Relay) string {
	if !relay.Connected {
		return t.paint(health.Down, "not connected") + " to " + foreign(relay.Queue)
	}
	return fmt.Sprintf("connected to %s since %s", foreign(relay.Queue), t.when(relay.ConnectedSince))
}

func (t *table) last(last *Request) string {
	if last == nil {
		return "none since the start"
	}
	ended := string(last.Reason)
	if last.Verdict != "" && string(last.Verdict) != ended {
		ended = fmt.Sprintf("%s (%s)", last.Verdict, last.Reason)
	}
	return foreign(fmt.Sprintf("%s: %s from %s: %s in %d ms", t.when(last.At), last.Operation, last.Issuer, ended, last.Milliseconds))
}

// attention lists the conditions that are not ok, each with its remedy, and the portals that do not seal for this agent unless a
// condition of theirs says so already.
func (t *table) attention(r Report) {
	bad := slices.DeleteFunc(slices.Clone(r.Conditions), func(c health.Condition) bool { return c.Severity == health.OK })
	for _, issuer := range r.NotSealing {
		name := health.Issuer(issuer)
		if !slices.ContainsFunc(bad, func(c health.Condition) bool { return c.Name == name }) {
			bad = append(bad, health.Condition{
				Name: name, Severity: health.Degraded, Message: "It does not seal its requests for this agent.",
				Remedy: "Give the portal this agent's public keys: writeback-agent keys export.",
			})
		}
	}
	if len(bad) == 0 {
		return
	}
	t.section("Needs attention")
	for _, c := range bad {
		t.row("  "+t.paint(c.Severity, word(c.Severity)), foreign(string(c.Name)), foreign(c.Message))
		t.note(c.Remedy)
		t.note(t.since(c))
	}
}

// since says how long a condition lasts and which reason its requests get, as far as known.
func (t *table) since(c health.Condition) string {
	var known []string
	if !c.Since.IsZero() {
		known = append(known, "Since "+t.when(c.Since))
	}
	if c.Reason != "" {
		known = append(known, "see "+string(c.Reason))
	}
	return strings.Join(known, ", ")
}

// note writes a text below the last column of a condition. The empty first cell carries the same invisible codes as its neighbours.
func (t *table) note(text string) {
	if text != "" {
		t.row("  "+t.paint(health.OK, ""), "", foreign(text))
	}
}

// domains lists the domains. What a condition says of one already is not said again.
func (t *table) domains(r Report) {
	if len(r.Domains) == 0 {
		return
	}
	t.section("Domains")
	for _, d := range r.Domains {
		message := d.Message
		if slices.ContainsFunc(r.Conditions, func(c health.Condition) bool { return c.Severity != health.OK && c.Message == message }) {
			message = ""
		}
		t.row("  "+foreign(d.Name), cmp.Or(foreign(d.Controller), "no controller"), t.paint(d.Health, word(d.Health)), foreign(message))
	}
	for _, d := range r.Domains {
		t.controllers(d)
	}
}

// controllers lists a domain's controllers; nothing where none are known.
func (t *table) controllers(d Domain) {
	if len(d.Controllers) == 0 {
		return
	}
	t.section(strings.Map(visible, "Controllers of "+foreign(d.Name)))
	for _, c := range d.Controllers {
		t.row("  "+foreign(c.Address), foreign(string(c.State)), c.role(), cmp.Or(foreign(c.Site), "-"), c.latency(), cmp.Or(foreign(c.LastError), c.certificate()))
	}
}

// role says what sets a controller apart from the others.
func (c Controller) role() string {
	var roles []string
	if c.Preferred {
		roles = append(roles, "preferred")
	}
	if c.PDC {
		roles = append(roles, "PDC")
	}
	return cmp.Or(strings.Join(roles, ", "), "-")
}

func (c Controller) latency() string {
	if c.Milliseconds == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", c.Milliseconds)
}

func (c Controller) certificate() string {
	if c.CertificateExpires.IsZero() {
		return ""
	}
	return "certificate until " + c.CertificateExpires.UTC().Format(time.DateOnly)
}

// counts lists reasons, the most frequent first.
func (t *table) counts(title string, counts map[writeback.Reason]uint64) {
	if len(counts) == 0 {
		return
	}
	t.section(title)
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b writeback.Reason) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, reason := range reasons {
		t.row("  "+foreign(string(reason)), fmt.Sprint(counts[reason]))
	}
}

func (t *table) keys(keys []Key) {
	if len(keys) == 0 {
		return
	}
	t.section("Keys")
	for _, key := range keys {
		t.row("  "+foreign(key.ID), foreign(key.Use), foreign(key.State), "created "+t.when(key.Created), t.life(key.ActiveFrom, key.Expires))
	}
}

func (t *table) trusted(keys []TrustedKey) {
	if len(keys) == 0 {
		return
	}
	t.section("Portals' keys")
	for _, key := range keys {
		t.row("  "+foreign(key.ID), foreign(key.Issuer), foreign(key.State), t.life(time.Time{}, key.Expires))
	}
}

// life says what is to come for a key.
func (t *table) life(from, until time.Time) string {
	var parts []string
	if from.After(t.now) {
		parts = append(parts, "signs from "+day(from))
	}
	if !until.IsZero() {
		parts = append(parts, "expires "+day(until))
	}
	return strings.Join(parts, ", ")
}

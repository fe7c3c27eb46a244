package faults

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
)

// key is one "key=value" of a rule: how it is read, written and explained.
type key struct {
	name, values, help string
	set                func(*Rule, string) error
	get                func(Rule) string // "" when it is not set
}

// keys in the order in which they are written and explained: which operations, when, and what happens.
func keys() []key {
	return []key{
		{"op", "attach|send|deliver|settle|request", "kind of operation; all, when left out", setOp, func(r Rule) string { return string(r.Op) }},
		text("queue", "NAME", "queue, or NAME/$DeadLetterQueue; all, when left out", func(r *Rule) *string { return &r.Queue }),
		text("name", "OPERATION", "of op=request, for instance com.microsoft:renew-lock", func(r *Rule) *string { return &r.Name }),
		{"link", "sender|receiver", "of op=attach", setLink, func(r Rule) string { return string(r.Link) }},

		number("after", "lets N pass first", func(r *Rule) *int { return &r.After }),
		number("nth", "hits the Nth only", func(r *Rule) *int { return &r.Nth }),
		number("every", "hits each Nth", func(r *Rule) *int { return &r.Every }),
		{"above", "N/TIME", "hits what exceeds the rate, for instance 10/1s", setAbove, getAbove},
		{"probability", "0..1", "leaves it to chance", setProbability, getProbability},
		number("count", "hits N at most", func(r *Rule) *int { return &r.Count }),

		{"delay", "TIME", "waits, for instance 300ms or 5s, before anything else", setDelay, getDelay},
		{"drop", "before|after", "cuts the connection, before or after the operation takes effect", setDrop(false), getDrop(false)},
		{"silent", "before|after", "never answers on the connection again, but keeps it open", setDrop(true), getDrop(true)},
		{"refuse", "CONDITION", "answers with an error, for instance server-busy", setCondition(false), getCondition(false)},
		{"detach", "CONDITION", "detaches the link, for instance detach-forced", setCondition(true), getCondition(true)},
		number("duplicate", "of op=deliver or op=settle: hands the message out N more times", func(r *Rule) *int { return &r.Effect.Again }),
		number("status", "status of a refused request (default 500)", func(r *Rule) *int { return &r.Effect.Status }),
		text("description", "TEXT", "goes with refuse or detach", func(r *Rule) *string { return &r.Effect.Description }),
	}
}

func keyNamed(name string) (key, bool) {
	for _, k := range keys() {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}

func keyNames() []string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return names
}

// effectNames are the keys of which one must be there.
func effectNames() []string {
	return []string{"delay", "drop", "silent", "refuse", "detach", "duplicate"}
}

// Help explains the keys, one per line.
func Help() string {
	var b strings.Builder
	for _, k := range keys() {
		fmt.Fprintf(&b, "  %-40s %s\n", k.name+"="+k.values, k.help)
	}
	b.WriteString("\n  CONDITION is written in full (com.microsoft:server-busy), or is one of these:\n")
	const perLine = 4
	for names := range slices.Chunk(shortConditions(), perLine) {
		b.WriteString("    " + strings.Join(names, ", ") + "\n")
	}
	return b.String()
}

// text is a key whose value is kept as it is.
func text(name, values, help string, field func(*Rule) *string) key {
	return key{name, values, help,
		func(r *Rule, v string) error { *field(r) = v; return checkText(v) },
		func(r Rule) string { return *field(&r) }}
}

// number is a key whose value is a positive number.
func number(name, help string, field func(*Rule) *int) key {
	return key{name, "N", help,
		func(r *Rule, v string) (err error) { *field(r), err = positive(v); return err },
		func(r Rule) string {
			if n := *field(&r); n != 0 {
				return strconv.Itoa(n)
			}
			return ""
		}}
}

func positive(v string) (int, error) {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("not a whole number above 0")
	}
	return int(n), nil
}

func duration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, errors.New("not a time above 0 with a unit, such as 300ms")
	}
	return d, nil
}

func setOp(r *Rule, v string) error { r.Op = emulator.Op(v); return nil }

func setLink(r *Rule, v string) error { r.Link = Link(v); return nil }

func setDelay(r *Rule, v string) (err error) { r.Delay, err = duration(v); return err }

func getDelay(r Rule) string {
	if r.Delay == 0 {
		return ""
	}
	return r.Delay.String()
}

func setAbove(r *Rule, v string) error {
	limit, per, ok := strings.Cut(v, "/")
	if !ok {
		return errors.New("not a number, a slash and a time")
	}
	n, err := strconv.ParseUint(limit, 10, 31) // 0 is a rate, too: nothing gets through
	if err != nil {
		return errors.New("not a whole number before the slash")
	}
	r.Above.Limit = int(n)
	r.Above.Per, err = duration(per)
	return err
}

func getAbove(r Rule) string {
	if r.Above == (Rate{}) {
		return ""
	}
	return fmt.Sprintf("%d/%s", r.Above.Limit, r.Above.Per)
}

func setProbability(r *Rule, v string) (err error) {
	r.Probability, err = strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(r.Probability) || r.Probability <= 0 || r.Probability > 1 {
		return errors.New("not a number above 0 and at most 1")
	}
	return nil
}

func getProbability(r Rule) string {
	if r.Probability == 0 {
		return ""
	}
	return strconv.FormatFloat(r.Probability, 'g', -1, 64)
}

func setDrop(silent bool) func(*Rule, string) error {
	return func(r *Rule, v string) error {
		switch v {
		case "before":
			r.Effect.Drop = emulator.DropBefore
		case "after":
			r.Effect.Drop = emulator.DropAfter
		default:
			return errors.New("neither before nor after")
		}
		r.Effect.Silent = silent
		return nil
	}
}

func getDrop(silent bool) func(Rule) string {
	return func(r Rule) string {
		switch {
		case r.Effect.Silent != silent || r.Effect.Drop == emulator.DropNone:
			return ""
		case r.Effect.Drop == emulator.DropBefore:
			return "before"
		}
		return "after"
	}
}

func setCondition(detach bool) func(*Rule, string) error {
	return func(r *Rule, v string) (err error) {
		r.Effect.Condition, err = condition(v)
		r.Effect.Detach = detach
		return err
	}
}

func getCondition(detach bool) func(Rule) string {
	return func(r Rule) string {
		if r.Effect.Detach != detach {
			return ""
		}
		return shorten(r.Effect.Condition)
	}
}

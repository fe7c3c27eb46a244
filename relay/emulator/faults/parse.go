package faults

import (
	"fmt"
	"strings"
	"unicode"
)

// maxRuleLength bounds the text of a rule.
const maxRuleLength = 1000

// Parse reads a rule: "key=value" pairs with commas between them, in any order, each key at most once. Help lists the
// keys. Nothing is guessed: what is unknown, twice there or without effect is an error that names it.
func Parse(text string) (Rule, error) {
	r, err := parse(text)
	if err == nil {
		err = r.validate()
	}
	if err != nil {
		return Rule{}, fmt.Errorf("fault %q: %w", abridge(text), err)
	}
	return r, nil
}

// ParseAll reads several rules.
func ParseAll(texts []string) ([]Rule, error) {
	rules := make([]Rule, 0, len(texts))
	for _, text := range texts {
		r, err := Parse(text)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parse(text string) (r Rule, err error) {
	if len(text) > maxRuleLength {
		return r, fmt.Errorf("longer than %d bytes", maxRuleLength)
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		f, known := keyNamed(key)
		switch {
		case !ok || value == "":
			return r, fmt.Errorf("%q is not key=value", pair)
		case !known:
			return r, fmt.Errorf("unknown key %q; there are %s", key, strings.Join(keyNames(), ", "))
		case seen[key]:
			return r, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if err := f.set(&r, value); err != nil {
			return r, fmt.Errorf("%s: %w", pair, err)
		}
	}
	if seen["refuse"] && seen["detach"] || seen["drop"] && seen["silent"] {
		return r, fmt.Errorf("only one thing can happen (and a delay before it)")
	}
	return r, nil
}

// String is the text that Parse reads as this rule, in the order of the keys.
func (r Rule) String() string {
	var pairs []string
	for _, f := range keys() {
		if value := f.get(r); value != "" {
			pairs = append(pairs, f.name+"="+value)
		}
	}
	return strings.Join(pairs, ",")
}

// checkText refuses what could not be shown on a line, or read back.
func checkText(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r == ',' || r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		return fmt.Errorf("only printable characters, and no comma")
	}
	return nil
}

// abridge keeps an error readable when somebody passes a file instead of a rule.
func abridge(s string) string {
	const enough = 200
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "..."
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/password-writeback/writeback/relay/requester"
)

// answer is what came of a request, for people and as JSON.
type answer struct {
	Verdict      requester.Verdict `json:"verdict"`
	Reason       requester.Reason  `json:"reason,omitempty"` // absent: no agent answered
	Class        requester.Class   `json:"class,omitempty"`  // of the reason
	Detail       requester.Detail  `json:"detail,omitzero"`
	Person       string            `json:"person"`           // for the person concerned
	Remedy       string            `json:"remedy,omitempty"` // for the administrator
	Retry        bool              `json:"retry"`            // whether trying again, unchanged, may succeed
	Replayed     bool              `json:"replayed,omitempty"`
	Agent        string            `json:"agent,omitempty"`
	Request      string            `json:"request"`
	Milliseconds int64             `json:"milliseconds"`
	Error        string            `json:"error,omitempty"` // no_answer or not_confirmed
	Cause        string            `json:"cause,omitempty"`
	Exit         int               `json:"exit"`
}

// newAnswer turns a result, or the lack of one, into an answer. It reports false for errors that came before anything was sent.
func newAnswer(result requester.Result, err error, took time.Duration) (answer, bool) {
	if err == nil {
		return answered(result, took), true
	}
	var exchange *requester.ExchangeError
	if !errors.As(err, &exchange) {
		return answer{}, false
	}
	a := answer{
		Verdict: requester.Unknown, Request: exchange.RequestID, Milliseconds: took.Milliseconds(), Exit: exitUnknown, Error: "no_answer",
		Person: "It is not certain what became of the request.",
		Cause:  causeOfSilence(exchange.Cause, took), Remedy: remedyOfSilence(exchange.Cause),
	}
	if errors.Is(err, requester.ErrNotConfirmed) {
		a.Exit, a.Error, a.Cause = exitTransport, "not_confirmed", ""
		a.Remedy = "Check the connection string, the name of the requests queue, its Send right, and the network."
		if exchange.Cause != nil {
			a.Cause = oneLine(exchange.Cause.Error())
		}
	}
	return a, true
}

// causeOfSilence says for how long nothing came, and what kept answers from being received, if anything did.
func causeOfSilence(cause error, took time.Duration) string {
	text := "none within " + took.Round(time.Millisecond).String()
	if errors.Is(cause, context.Canceled) {
		text = "interrupted"
	}
	if trouble := troubleIn(cause); trouble != nil {
		text += "; " + trouble.Error()
	}
	return oneLine(text)
}

// remedyOfSilence sends people to the agent, unless it is this side that cannot receive.
func remedyOfSilence(cause error) string {
	if troubleIn(cause) != nil {
		return "Check the name of the results queue, that it has sessions, the Listen right of the connection string, and the network. The request may have been carried out: after a reset, try the new password before asking again."
	}
	return "See whether the agent runs (writeback-agent status): it removes without an answer what does not verify, for instance a request with a key it does not know, and counts that there. Otherwise look for the request's id in its audit log. After a reset, try the new password before asking again."
}

// troubleIn returns what an error holds beside the end of the wait, or nil.
func troubleIn(err error) error {
	joined, isJoined := err.(interface{ Unwrap() []error })
	switch {
	case isJoined:
		var rest []error
		for _, part := range joined.Unwrap() {
			rest = append(rest, troubleIn(part))
		}
		return errors.Join(rest...)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

func answered(result requester.Result, took time.Duration) answer {
	info := requester.Lookup(result.Outcome.Reason)
	return answer{
		Verdict: result.Outcome.Verdict, Reason: result.Outcome.Reason, Class: info.Class, Detail: result.Outcome.Detail,
		Person: info.Person, Remedy: info.Remedy, Retry: info.Retry, Replayed: result.Outcome.Replayed,
		Agent: result.Agent, Request: result.RequestID, Milliseconds: took.Milliseconds(), Exit: exitOf(result.Outcome.Verdict, info.Class),
	}
}

// print writes the answer: one line that says it all, and what follows from it.
func (a answer) print(to io.Writer, colours palette) error {
	lines := []string{a.headline(colours)}
	if a.Exit != exitDone {
		lines = append(lines, "  person: "+a.Person)
	}
	for _, detail := range a.details() {
		lines = append(lines, "  detail: "+detail)
	}
	for _, warning := range a.Detail.Warnings {
		lines = append(lines, "  warning: "+warning)
	}
	if a.Exit != exitDone && a.Remedy != "" {
		lines = append(lines, "  remedy: "+a.Remedy)
	}
	_, err := fmt.Fprintln(to, strings.Join(lines, "\n"))
	return err
}

// printJSON writes the answer as one JSON object on one line.
func (a answer) printJSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(a)
}

// colour of the verdict: done, refused, or nobody knows.
func (a answer) colour() int {
	switch a.Verdict {
	case requester.Written, requester.OK:
		return green
	case requester.NotWritten:
		return red
	}
	return yellow
}

// headline is, for instance: "not written: password.in_history (agent corp/a1, request 3vX..., 41 ms)". The reason "ok" adds nothing.
func (a answer) headline(colours palette) string {
	what := colours.paint(a.colour(), strings.ReplaceAll(string(a.Verdict), "_", " "))
	for _, why := range []string{string(a.Reason), strings.ReplaceAll(a.Error, "_", " "), a.Cause} {
		if why != "" && why != "ok" {
			what += ": " + why
		}
	}
	var facts []string
	if a.Agent != "" {
		facts = append(facts, "agent "+a.Agent)
	}
	facts = append(facts, "request "+a.Request, fmt.Sprintf("%d ms", a.Milliseconds))
	if a.Replayed {
		facts = append(facts, "answered from memory")
	}
	return fmt.Sprintf("%s (%s)", what, strings.Join(facts, ", "))
}

// details spells out what the reason says beyond its name.
func (a answer) details() []string {
	var lines []string
	add := func(say bool, format string, value any) {
		if say {
			lines = append(lines, fmt.Sprintf(format, value))
		}
	}
	add(a.Detail.MinLength > 0, "at least %d characters", a.Detail.MinLength)
	add(a.Detail.MaxLength > 0, "at most %d characters", a.Detail.MaxLength)
	add(a.Detail.HistoryLength > 0, "not one of the last %d passwords", a.Detail.HistoryLength)
	if after := a.Detail.RetryAfter; after != nil {
		add(true, "possible again after %s", after.Local().Format(time.DateTime))
	}
	add(len(a.Detail.Possible) > 0, "possibly %s", strings.Join(a.Detail.Possible, " or "))
	add(a.Detail.Hint != "", "%s", a.Detail.Hint)
	return lines
}

// oneLine keeps a message on one line, whatever an error from below holds.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\n", "; ")), " ")
}

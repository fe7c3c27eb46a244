package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Report is what a demonstration found.
type Report struct {
	OK      bool            `json:"ok"`
	Seconds float64         `json:"seconds"`
	Rows    []Row           `json:"requests"`
	Proofs  []Proof         `json:"proofs"`
	Status  json.RawMessage `json:"status,omitempty"` // of the agent at the end, as it says it
	Folder  string          `json:"folder,omitempty"` // where it was kept
}

// Row is one request and what the portal saw of it.
type Row struct {
	Number  int               `json:"number"`
	Request string            `json:"request"`
	Silent  bool              `json:"silent,omitempty"` // no answer came, as should be
	Outcome writeback.Verdict `json:"outcome,omitempty"`
	Reason  writeback.Reason  `json:"reason,omitempty"`
	// Replayed: the agent answered from its memory.
	Replayed bool `json:"replayed,omitempty"`
	// Possible are the causes that the directory does not tell apart.
	Possible []string `json:"possible,omitempty"`
	// Person is the sentence for the person in front of the portal.
	Person string `json:"person,omitempty"`
	// Differs says how this directory differs from Windows here; empty: not at all.
	Differs string `json:"differs,omitempty"`
	// Milliseconds from sending the request until the answer was verified, or until the agent had counted it.
	Milliseconds int64 `json:"milliseconds"`
	// Fault says what should have happened; empty: it did.
	Fault string `json:"fault,omitempty"`
}

// Proof is what was found in the directory or at the agent, beyond what anybody said.
type Proof struct {
	Claim string `json:"claim"`
	Seen  string `json:"seen"`
	Fault string `json:"fault,omitempty"`
}

// answer is what came back to the portal.
type answer struct {
	outcome writeback.Outcome
	silent  bool
}

// expectation is how a request has to end.
type expectation struct {
	verdict  writeback.Verdict
	reason   writeback.Reason
	replayed bool
	silent   bool
	possible string // must be among the possible causes; empty: not judged
}

// row judges an answer.
func (e expectation) row(number int, request string, got answer, took time.Duration, err error) Row {
	row := Row{
		Number: number, Request: request, Silent: got.silent, Outcome: got.outcome.Verdict, Reason: got.outcome.Reason,
		Replayed: got.outcome.Replayed, Possible: got.outcome.Detail.Possible, Milliseconds: took.Milliseconds(),
	}
	if got.outcome.Reason != "" {
		row.Person = sentence(got.outcome)
	}
	seen := expectation{verdict: got.outcome.Verdict, reason: got.outcome.Reason, replayed: got.outcome.Replayed, silent: got.silent}
	if slices.Contains(row.Possible, e.possible) {
		seen.possible = e.possible
	}
	switch {
	case err != nil:
		row.Fault = fmt.Sprintf("expected %s: %v", e, err)
	case seen != e:
		row.Fault = fmt.Sprintf("expected %s, but saw %s", e, seen)
	}
	return row
}

func (e expectation) String() string {
	switch {
	case e.silent:
		return "no answer"
	case e.replayed:
		return fmt.Sprintf("%s %s, from memory", e.verdict, e.reason)
	case e.possible != "":
		return fmt.Sprintf("%s %s, possibly %s", e.verdict, e.reason, e.possible)
	}
	return fmt.Sprintf("%s %s", e.verdict, e.reason)
}

// sentence is what a portal could show: the reason's own sentence, and the numbers that came with it.
func sentence(outcome writeback.Outcome) string {
	text := []string{writeback.Lookup(outcome.Reason).Person}
	if n := outcome.Detail.MinLength; n > 0 {
		text = append(text, fmt.Sprintf("(At least %d characters.)", n))
	}
	if n := outcome.Detail.HistoryLength; n > 0 {
		text = append(text, fmt.Sprintf("(The last %d are remembered.)", n))
	}
	return strings.Join(text, " ")
}

// judge sets OK and returns an error that names what did not end as it should.
func (r *Report) judge() error {
	var faults []error
	for _, row := range r.Rows {
		if row.Fault != "" {
			faults = append(faults, fmt.Errorf("request %d (%s): %s", row.Number, row.Request, row.Fault))
		}
	}
	for _, proof := range r.Proofs {
		if proof.Fault != "" {
			faults = append(faults, fmt.Errorf("proof (%s): %s", proof.Claim, proof.Fault))
		}
	}
	r.OK = len(faults) == 0
	return errors.Join(faults...)
}

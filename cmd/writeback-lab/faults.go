package main

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/relay/emulator/faults"
)

// aboutFaults is the part of the help that explains --fault.
func aboutFaults() string {
	return `Faults of the queues: each --fault is a rule of key=value pairs with commas between them, which say what is hit, when, and what
happens. Where rules overlap, the first one that hits an operation decides. For instance:

  --fault op=settle,queue=writeback-requests,nth=3,drop=after      the third settlement works, and its answer is lost
  --fault op=send,queue=writeback-results-portal,refuse=server-busy,probability=0.2
  --fault op=send,above=10/1s,refuse=server-busy                   throttled to ten messages per second
  --fault op=deliver,queue=writeback-requests,every=5,duplicate=1  each fifth request is handed out twice
  --fault op=deliver,nth=2,silent=after                            the second delivery is lost, and then nothing comes any more
  --fault op=attach,link=receiver,count=3,refuse=timeout --fault delay=200ms

` + faults.Help()
}

// ruleFlag collects rules, so that a faulty one is a wrong command line.
type ruleFlag struct{ rules *[]faults.Rule }

// Set is for cobra, like the other methods.
func (f ruleFlag) Set(text string) error {
	r, err := faults.Parse(text)
	if err == nil {
		*f.rules = append(*f.rules, r)
	}
	return err
}

func (f ruleFlag) String() string {
	var texts []string
	if f.rules != nil {
		for _, r := range *f.rules {
			texts = append(texts, r.String())
		}
	}
	return strings.Join(texts, " ")
}

func (ruleFlag) Type() string { return "rule" }

// troubleFlags adds the flags that make the queues misbehave.
func troubleFlags(cmd *cobra.Command, t *lab.Trouble) {
	flags := cmd.Flags()
	flags.Var(ruleFlag{&t.Rules}, "fault", "make the queues fail by a `rule`, see above; may be repeated")
	flags.Uint64Var(&t.Seed, "fault-seed", 1, "what chance does in rules with a probability: the same `number`, the same faults")
	flags.DurationVar(&t.ClockSkew, "clock-skew", 0, "how far the queues' clock is ahead, or, when negative, behind, for instance -10m")
}

// openTrace opens a file for the trace, or takes the standard error for "-". It returns nil for no file.
func openTrace(name string, stderr io.Writer) (out io.Writer, closeTrace func() error, err error) {
	nothing := func() error { return nil }
	switch name {
	case "":
		return nil, nothing, nil
	case "-":
		return stderr, nothing, nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nothing, err
	}
	return file, file.Close, nil
}

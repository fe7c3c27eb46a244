package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/password-writeback/writeback/internal/lab"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something did not end as it should
	exitUsage   = 2 // wrong arguments: nothing was started
)

// usageError is a wrong command line.
type usageError struct {
	error
	command string // whose help tells how it is right
}

// run is the whole program, callable from a test. It ends early when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "writeback-lab: %v\n  See %q.\n", err, usage.command+" --help")
		return exitUsage
	}
	_, _ = fmt.Fprintf(stderr, "writeback-lab: %v\n", err)
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "writeback-lab",
		Short: "The writeback agent's surroundings on one machine",
		Long: `writeback-lab runs a Service Bus namespace and a directory in one process, on loopback. "demo" plays requests of a portal
through the real agent and proves what became of them; "serve" leaves that to you.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{err, cmd.CommandPath()} })
	root.AddCommand(newDemo(), newServe())
	return root
}

// noArguments refuses arguments, and suggests a command where a word looks like one.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	for _, suggestion := range cmd.SuggestionsFor(args[0]) {
		text += fmt.Sprintf("; did you mean %q?", suggestion)
	}
	return usageError{errors.New(text), cmd.CommandPath()}
}

// styleOf finds out how to write to out: colours and progress for terminals only, and no colours where the user wants none
// (no-color.org).
func styleOf(out io.Writer, getenv func(string) string) lab.Style {
	file, ok := out.(*os.File)
	terminal := ok && term.IsTerminal(int(file.Fd())) && getenv("TERM") != "dumb"
	return lab.Style{Colours: terminal && getenv("NO_COLOR") == "", Progress: terminal}
}

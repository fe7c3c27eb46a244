package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
)

// The exit codes. "status" gives them a meaning of its own, see its help.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong arguments or a faulty configuration: nothing was started
)

// exitError ends the program with a code, without a further message.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// usageError is a wrong command line.
type usageError struct{ error }

// run is the whole program, callable from a test.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return explain(stderr, err)
}

// explain prints an error as one sentence with its remedy and returns the exit code.
func explain(stderr io.Writer, err error) int {
	var exit exitError
	var faults *config.Faults
	var usage usageError
	var typed *writeback.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &faults):
		_, _ = fmt.Fprintln(stderr, faults.Error())
		return exitUsage
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "writeback-agent: %v\nRun \"writeback-agent --help\" for the commands.\n", err)
		return exitUsage
	case errors.As(err, &typed):
		_, _ = fmt.Fprintf(stderr, "writeback-agent: %v\n%s\n", err, typed.Remedy())
		if typed.Reason == writeback.AgentMisconfigured {
			return exitUsage
		}
		return exitFailure
	}
	_, _ = fmt.Fprintf(stderr, "writeback-agent: %v\n", err)
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "writeback-agent",
		Short: "Writes verified cloud password resets into Active Directory",
		Long: `writeback-agent runs on a domain-joined host, holds one outbound connection to a cloud queue (Azure Service Bus),
takes signed and sealed password requests from it, decides, and writes them into Active Directory over LDAPS.
The portal gets a signed answer with the exact reason.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringP("config", "c", config.DefaultPath(), "configuration `file`")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newRun(), newStatus(), newKeys(), newConfig(), newVersion())
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
	return usageError{errors.New(text)}
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	parent := &cobra.Command{
		Use: use, Short: short, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	parent.AddCommand(commands...)
	return parent
}

// loadConfig reads the file that --config names.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}

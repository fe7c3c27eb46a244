package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
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
type usageError struct {
	error
	command string // whose help tells how it is right
}

// run is the whole program, callable from a test.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	return explain(stderr, err)
}

// explain prints an error as one sentence, with its remedy below, and returns the exit code.
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
		tell(stderr, usage.Error(), fmt.Sprintf("See %q.", usage.command+" --help"))
		return exitUsage
	case errors.As(err, &typed) && typed.Reason == writeback.AgentMisconfigured && typed.Cause != nil:
		tell(stderr, typed.Cause.Error(), typed.Remedy())
		return exitUsage
	case errors.As(err, &typed):
		tell(stderr, err.Error(), typed.Remedy())
		return exitFailure
	}
	tell(stderr, err.Error(), "")
	return exitFailure
}

// tell prints what is wrong and, below it, what to do.
func tell(stderr io.Writer, problem, remedy string) {
	_, _ = fmt.Fprintf(stderr, "writeback-agent: %s\n", problem)
	if remedy != "" {
		_, _ = fmt.Fprintf(stderr, "  %s\n", remedy)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "writeback-agent",
		Short: "Writes verified cloud password resets into Active Directory",
		Long: `writeback-agent runs inside your network, holds one outbound connection to a cloud queue (Azure Service Bus), takes
signed and sealed password requests from it, decides, and writes them into Active Directory over LDAP with TLS.
The portal gets a signed answer with the exact reason.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringP("config", "c", config.DefaultPath(), "configuration `file`")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{err, cmd.CommandPath()} })
	root.AddCommand(newRun(), newStatus(), newCheck(), newKeys(), newSecrets(), newState(), newConfig(), newVersion())
	return root
}

// suggestionDistance is how many letters may be wrong in a command that is suggested.
const suggestionDistance = 2

// noArguments refuses arguments, and suggests a command where a word looks like one.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	_, commands, _ := strings.Cut(cmd.CommandPath()+" ", " ") // without the program's name
	if !cmd.HasSubCommands() {
		return usageError{fmt.Errorf("%q takes no arguments, but was given %q", strings.TrimSpace(commands), args[0]), cmd.CommandPath()}
	}
	text := fmt.Sprintf("unknown command %q", commands+args[0])
	cmd.SuggestionsMinimumDistance = suggestionDistance
	for _, near := range cmd.SuggestionsFor(args[0]) {
		text += fmt.Sprintf("; did you mean %q?", commands+near)
	}
	return usageError{errors.New(text), cmd.CommandPath()}
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

// loadConfig reads the file that --config names, and all that it names.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return app.Load(path)
}

// loadIdentity reads from the file that --config names only who the agent is and where things are: for commands that must
// work before the rest is complete, or for people who may not read the secrets.
func loadIdentity(cmd *cobra.Command) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	return config.LoadIdentity(path)
}

// printJSON prints a value for programs, indented for the people who write them.
func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

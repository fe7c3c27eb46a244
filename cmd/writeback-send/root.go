package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

const longHelp = `writeback-send plays the portal: it signs a request with the portal's key, seals it for the agents, sends it through the queue
and waits for the signed answer.

What stays the same from call to call fits into a profile, a JSON file:

  {
    "issuer": "portal",
    "group": "corp",
    "key": "portal.jwk",
    "agents": ["agent.jwks"],
    "connection_string_file": "servicebus.secret",
    "requests_queue": "writeback-requests",
    "results_queue": "writeback-results-portal"
  }

Paths are relative to the profile. Flags win over the profile.

The new password comes from the terminal without echo, from --password-file or from --password-fd; never from the command line or
the environment, where other users and processes can read it.`

// usageError is a fault of the command line.
type usageError struct {
	message string
	hint    string
}

func (e usageError) Error() string { return e.message }

// exitError ends the program with a code after everything was printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run is the program: everything but the end of the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return explain(root.ExecuteContext(ctx), stderr)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "writeback-send", Short: "Ask the agents to reset or change a password or to unlock an account, and print the answer", Long: longHelp + "\n\n" + exitHelp(), Version: version,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{err.Error(), fmt.Sprintf("see %s --help", cmd.CommandPath())}
	})
	root.AddCommand(newReset(), newChange(), newUnlock(), newCheck(), newPing(), newCarry(), newKeys())
	return root
}

// noArguments refuses arguments that are no flags, and says why for the one mistake that matters.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{
		fmt.Sprintf("%s takes no arguments, only flags", cmd.CommandPath()), // not quoted: it may be a password
		"name the user by --upn, --sid, --guid, --sam or --immutable-id; a password never stands on the command line",
	}
}

// explain prints an error with its remedy and returns the exit code.
func explain(err error, stderr io.Writer) int {
	var done exitError
	var usage usageError
	var fault *requester.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &done):
		return int(done)
	case errors.As(err, &usage):
		tell(stderr, usage.message, usage.hint)
	case errors.As(err, &fault):
		tell(stderr, causeOf(fault), remedyOf(fault))
	default:
		tell(stderr, err.Error(), "see writeback-send --help")
	}
	return exitUsage
}

func tell(stderr io.Writer, message, hint string) {
	_, _ = fmt.Fprintf(stderr, "writeback-send: %s\n", message)
	if hint != "" {
		_, _ = fmt.Fprintf(stderr, "  remedy: %s\n", hint)
	}
}

// causeOf leaves the reason out where it only repeats that something is wrong on this side.
func causeOf(fault *requester.Error) string {
	if fault.Reason == writeback.AgentMisconfigured && fault.Cause != nil {
		return fault.Cause.Error()
	}
	return fault.Error()
}

// remedyOf returns the hint; the table's own remedies speak to an agent's administrator and would mislead here.
func remedyOf(fault *requester.Error) string {
	if fault.Hint != "" || fault.Reason != writeback.AgentMisconfigured {
		return fault.Hint
	}
	return "correct the profile or the flags; see writeback-send --help"
}

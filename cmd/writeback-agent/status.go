package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/password-writeback/writeback/agent/status"
)

func newStatus() *cobra.Command {
	var asJSON bool
	var socket string
	cmd := &cobra.Command{
		Use: "status", Short: "Ask the running agent how it is", Args: noArguments,
		Long: `Asks the agent on this host, over its local socket: since when it runs, whether the queue is connected, which
controller is in use, the last request, counts by reason, keys, and what is wrong with its remedy.

Exit code: 0 healthy, 1 degraded, 2 down or not running.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return showStatus(cmd, socket, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&socket, "socket", "", "the agent's status `socket` (default: status.socket of the configuration)")
	return cmd
}

func showStatus(cmd *cobra.Command, socket string, asJSON bool) error {
	if socket == "" {
		// Whoever may ask for the status need not be allowed to read the agent's secrets.
		cfg, err := loadIdentity(cmd)
		if err != nil {
			return err
		}
		socket = cfg.Status.Socket
	}
	report, err := status.Fetch(cmd.Context(), socket)
	if err != nil {
		return explainFetch(cmd, err)
	}
	if err := printReport(cmd.OutOrStdout(), report, asJSON); err != nil {
		return err
	}
	if code := report.ExitCode(); code != status.ExitHealthy {
		return exitError{code}
	}
	return nil
}

// explainFetch says that nobody answers and what to do; that is "down" for scripts.
func explainFetch(cmd *cobra.Command, err error) error {
	var failure *status.FetchError
	if !errors.As(err, &failure) {
		return err
	}
	tell(cmd.ErrOrStderr(), failure.Error(), failure.Remedy)
	return exitError{failure.ExitCode()}
}

func printReport(out io.Writer, report status.Report, asJSON bool) error {
	if asJSON {
		return printJSON(out, report)
	}
	return report.WriteTable(out, isTerminal(out))
}

// isTerminal reports whether colours are welcome: on a terminal, and never under NO_COLOR (https://no-color.org).
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

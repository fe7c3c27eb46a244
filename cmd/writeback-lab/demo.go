package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/sambalab"
)

func newDemo() *cobra.Command {
	var options lab.DemoOptions
	var samba bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Play requests through the real agent and prove what became of them", Args: noArguments,
		Long: `Starts a Service Bus namespace and a directory on loopback and the real agent as a process of its own, and sends it the
requests of a portal: good ones, refused ones and hostile ones. Shows what the portal sees of each, and then proves it in
the directory: the new password logs on, the old one does not, a repeated request wrote once, a forged one nothing.

Everything is made anew in a temporary folder and removed afterwards. It takes some ten seconds, and waits once
on purpose: a request sealed for another agent is handed back three times before it is answered.

With --samba the directory is a real Samba domain controller, which "make demo-samba" starts beside it on Debian.

Exit code: 0 everything ended as it should, 1 something did not.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd, options, samba) },
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Agent, "agent", "writeback-agent", "the agent's `program`")
	flags.BoolVar(&samba, "samba", false, "use the Samba controller that test/with-lab.sh has started")
	flags.BoolVar(&options.JSON, "json", false, "print the result as JSON")
	flags.BoolVar(&options.Keep, "keep", false, "keep the folder with configuration, log, audit and ledger, and name it")
	flags.BoolVarP(&options.Verbose, "verbose", "v", false, "show the agent's log on the standard error")
	return cmd
}

func demo(cmd *cobra.Command, options lab.DemoOptions, samba bool) (err error) {
	options.Stdout, options.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	options.Style = styleOf(options.Stdout, os.Getenv)
	if samba {
		if options.Samba, err = sambalab.Find(); err != nil {
			return fmt.Errorf("--samba needs a Samba controller, which make demo-samba starts: %w", err)
		}
	}
	options.Log, err = logging.New(options.Stderr, logging.Options{Level: level(options.Verbose), Format: "text"})
	if err != nil {
		return err
	}
	return lab.Demo(cmd.Context(), options)
}

// level keeps the lab's own parts quiet unless somebody asks.
func level(verbose bool) string {
	if verbose {
		return "info"
	}
	return "error"
}

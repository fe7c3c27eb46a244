package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/internal/app"
)

func newCheck() *cobra.Command {
	var asJSON bool
	var user string
	cmd := &cobra.Command{
		Use: "check", Short: "Look whether everything the agent needs works, or why a user cannot be reset", Args: noArguments,
		Long: `Looks at everything the agent needs, step by step: the configuration, the keys, what it keeps on disk, the queues,
and of each domain the names, connections, certificates, the logon, the clocks and the rights of the delegated
account. Each step passes, fails with its remedy, or is skipped because one before it failed.

With --user, it says whether each portal could have this user's password reset, and why not: the scope, what
protects the account, its state, the password policy that applies. It names causes that portals are not told.

Nothing is written anywhere, no message is taken, and a running agent is not disturbed. Run it as the account the
agent runs as. A wrong bind password is tried once more by it.

  writeback-agent check
  writeback-agent check --user ada@corp.example.com
  writeback-agent check --user 'CORP\ada' --json

Exit code: 0 nothing failed (warnings do not count), 1 something failed, 2 wrong arguments.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheck(cmd, user, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&user, "user", "", "a `user`: SID, objectGUID, DOMAIN\\name or user principal name")
	return cmd
}

func runCheck(cmd *cobra.Command, user string, asJSON bool) error {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	tell, done := progressOn(cmd.ErrOrStderr())
	var report check.Report
	if cmd.Flags().Changed("user") {
		subject, err := app.SubjectOf(user)
		if err != nil {
			return usageError{err, cmd.CommandPath()}
		}
		report = app.CheckUser(cmd.Context(), path, subject, tell)
	} else {
		report = app.Check(cmd.Context(), path, tell)
	}
	done()
	if err := printCheck(cmd.OutOrStdout(), report, asJSON); err != nil {
		return err
	}
	if !report.OK() {
		return exitError{exitFailure}
	}
	return nil
}

func printCheck(out io.Writer, report check.Report, asJSON bool) error {
	if asJSON {
		return printJSON(out, report)
	}
	return report.WriteTable(out, isTerminal(out))
}

// progressOn shows on a terminal what is looked at now, on one line that done removes; elsewhere nothing.
func progressOn(out io.Writer) (tell func(check.Probe), done func()) {
	const clearLine = "\r\x1b[K"
	if !isTerminal(out) {
		return nil, func() {}
	}
	return func(now check.Probe) {
			_, _ = fmt.Fprintf(out, "%schecking %s %s", clearLine, now.Component, now.Target)
		},
		func() { _, _ = io.WriteString(out, clearLine) }
}

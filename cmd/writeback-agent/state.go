package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/app"
)

func newState() *cobra.Command {
	return group("state", "Work with what this agent remembers", newStateAcceptClock())
}

func newStateAcceptClock() *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use: "accept-clock", Short: "Accept this host's clock although it was once far ahead", Args: noArguments,
		Long: `The agent remembers the highest time of this host that a domain controller has confirmed, and takes no request
while the clock is behind it: a clock that goes back lets old requests be valid again. Where clock and controller
were once far ahead together, and are right now, this takes the remembered time back to the present.

Use it only if you know why the clock was ahead. Requests that were served in that time could be accepted again.
The agent must not run. Without --confirm nothing is changed, and the remembered time is printed; repeat it to
confirm:

  writeback-agent state accept-clock --confirm 2031-01-31T12:00:00Z

The audit records it.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return acceptClock(cmd, confirm) },
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the remembered `time`, as the command prints it without this flag")
	return cmd
}

func acceptClock(cmd *cobra.Command, confirm string) (err error) {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	memory, err := ledger.Open(ctx, ledger.Options{Path: filepath.Join(cfg.StateDir, "ledger.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	highest, err := memory.HighestTime(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if confirm == "" {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Remembered: %s\nNow:        %s\n", told(highest), told(now))
		return err
	}
	confirmed, err := time.Parse(time.RFC3339, confirm)
	if err != nil {
		return usageError{fmt.Errorf("--confirm %s is no time like 2031-01-31T12:00:00Z", confirm), cmd.CommandPath()}
	}
	lines, err := audit.Open(ctx, audit.Options{Dir: cfg.Audit.Dir, MaxFileBytes: int64(cfg.Audit.MaxFileSize)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lines.Close()) }()
	if err := app.AcceptClock(ctx, memory, lines, confirmed, now); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Remembered now: %s. Start the agent.\n", told(now))
	return err
}

func told(at time.Time) string {
	if at.IsZero() {
		return "nothing"
	}
	return at.UTC().Format(time.RFC3339)
}

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/app"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Serve requests until stopped", Args: noArguments,
		Long: `Serves requests until it gets SIGINT or SIGTERM. Then it takes no further request, finishes those in hand within
relay.drain, and ends; a second signal ends it at once. Whatever is cut off is found out about at the next start.

The log goes to the standard error. The queue and the controllers need not be there at the start: what is missing is
shown by "writeback-agent status", and the agent goes on when it is back.

Exit code: 0 stopped, 1 failed, 2 faulty configuration: nothing was started.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd) },
	}
}

func serve(cmd *cobra.Command) error {
	cfg, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from the first signal on, a second one ends the process as usual
	agent, err := app.New(ctx, cfg, app.Options{Version: version, Log: cmd.ErrOrStderr()})
	if err != nil {
		return err
	}
	defer agent.Close()
	return agent.Run(ctx)
}

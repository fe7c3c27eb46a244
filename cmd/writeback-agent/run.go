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
relay.drain, and ends. Whatever is cut off is found out about at the next start.`,
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
	agent, err := app.New(ctx, cfg, app.Options{Version: version, Log: cmd.ErrOrStderr()})
	if err != nil {
		return err
	}
	defer agent.Close()
	return untilStopped(ctx, agent)
}

// untilStopped runs the agent; being stopped is not an error.
func untilStopped(ctx context.Context, agent *app.Agent) error {
	err := agent.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

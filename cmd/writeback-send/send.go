package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/requester"
)

// closeTimeout bounds the good-bye to the queue: the answer is there already.
const closeTimeout = 2 * time.Second

func newReset() *cobra.Command {
	var (
		link       connection
		who        person
		source     = newPassword()
		mustChange bool
		noUnlock   bool
	)
	cmd := &cobra.Command{
		Use: "reset", Short: "Set a new password for a user", Args: noArguments,
		Example: `  writeback-send reset --profile portal.json --upn ada@example.com
  writeback-send reset --profile portal.json --sid S-1-5-21-1-2-3-1104 --must-change --password-fd 0 <new-password`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			user, by, err := who.resolve()
			if err != nil {
				return err
			}
			client, hangUp, err := link.dial(cmd)
			if err != nil {
				return err
			}
			defer hangUp()
			password, err := source.read(cmd) // before the clock of --timeout starts
			if err != nil {
				return err
			}
			defer password.Destroy()
			return link.send(cmd, client, func(ctx context.Context, client *requester.Client) (requester.Result, error) {
				return client.Reset(ctx, requester.ResetRequest{User: user, Password: password, MustChange: mustChange, KeepLocked: noUnlock, By: by})
			})
		},
	}
	link.register(cmd)
	who.register(cmd)
	source.register(cmd)
	cmd.Flags().BoolVar(&mustChange, "must-change", false, "the user must choose another password at the next logon")
	cmd.Flags().BoolVar(&noUnlock, "no-unlock", false, "leave a locked account locked")
	return cmd
}

func newUnlock() *cobra.Command {
	return newQuestion(&cobra.Command{Use: "unlock", Short: "Unlock a user's account, password untouched"},
		func(ctx context.Context, client *requester.Client, user requester.Subject, by requester.Verification) (requester.Result, error) {
			return client.Unlock(ctx, requester.UnlockRequest{User: user, By: by})
		})
}

func newCheck() *cobra.Command {
	return newQuestion(&cobra.Command{
		Use: "check", Short: "Ask whether a user's password could be reset, without writing anything",
		Long: `Asks what a reset of the user would meet, whatever the new password, and writes nothing. Where nothing stands against it, the exit code is 0
and the answer says what the password must be like; otherwise it is the reason the reset would end with.`,
	}, func(ctx context.Context, client *requester.Client, user requester.Subject, by requester.Verification) (requester.Result, error) {
		return client.Check(ctx, requester.CheckRequest{User: user, By: by})
	})
}

// newQuestion makes a command that asks something about a user and needs no password.
func newQuestion(
	cmd *cobra.Command, ask func(context.Context, *requester.Client, requester.Subject, requester.Verification) (requester.Result, error),
) *cobra.Command {
	var (
		link connection
		who  person
	)
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		user, by, err := who.resolve()
		if err != nil {
			return err
		}
		client, hangUp, err := link.dial(cmd)
		if err != nil {
			return err
		}
		defer hangUp()
		return link.send(cmd, client, func(ctx context.Context, client *requester.Client) (requester.Result, error) {
			return ask(ctx, client, user, by)
		})
	}
	link.register(cmd)
	who.register(cmd)
	return cmd
}

func newPing() *cobra.Command {
	var link connection
	cmd := &cobra.Command{
		Use: "ping", Short: "Ask whether an agent is there and can open this portal's requests", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, hangUp, err := link.dial(cmd)
			if err != nil {
				return err
			}
			defer hangUp()
			return link.send(cmd, client, func(ctx context.Context, client *requester.Client) (requester.Result, error) { return client.Ping(ctx) })
		},
	}
	link.register(cmd)
	return cmd
}

// resolve makes the request's user and verification of the flags.
func (p *person) resolve() (requester.Subject, requester.Verification, error) {
	user, err := p.subject()
	if err != nil {
		return user, requester.Verification{}, err
	}
	by, err := p.verification(time.Now())
	return user, by, err
}

// question asks a client something.
type question func(context.Context, *requester.Client) (requester.Result, error)

// dial makes a client of profile and flags. The caller calls hangUp.
func (c *connection) dial(cmd *cobra.Command) (client *requester.Client, hangUp func(), err error) {
	joined, err := c.resolve()
	if err != nil {
		return nil, nil, err
	}
	config, err := joined.dialConfig()
	if err != nil {
		return nil, nil, err
	}
	client, err = requester.Dial(cmd.Context(), config)
	if err != nil {
		return nil, nil, err
	}
	return client, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), closeTimeout)
		defer cancel()
		_ = client.Close(ctx) // the answer is known, and nothing depends on the good-bye
	}, nil
}

// send asks, prints what came of it, and turns it into the exit code.
func (c *connection) send(cmd *cobra.Command, client *requester.Client, ask question) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	started := time.Now()
	stop := waiting(ctx, cmd)
	result, err := ask(ctx, client)
	stop()
	answer, isAnswer := newAnswer(result, err, time.Since(started))
	if !isAnswer {
		return err
	}
	if err := c.show(cmd.OutOrStdout(), answer); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if answer.Exit == exitDone {
		return nil
	}
	return exitError(answer.Exit)
}

// show prints an answer as the flags and the terminal want it.
func (c *connection) show(to io.Writer, answer answer) error {
	if c.json {
		return answer.printJSON(to)
	}
	return answer.print(to, paletteFor(to, os.Getenv))
}

// waiting shows progress to somebody who watches the standard error.
func waiting(ctx context.Context, cmd *cobra.Command) (stop func()) {
	if !isTerminal(cmd.ErrOrStderr()) {
		return func() {}
	}
	return showProgress(ctx, cmd.ErrOrStderr())
}

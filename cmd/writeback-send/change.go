package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/requester"
)

func newChange() *cobra.Command {
	var (
		link          connection
		who           person
		before, after = oldPassword(), newPassword()
	)
	cmd := &cobra.Command{
		Use: "change", Short: "Set a new password for a user who knows the old one", Args: noArguments,
		Long: `Sets a new password with the old one as proof. The directory applies its rules for users: history and minimum age, too. A wrong old
password counts as a failed attempt; the agent grants a user few of those.

The passwords are asked for on the terminal, or come each from a file or a file descriptor of its own.`,
		Example: `  writeback-send change --profile portal.json --upn ada@example.com
  writeback-send change --profile portal.json --upn ada@example.com --old-password-fd 3 3<old --password-fd 4 4<new`,
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
			old, next, err := readBoth(cmd, &before, &after) // before the clock of --timeout starts
			if err != nil {
				return err
			}
			defer old.Destroy()
			defer next.Destroy()
			return link.send(cmd, client, func(ctx context.Context, client *requester.Client) (requester.Result, error) {
				return client.Change(ctx, requester.ChangeRequest{User: user, OldPassword: old, Password: next, By: by})
			})
		},
	}
	link.register(cmd)
	who.register(cmd)
	before.register(cmd)
	after.register(cmd)
	return cmd
}

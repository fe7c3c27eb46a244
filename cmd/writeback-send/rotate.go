package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

func newKeysRotate() *cobra.Command {
	var (
		link      connection
		activate  bool
		algorithm string
	)
	cmd := &cobra.Command{
		Use: "rotate", Short: "Change this portal's signing key, in two steps and without an outage", Args: noArguments,
		Long: `Changes this portal's signing key:

  1. keys rotate makes the next key beside the one in use and enters it in the profile as next_key. The old key goes on signing.
     Give the agents both public halves (keys export) and let each of them accept the next one.
  2. keys rotate --activate asks an agent for an answer to the next key. Only if one answers does the profile change: the next key
     signs from now on. Where there are several agents, make sure beforehand that each accepts it: only one of them is asked.

The file of the old key stays. When all agents have dropped the old key, delete it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if activate {
				return activateKey(cmd, &link)
			}
			return prepareKey(cmd, link.path, algorithm)
		},
	}
	link.registerQueues(cmd)
	cmd.Flags().BoolVar(&activate, "activate", false, "let the next key sign, if an agent accepts it")
	registerAlgorithm(cmd, &algorithm)
	return required(cmd, "profile")
}

// prepareKey makes the next key.
func prepareKey(cmd *cobra.Command, path, algorithm string) error {
	stored, err := readProfile(path)
	if err != nil {
		return err
	}
	switch {
	case stored.Key == "":
		return usageError{"the profile names no key yet", "make one with writeback-send keys new, and enter it as key"}
	case stored.NextKey != "":
		return usageError{"a rotation is under way: the profile names a next_key", "end it with --activate; or remove next_key from the profile, and its file, to begin anew"}
	}
	key, err := generateKey(algorithm)
	if err != nil {
		return err
	}
	stored.NextKey = newKeyFile(stored.Key, key)
	if err := envelope.SaveKey(beside(path, stored.NextKey), key); err != nil {
		return usageError{err.Error(), "make the folder of the key writable"}
	}
	if err := stored.save(path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `next key %s in %s; the old one goes on signing
Now give the agents both public halves: writeback-send keys export --profile %s
When all of them accept it: writeback-send keys rotate --profile %s --activate
`, key.KeyID(), beside(path, stored.NextKey), path, path)
	return err
}

// activateKey lets the next key sign if an agent answers to it.
func activateKey(cmd *cobra.Command, link *connection) error {
	stored, err := readProfile(link.path)
	if err != nil {
		return err
	}
	if stored.NextKey == "" {
		return usageError{"there is no next key", "begin with writeback-send keys rotate --profile " + filepath.ToSlash(link.path)}
	}
	link.flags.Key = beside(link.path, stored.NextKey)
	client, hangUp, err := link.dial(cmd)
	if err != nil {
		return err
	}
	defer hangUp()
	if err := answersTo(cmd, link, client); err != nil {
		return err
	}
	old := stored.Key
	stored.Key, stored.NextKey = stored.NextKey, ""
	if err := stored.save(link.path); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s signs from now on\nLet the agents drop the old key, then delete %s.\n", client.Keys().SigningKey.KeyID(), beside(link.path, old))
	return err
}

// answersTo fails unless an agent answers to the client's key with an ok.
func answersTo(cmd *cobra.Command, link *connection, client *requester.Client) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), link.timeout)
	defer cancel()
	stop := waiting(ctx, cmd)
	result, err := client.Ping(ctx)
	stop()
	if err == nil && result.Outcome.Verdict == requester.OK {
		return nil
	}
	a, isAnswer := newAnswer(result, err, 0)
	if !isAnswer {
		return err
	}
	tell(cmd.ErrOrStderr(), "the old key stays: "+a.headline(palette{}), "make sure that the agents accept the next key and are running, then try again")
	return exitError(a.Exit)
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

func newKeysRotate() *cobra.Command {
	var (
		link     connection
		activate bool
		suite    string
	)
	cmd := &cobra.Command{
		Use: "rotate", Short: "Change this portal's signing key, in two steps and without an outage", Args: noArguments,
		Long: `Changes this portal's signing key:

  1. keys rotate makes the next key beside the one in use and enters it in the profile as next_key. The old key goes on signing.
     Let every agent accept the next one beside it (keys export here, writeback-agent keys trust there).
  2. keys rotate --activate asks an agent for an answer to the next key. Only if one answers does the profile change: the next key
     signs from now on. Where there are several agents, make sure beforehand that each accepts it: only one of them is asked.

The file of the old key stays. When all agents have dropped the old key, delete it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if activate {
				return activateKey(cmd, &link)
			}
			return prepareKey(cmd, link.path, suite)
		},
	}
	link.registerQueues(cmd)
	cmd.Flags().BoolVar(&activate, "activate", false, "let the next key sign, if an agent accepts it")
	cmd.Flags().StringVar(&suite, "suite", "", "algorithm of the next key: `ec-1` or rsa-1 (default: that of the old one)")
	return required(cmd, "profile")
}

// prepareKey makes the next key.
func prepareKey(cmd *cobra.Command, path, suite string) error {
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
	key, err := nextKey(beside(path, stored.Key), suite)
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
	file := beside(path, stored.NextKey)
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `next key %s in %s; the old one goes on signing
Now let every agent accept it beside the old one:
  writeback-send keys export --key %s > next.jwks
  writeback-agent keys trust next.jwks --issuer %s
Then: writeback-send keys rotate --profile %s --activate
`, key.KeyID(), file, file, stored.Issuer, path)
	return err
}

// nextKey makes a key of a suite; of the same one as the old key's where none is named.
func nextKey(old, suite string) (requester.PrivateKey, error) {
	if suite != "" {
		return generateKey(suite)
	}
	key, err := requester.LoadSigningKey(old)
	if err != nil {
		return key, err
	}
	return envelope.GenerateKey(key.Public().Algorithm())
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
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s signs from now on\nLet the agents drop the old key (writeback-agent keys trust --not-after, or keys revoke), then delete %s.\n", client.Keys().SigningKey.KeyID(), beside(link.path, old))
	return err
}

// answersTo fails unless an agent answers to the client's key with an ok.
func answersTo(cmd *cobra.Command, link *connection, client *requester.Client) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), link.timeout)
	defer cancel()
	started := time.Now()
	stop := waiting(ctx, cmd)
	result, err := client.Ping(ctx)
	stop()
	if err == nil && result.Outcome.Verdict == requester.OK {
		return nil
	}
	a, isAnswer := newAnswer(result, err, time.Since(started))
	if !isAnswer {
		return err
	}
	tell(cmd.ErrOrStderr(), "the old key stays: "+a.headline(palette{}), "make sure that the agents accept the next key and are running, then try again")
	return exitError(a.Exit)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeys() *cobra.Command {
	keys := &cobra.Command{
		Use: "keys", Short: "Make this portal's signing key, or export its public half", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(newKeysNew(), newKeysExport())
	return keys
}

func newKeysNew() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "new", Short: "Make this portal's signing key", Args: noArguments,
		Long: `Makes a new private signing key (ES256) in a file that only its owner can read. An existing file is never overwritten.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := envelope.GenerateSigningKey()
			if err != nil {
				return err
			}
			err = envelope.SaveKey(out, key)
			if errors.Is(err, fs.ErrExist) {
				return usageError{out + " is there already", "choose another --out: a key in use is never overwritten"}
			}
			if err != nil {
				return usageError{err.Error(), "choose another --out"}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "new signing key %s in %s\nNow give the agents its public half: writeback-send keys export --key %s\n", key.KeyID(), out, out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write the private key to")
	return required(cmd, "out")
}

func newKeysExport() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "export", Short: "Print the public half of the signing key as a JWK set", Args: noArguments,
		Long: `Prints the public half of the signing key as a JWK set (RFC 7517), for the agents' configuration.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := envelope.LoadKey(path)
			if err != nil {
				return err
			}
			set, err := envelope.EncodePublicKeys([]envelope.PublicKey{key.Public()}, "")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return err
		},
	}
	cmd.Flags().StringVar(&path, "key", "", "`file` with the private key")
	return required(cmd, "key")
}

// required refuses the command without the flag.
func required(cmd *cobra.Command, flag string) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flag(flag).Value.String() == "" {
			return usageError{"missing: --" + flag, fmt.Sprintf("see %s --help", cmd.CommandPath())}
		}
		return run(cmd, args)
	}
	return cmd
}

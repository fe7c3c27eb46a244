package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeys() *cobra.Command {
	return group("keys", "Work with this agent's keys", newKeysNew(), newKeysList(), newKeysExport())
}

func newKeysNew() *cobra.Command {
	return &cobra.Command{
		Use: "new", Short: "Make a sealing key and a signing key", Args: noArguments,
		Long: `Makes a key pair that opens requests sealed for this agent and one that signs its results, and stores them in
keys_dir (mode 0600). The private halves never leave this host. Earlier keys stay valid, the newest signing key signs;
a running agent has to be restarted to use new ones. Afterwards hand the public halves to the portal:

  writeback-agent keys export > agent.jwks

Of the configuration only group, agent, state_dir and keys_dir need to be right.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return makeKeys(cmd) },
	}
}

func makeKeys(cmd *cobra.Command) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	store, err := openStore(cfg.KeysDir)
	if err != nil {
		return err
	}
	var made []envelope.PrivateKey
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		key, err := store.Generate(use)
		if err != nil {
			return err
		}
		made = append(made, key)
	}
	if err := printKeys(cmd.OutOrStdout(), made); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nStored in %s.\nGive the portal their public halves: writeback-agent keys export > agent.jwks\n", cfg.KeysDir)
	return err
}

// openStore makes the folder of the keys, and what it is in, where they are missing: nobody but their owner may enter.
func openStore(directory string) (*envelope.KeyStore, error) {
	if err := os.MkdirAll(filepath.Dir(directory), 0o700); err != nil {
		return nil, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the folder for the keys cannot be made: %w", err),
			Hint: "Run this command as the account the agent runs as, or correct keys_dir or state_dir.",
		}
	}
	return envelope.OpenKeyStore(directory)
}

func newKeysExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print the public keys as a JWK set, for the portal", Args: noArguments,
		Long: `Prints the public halves of all keys as a JWK set (RFC 7517). It holds no secret, but hand it to the portal over a way
you trust: whoever can replace it on the way can read passwords.

  writeback-agent keys export > agent.jwks`,
		RunE: func(cmd *cobra.Command, _ []string) error { return exportKeys(cmd) },
	}
}

func exportKeys(cmd *cobra.Command) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	keys, err := app.Keys(cfg)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return app.NoKeys()
	}
	public := make([]envelope.PublicKey, 0, len(keys))
	for _, key := range keys {
		public = append(public, key.Public())
	}
	set, err := envelope.EncodePublicKeys(public, cfg.Group+"/"+cfg.Agent)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
	return err
}

func newKeysList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List this agent's keys", Args: noArguments,
		Long: `Lists this agent's keys, the newest first. All sealing keys open requests; the newest signing key signs results.
A key is named by its thumbprint (RFC 7638), as in every token and in the portal's copy.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return listKeys(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the public keys")
	return cmd
}

func listKeys(cmd *cobra.Command, asJSON bool) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	keys, err := app.Keys(cfg)
	if err != nil {
		return err
	}
	if asJSON {
		rows, err := app.Describe(keys)
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), rows)
	}
	if len(keys) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), `There are no keys yet: run "writeback-agent keys new".`)
		return err
	}
	return printKeys(cmd.OutOrStdout(), keys)
}

func printKeys(out io.Writer, keys []envelope.PrivateKey) error {
	rows, err := app.Describe(keys)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tUSE\tCREATED")
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", row.ID, row.Use, created(row))
	}
	return table.Flush()
}

func created(key status.Key) string {
	if key.Created.IsZero() {
		return "unknown"
	}
	return key.Created.UTC().Format(time.DateTime) + "Z"
}

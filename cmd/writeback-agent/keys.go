package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeys() *cobra.Command {
	return group("keys", "Work with this agent's keys", newKeysNew(), newKeysList(), newKeysExport())
}

func newKeysNew() *cobra.Command {
	return &cobra.Command{
		Use: "new", Short: "Make a sealing key and a signing key", Args: noArguments,
		Long: `Makes a key pair that opens requests sealed for this agent and one that signs its results, and stores them in keys_dir
(mode 0600). The private halves never leave this host. Earlier keys stay valid; the newest signing key is used.
Afterwards hand the public halves to the portal: writeback-agent keys export.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return newKeyPairs(cmd) },
	}
}

func newKeyPairs(cmd *cobra.Command) error {
	_, store, err := openKeys(cmd)
	if err != nil {
		return err
	}
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		key, err := store.Generate(use)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "new %s key %s\n", useName(use), key.KeyID()); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), `Give the portal the public halves: writeback-agent keys export > agent.jwks`)
	return err
}

func newKeysExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print the public keys as a JWK set, for the portal", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, store, err := openKeys(cmd)
			if err != nil {
				return err
			}
			set, err := store.PublicSet(cfg.Group + "/" + cfg.Agent)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return err
		},
	}
}

func newKeysList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List this agent's keys", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, store, err := openKeys(cmd)
			if err != nil {
				return err
			}
			keys, err := store.List()
			if err != nil {
				return err
			}
			return printKeys(cmd.OutOrStdout(), keys, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// keyRow is one line of "keys list".
type keyRow struct {
	KeyID   string    `json:"kid"`
	Use     string    `json:"use"`
	Created time.Time `json:"created,omitzero"`
}

func printKeys(out io.Writer, keys []envelope.PrivateKey, asJSON bool) error {
	rows := make([]keyRow, 0, len(keys))
	for _, key := range keys {
		rows = append(rows, keyRow{KeyID: key.KeyID(), Use: useName(key.Public().Use()), Created: key.Created()})
	}
	if asJSON {
		return json.NewEncoder(out).Encode(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, `There are no keys yet: run "writeback-agent keys new".`)
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tUSE\tCREATED")
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", row.KeyID, row.Use, created(row.Created))
	}
	return table.Flush()
}

func created(at time.Time) string {
	if at.IsZero() {
		return "unknown"
	}
	return at.UTC().Format("2006-01-02 15:04 MST")
}

func useName(use envelope.Use) string {
	if use == envelope.UseSeal {
		return "sealing"
	}
	return "signing"
}

// openKeys needs only names and places from the configuration: keys are made before the rest of it can be complete.
func openKeys(cmd *cobra.Command) (*config.Config, *envelope.KeyStore, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, nil, err
	}
	cfg, err := config.LoadIdentity(path)
	if err != nil {
		return nil, nil, err
	}
	store, err := envelope.OpenKeyStore(cfg.KeysDir)
	return cfg, store, err
}

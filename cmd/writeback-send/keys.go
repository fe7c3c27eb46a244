package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

func newKeys() *cobra.Command {
	keys := &cobra.Command{
		Use: "keys", Short: "Make, list, export and change this portal's signing key", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	keys.AddCommand(newKeysNew(), newKeysList(), newKeysExport(), newKeysRotate())
	return keys
}

func newKeysNew() *cobra.Command {
	var out, suite string
	cmd := &cobra.Command{
		Use: "new", Short: "Make this portal's signing key", Args: noArguments,
		Long: `Makes a new private signing key in a file that only its owner can read. An existing file is never overwritten.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := makeKey(out, suite)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "new signing key %s in %s\nNow give the agents its public half: writeback-send keys export --key %s\n", key.KeyID(), out, out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write the private key to")
	cmd.Flags().StringVar(&suite, "suite", suiteEC, "algorithm of the key: `ec-1` (ES256) or rsa-1 (PS256); see docs/protocol.md")
	return required(cmd, "out")
}

// The suites of docs/protocol.md, as far as they concern a key that signs requests.
const (
	suiteEC  = "ec-1"  // ES256
	suiteRSA = "rsa-1" // PS256
)

// generateKey makes a signing key of a suite.
func generateKey(suite string) (envelope.PrivateKey, error) {
	switch suite {
	case suiteEC:
		return envelope.GenerateKey(envelope.ES256)
	case suiteRSA:
		return envelope.GenerateKey(envelope.PS256)
	}
	return envelope.PrivateKey{}, usageError{"--suite names none", "use ec-1, or rsa-1 for a portal that cannot sign with ES256"}
}

// makeKey makes a signing key and stores it in a new file.
func makeKey(out, suite string) (envelope.PrivateKey, error) {
	key, err := generateKey(suite)
	if err != nil {
		return envelope.PrivateKey{}, err
	}
	err = envelope.SaveKey(out, key)
	if errors.Is(err, fs.ErrExist) {
		return key, usageError{out + " is there already", "choose another --out: a key in use is never overwritten"}
	}
	if err != nil {
		return key, usageError{err.Error(), "choose another --out"}
	}
	return key, nil
}

// ownKeys are the flags that name keys of this portal.
type ownKeys struct {
	profile string
	files   []string
}

func (o *ownKeys) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.profile, "profile", "", "JSON `file` that names the key in use, and the next one")
	cmd.Flags().StringSliceVar(&o.files, "key", nil, "`file` with a private key; may be repeated")
}

// ownKey is a key of this portal and what it is there for.
type ownKey struct {
	file, state string
	key         requester.PrivateKey
}

// load reads the keys, the one in use first.
func (o *ownKeys) load() ([]ownKey, error) {
	if (o.profile == "") == (len(o.files) == 0) {
		return nil, usageError{"one of --profile and --key is needed, and not both", "give the --profile for the key in use and the next one, or each file as --key"}
	}
	var keys []ownKey
	for _, file := range o.files {
		keys = append(keys, ownKey{file: file})
	}
	if o.profile != "" {
		loaded, err := loadProfile(o.profile)
		if err != nil {
			return nil, err
		}
		keys = []ownKey{{file: loaded.Key, state: "active"}, {file: loaded.NextKey, state: "next"}}
		if loaded.NextKey == "" {
			keys = keys[:1]
		}
	}
	for i := range keys {
		var err error
		if keys[i].key, err = requester.LoadSigningKey(keys[i].file); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func newKeysList() *cobra.Command {
	var own ownKeys
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List this portal's keys", Args: noArguments,
		Long: `Lists this portal's keys. The active one signs; the next one will, after keys rotate --activate. A key is named by its thumbprint (RFC 7638), as
in every token and in the agents' copy.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := own.load()
			if err != nil {
				return err
			}
			if asJSON {
				return printKeysJSON(cmd.OutOrStdout(), keys)
			}
			return printKeys(cmd.OutOrStdout(), keys)
		},
	}
	own.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printKeys(out io.Writer, keys []ownKey) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tALGORITHM\tCREATED\tSTATE\tFILE")
	for _, own := range keys {
		created, state := "unknown", "-"
		if at := own.key.Created(); !at.IsZero() {
			created = at.UTC().Format(time.DateTime) + "Z"
		}
		if own.state != "" {
			state = own.state
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", own.key.KeyID(), own.key.Public().Algorithm(), created, state, own.file)
	}
	return table.Flush()
}

// listedKey is a key as JSON.
type listedKey struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	Created   time.Time `json:"created,omitzero"`
	State     string    `json:"state,omitempty"` // active or next; absent without a profile
	File      string    `json:"file"`
}

func printKeysJSON(out io.Writer, keys []ownKey) error {
	rows := make([]listedKey, 0, len(keys))
	for _, own := range keys {
		rows = append(rows, listedKey{
			ID: own.key.KeyID(), Algorithm: string(own.key.Public().Algorithm()), Created: own.key.Created().UTC(), State: own.state, File: own.file,
		})
	}
	return json.NewEncoder(out).Encode(map[string]any{"keys": rows})
}

func newKeysExport() *cobra.Command {
	var own ownKeys
	cmd := &cobra.Command{
		Use: "export", Short: "Print the public half of the signing key as a JWK set", Args: noArguments,
		Long: `Prints the public halves as a JWK set (RFC 7517), for the agents. With --profile it holds the next key as well, if there is one; with --key
only the keys that are named, as writeback-agent keys trust wants it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := own.load()
			if err != nil {
				return err
			}
			var public []envelope.PublicKey
			for _, own := range keys {
				public = append(public, own.key.Public())
			}
			set, err := envelope.EncodePublicKeys(public, "")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return err
		},
	}
	own.register(cmd)
	return cmd
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

// newKeyFile names the file of a key that is made beside another. The word in front keeps a thumbprint's "-" from the beginning, where
// programs would take it for an option.
func newKeyFile(beside string, key requester.PrivateKey) string {
	return filepath.Join(filepath.Dir(beside), "signing-"+key.KeyID()+".jwk")
}

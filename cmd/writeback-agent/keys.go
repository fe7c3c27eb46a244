package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeys() *cobra.Command {
	return group("keys", "Work with this agent's keys and those of the portals",
		newKeysNew(), newKeysList(), newKeysExport(), newKeysRotate(), newKeysTrust(), newKeysRevoke())
}

func newKeysNew() *cobra.Command {
	var suite string
	cmd := &cobra.Command{
		Use: "new", Short: "Make this agent's first sealing key and signing key", Args: noArguments,
		Long: `Makes a key pair that opens requests sealed for this agent and one that signs its results, and stores them in
keys_dir (mode 0600). The private halves never leave this host. Where a key is there already, it is left alone: "keys
rotate" replaces keys without an outage. Afterwards hand the public halves to the portal:

  writeback-agent keys export > agent.jwks

Of the configuration only group, agent, state_dir and keys_dir need to be right.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return makeKeys(cmd, suite) },
	}
	cmd.Flags().StringVar(&suite, "suite", defaultSuite, "algorithms: `ec-1` or rsa-1; see docs/protocol.md")
	return cmd
}

// defaultSuite is the suite of new keys.
const defaultSuite = "ec-1"

// algorithms returns a suite's algorithms, by use.
func algorithms(cmd *cobra.Command, suite string) (map[envelope.Use]envelope.Algorithm, error) {
	switch suite {
	case "ec-1":
		return map[envelope.Use]envelope.Algorithm{envelope.UseSeal: envelope.ECDHES, envelope.UseSign: envelope.ES256}, nil
	case "rsa-1":
		return map[envelope.Use]envelope.Algorithm{envelope.UseSeal: envelope.RSAOAEP256, envelope.UseSign: envelope.PS256}, nil
	}
	return nil, usageError{fmt.Errorf("unknown suite %q: there are ec-1 and rsa-1", suite), cmd.CommandPath()}
}

// bothUses are the uses of an agent's keys, in the order in which they are made.
func bothUses() []envelope.Use { return []envelope.Use{envelope.UseSeal, envelope.UseSign} }

func makeKeys(cmd *cobra.Command, suite string) error {
	algorithm, err := algorithms(cmd, suite)
	if err != nil {
		return err
	}
	work, err := beginKeys(cmd)
	if err != nil {
		return err
	}
	usable, lacking := work.files.Usable(time.Now()), []envelope.Use{}
	if len(usable.Opening) == 0 {
		lacking = append(lacking, envelope.UseSeal)
	}
	if usable.Signing.IsZero() {
		lacking = append(lacking, envelope.UseSign)
	}
	if len(lacking) == 0 {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("this agent has its keys already"),
			Hint: `Run "writeback-agent keys rotate" to replace them without an outage.`,
		}
	}
	for _, use := range lacking {
		if _, err := work.store.Make(algorithm[use], envelope.KeyLife{}); err != nil {
			return err
		}
	}
	if err := work.show(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nStored in %s.\nGive the portal their public halves: writeback-agent keys export > agent.jwks\n", work.cfg.KeysDir)
	return work.end(err)
}

// keyWork is one command's work on the keys.
type keyWork struct {
	cmd   *cobra.Command
	cfg   *config.Config
	store envelope.KeyVault
	trust *envelope.TrustStore
	files app.KeyFiles
}

// beginKeys opens both stores, makes them where they are missing, deletes what has expired, and reads what is left.
func beginKeys(cmd *cobra.Command) (*keyWork, error) {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return nil, err
	}
	work := &keyWork{cmd: cmd, cfg: cfg}
	for _, directory := range []string{cfg.KeysDir, app.TrustDir(cfg)} {
		// Nobody but their owner may enter, what they are in included.
		if err := os.MkdirAll(filepath.Dir(directory), 0o700); err != nil {
			return nil, &writeback.Error{
				Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the folder for the keys cannot be made: %w", err),
				Hint: "Run this command as the account the agent runs as, or correct keys_dir or state_dir.",
			}
		}
	}
	if work.store, err = envelope.OpenKeyStore(cfg.KeysDir); err != nil {
		return nil, err
	}
	if work.trust, err = envelope.OpenTrustStore(app.TrustDir(cfg)); err != nil {
		return nil, err
	}
	if err := work.read(); err != nil {
		return nil, err
	}
	if _, err := work.files.RemoveDead(cfg, time.Now()); err != nil {
		return nil, err
	}
	return work, work.read()
}

func (w *keyWork) read() (err error) {
	w.files, err = app.ReadKeyFiles(w.cfg)
	return err
}

// show prints the agent's own keys as they are now.
func (w *keyWork) show() error {
	if err := w.read(); err != nil {
		return err
	}
	rows, err := w.files.Describe(time.Now())
	if err != nil {
		return err
	}
	return printKeys(w.cmd.OutOrStdout(), rows)
}

func newKeysExport() *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print the public keys as a JWK set, for the portal", Args: noArguments,
		Long: `Prints the public halves of all keys that are valid, or will be, as a JWK set (RFC 7517). It holds no secret, but
hand it to the portal over a way you trust: whoever can replace it on the way can read passwords.

  writeback-agent keys export > agent.jwks`,
		RunE: func(cmd *cobra.Command, _ []string) error { return exportKeys(cmd) },
	}
}

func exportKeys(cmd *cobra.Command) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	files, err := app.ReadKeyFiles(cfg)
	if err != nil {
		return err
	}
	for _, key := range files.Own {
		if key.Fault != nil && !files.Trust.IsRevoked(key.ID) {
			return key.Fault
		}
	}
	public := files.Usable(time.Now()).Public
	if len(public) == 0 {
		return app.NoKeys()
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
		Use: "list", Short: "List this agent's keys, and those of the portals", Args: noArguments,
		Long: `Lists this agent's keys, the newest first, the portals' keys, and what was revoked. A key is named by its
thumbprint (RFC 7638), as in every token. Its state:

  next      handed out, but it does not sign yet
  active    in use, without an end
  retiring  in use until it expires
  retired   expired; deleted soon
  revoked   taken out of use before its time
  broken    its file cannot be used`,
		RunE: func(cmd *cobra.Command, _ []string) error { return listKeys(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the public keys")
	return cmd
}

// keyList is what "keys list --json" prints.
type keyList struct {
	Keys    []status.Key        `json:"keys"`
	Trusted []status.TrustedKey `json:"trusted"`
	Revoked []status.RevokedKey `json:"revoked"`
}

func listKeys(cmd *cobra.Command, asJSON bool) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	files, err := app.ReadKeyFiles(cfg)
	if err != nil {
		return err
	}
	now := time.Now()
	list := keyList{Trusted: append([]status.TrustedKey{}, files.DescribeTrusted(app.ConfiguredKeys(cfg, nil), now)...), Revoked: files.DescribeRevoked()}
	if list.Keys, err = files.Describe(now); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	return printList(cmd.OutOrStdout(), list)
}

func printList(out io.Writer, list keyList) error {
	if len(list.Keys) == 0 {
		_, _ = fmt.Fprintln(out, `There are no keys yet: run "writeback-agent keys new".`)
	} else if err := printKeys(out, list.Keys); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(list.Trusted) > 0 {
		_, _ = fmt.Fprintln(table, "\nPORTAL'S KEY\tISSUER\tSTATE\tEXPIRES\tFROM")
	}
	for _, key := range list.Trusted {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Issuer, key.State, moment(key.Expires, "never"), key.Source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(list.Revoked) > 0 {
		_, _ = fmt.Fprintln(table, "\nREVOKED\tON\tREASON")
	}
	for _, key := range list.Revoked {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", key.ID, moment(key.At, "unknown"), key.Reason)
	}
	return table.Flush()
}

func printKeys(out io.Writer, rows []status.Key) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tUSE\tSTATE\tCREATED\tSIGNS\tEXPIRES")
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.ID, row.Use, row.State, moment(row.Created, "unknown"), signs(row), moment(row.Expires, "never"))
	}
	return table.Flush()
}

// signs says since when or from when on a key signs.
func signs(key status.Key) string {
	switch {
	case key.Signs:
		return "now"
	case key.State == string(envelope.KeyNext):
		return "from " + moment(key.ActiveFrom, "")
	case key.Use == "signing" && key.State != string(envelope.KeyBroken):
		return "no more"
	}
	return "-"
}

func moment(at time.Time, none string) string {
	if at.IsZero() || at.Unix() <= 0 {
		return none
	}
	return at.UTC().Format(time.DateTime) + "Z"
}

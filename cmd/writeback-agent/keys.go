package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
			Reason: writeback.AgentMisconfigured, Cause: errors.New("this agent has its keys already"),
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

// Waiting for a running agent to take over a change.
const (
	takeOverWithin = 10 * time.Second
	takeOverLook   = 100 * time.Millisecond
)

// end says whether the running agent has taken the change over.
func (w *keyWork) end(err error) error {
	if err != nil {
		return err
	}
	if w.cfg.Status.Socket == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(w.cmd.Context(), takeOverWithin)
	defer cancel()
	for {
		report, err := status.Fetch(ctx, w.cfg.Status.Socket)
		var silence *status.FetchError
		if errors.As(err, &silence) && silence.Absent() {
			_, err = fmt.Fprintf(w.cmd.OutOrStdout(), "No running agent answers; it reads its keys when it starts. (%v)\n", silence.Cause)
			return err
		}
		wanted, readErr := app.KeyGeneration(w.cfg)
		if readErr != nil {
			return readErr
		}
		if err == nil && report.KeyFiles.Generation == wanted {
			_, err = fmt.Fprintln(w.cmd.OutOrStdout(), "The running agent has taken it over.")
			return err
		}
		select {
		case <-ctx.Done():
			return &writeback.Error{
				Reason: writeback.AgentInternal, Cause: fmt.Errorf("the change is stored, but the running agent has not confirmed within %s that it counts", takeOverWithin),
				Hint: `Look at "writeback-agent status", condition keys; restart the agent if it works with another state_dir or keys_dir.`,
			}
		case <-time.After(takeOverLook):
		}
	}
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

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// pinning is what the command line says.
type pinning struct{ issuer, thumbprint, notAfter string }

func newKeysTrust() *cobra.Command {
	var p pinning
	cmd := &cobra.Command{
		Use: "trust FILE", Short: "Let a portal sign requests with a key",
		Args: exactly("a file with the portal's public key"),
		Long: `Pins a portal's public signing key (JWK, or JWK set with one key), beside those the portal has already. A running
agent takes it over without a restart. Whoever gets a key of his own pinned can ask for resets: compare the
thumbprint with what the portal's owner says, over another way than the file came. It is asked for on the
terminal, or given with --thumbprint.

To replace a portal's key: pin the new one, let the portal sign with it, then give the old one an end with
--not-after, or revoke it. Pinning a key again changes its end.`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&p.issuer, "issuer", "", "the portal's `id` in the configuration (issuers[].id)")
	cmd.Flags().StringVar(&p.thumbprint, "thumbprint", "", "the key's RFC 7638 `thumbprint`, as the portal's owner says")
	cmd.Flags().StringVar(&p.notAfter, "not-after", "", "when the key ends: a `time` (2027-01-31, RFC 3339, or 720h from now; default: never)")
	return cmd
}

// exactly demands one argument, and says which.
func exactly(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("%q needs %s, and nothing else", strings.TrimPrefix(cmd.CommandPath(), "writeback-agent "), what), cmd.CommandPath()}
	}
}

func (p pinning) run(cmd *cobra.Command, path string) error {
	now := time.Now().Truncate(time.Second)
	expires, err := endOf(p.notAfter, now)
	if err != nil {
		return usageError{err, cmd.CommandPath()}
	}
	work, err := beginKeys(cmd)
	if err != nil {
		return err
	}
	if err := knownIssuer(work.cfg, p.issuer); err != nil {
		return err
	}
	key, err := onlyKey(path)
	if err != nil {
		return err
	}
	if err := p.nobodyElses(work.cfg, key); err != nil {
		return err
	}
	if err := p.confirm(cmd, key); err != nil {
		return err
	}
	if err := work.trust.Pin(p.issuer, key, now, expires); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The portal %s may sign with %s. The key expires: %s.\n", p.issuer, key.KeyID(), moment(expires, "never"))
	return work.end(err)
}

// endOf reads a time or a duration; nothing is the zero time.
func endOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	end, err := time.Parse(time.DateOnly, text)
	if err != nil {
		end, err = time.Parse(time.RFC3339, text)
	}
	if life, alsoBad := time.ParseDuration(text); err != nil && alsoBad == nil {
		end, err = now.Add(life), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is no time: write 2027-01-31, 2027-01-31T12:00:00Z or 720h", text)
	case !end.After(now):
		return time.Time{}, fmt.Errorf("%s is not in the future", moment(end, text))
	}
	return end, nil
}

func knownIssuer(cfg *config.Config, issuer string) error {
	var known []string
	for _, one := range cfg.Issuers {
		known = append(known, one.ID)
	}
	if slices.Contains(known, issuer) {
		return nil
	}
	problem := fmt.Errorf("the configuration knows no portal %q (--issuer)", issuer)
	if issuer == "" {
		problem = errors.New("which portal the key is of is not said (--issuer)")
	}
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: problem,
		Hint: fmt.Sprintf("The configuration knows: %s. Name one of them, or add the portal to issuers first.", strings.Join(known, ", ")),
	}
}

func onlyKey(path string) (envelope.PublicKey, error) {
	keys, err := envelope.LoadPublicKeys(path)
	if err != nil {
		return envelope.PublicKey{}, err
	}
	if len(keys) != 1 {
		return envelope.PublicKey{}, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("%s holds %d keys", path, len(keys)), Hint: "Pin one key at a time, so that each is compared.",
		}
	}
	return keys[0], nil
}

// nobodyElses refuses a key that the configuration pins for another portal.
func (p pinning) nobodyElses(cfg *config.Config, key envelope.PublicKey) error {
	for issuer, keys := range app.ConfiguredKeys(cfg, nil) {
		if issuer != p.issuer && slices.ContainsFunc(keys, func(k envelope.PublicKey) bool { return k.KeyID() == key.KeyID() }) {
			return &writeback.Error{
				Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the key %s belongs to the issuer %q", key.KeyID(), issuer),
				Hint: "Have the portal make a key of its own: one key never belongs to two.",
			}
		}
	}
	return nil
}

// confirm has the administrator say that the thumbprint is right.
func (p pinning) confirm(cmd *cobra.Command, key envelope.PublicKey) error {
	switch {
	case p.thumbprint == key.KeyID():
		return nil
	case p.thumbprint != "":
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the file holds the key %s, not %s", key.KeyID(), p.thumbprint),
			Hint: "Do not pin it before you know why: ask the portal's owner for the thumbprint, over another way than the file came.",
		}
	}
	question := fmt.Sprintf("Key of the portal %s: %s\nIs this the thumbprint that the portal's owner says? Type yes to pin it: ", p.issuer, key.KeyID())
	return confirmed(cmd, question, "--thumbprint "+key.KeyID())
}

// confirmed asks on the terminal. Where there is none, a flag has to say it.
func confirmed(cmd *cobra.Command, question, flag string) error {
	input, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(input.Fd())) {
		return usageError{fmt.Errorf("there is no terminal to ask on: confirm with %s", flag), cmd.CommandPath()}
	}
	_, _ = fmt.Fprint(cmd.ErrOrStderr(), question)
	answer, err := bufio.NewReader(io.LimitReader(input, 64)).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return usageError{errors.New("not confirmed: nothing was changed"), cmd.CommandPath()}
	}
	return nil
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeysRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke KEY", Short: "Take a key out of use at once and for good", Args: exactly("the thumbprint of a key, or the beginning of one"),
		Long: `Revokes any key that "keys list" shows, by its thumbprint or a beginning of it (six characters at least) that
fits no other: a portal's, wherever it is pinned, or one of this agent's own, which is deleted. A running agent takes
it over without a restart; a request in hand is finished unless it has waited for a second. A revoked key never comes
back. A key that nobody here knows yet can be revoked by its whole thumbprint.

The last key of its kind of this agent is not revoked before there is another one: run "keys rotate" first, then revoke
the old keys, and hand the new set to the portals. A thumbprint that begins with "-" is written after "--".`,
		RunE: func(cmd *cobra.Command, args []string) error { return revoke(cmd, args[0], reason) },
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in one line, for whoever looks at the list")
	return cmd
}

func revoke(cmd *cobra.Command, prefix, reason string) error {
	work, err := beginKeys(cmd)
	if err != nil {
		return err
	}
	id, err := work.find(prefix)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := work.notTheLast(id, now); err != nil {
		return err
	}
	before := work.revokedAt(id)
	if err := work.trust.Revoke(id, now, reason); err != nil {
		return err
	}
	// The revocation is on disk: from here on the key is dead, whatever becomes of its file.
	if err := work.read(); err != nil {
		return err
	}
	if _, err := work.files.RemoveDead(work.cfg, now); err != nil {
		return err
	}
	said := "is revoked."
	if !before.IsZero() {
		said = fmt.Sprintf("was revoked at %s already; its reason stays.", moment(before, ""))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The key %s %s\n", id, said)
	if ends := work.endsOf(id); err == nil && ends != "" {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), ends)
	}
	return work.end(err)
}

// revokedAt returns when a key was revoked; zero if it is not, or nobody knows.
func (w *keyWork) revokedAt(id string) time.Time {
	for _, revoked := range w.files.Trust.Revoked {
		if revoked.ID == id {
			return revoked.At
		}
	}
	return time.Time{}
}

// shortestBeginning keeps a slip of the keyboard from taking a key out of use for good.
const shortestBeginning = 6

// find completes the beginning of a thumbprint.
func (w *keyWork) find(prefix string) (string, error) {
	var fits []string
	for _, key := range w.files.Own {
		fits = append(fits, key.ID)
	}
	for _, key := range w.files.DescribeTrusted(app.ConfiguredKeys(w.cfg, nil), time.Now()) {
		fits = append(fits, key.ID)
	}
	for _, key := range w.files.Trust.Revoked {
		fits = append(fits, key.ID)
	}
	fits = slices.DeleteFunc(fits, func(id string) bool { return !strings.HasPrefix(id, prefix) })
	slices.Sort(fits)
	fits = slices.Compact(fits)
	const whole = 43 // characters of a SHA-256 in base64url
	switch {
	case len(prefix) < shortestBeginning:
		return "", unfound(fmt.Errorf("%q is too short: a revocation cannot be taken back", prefix))
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) == 0 && len(prefix) == whole:
		return prefix, nil
	case len(fits) == 0:
		return "", unfound(fmt.Errorf("no key begins with %q", prefix))
	}
	return "", unfound(fmt.Errorf("%q fits more than one key: %s", prefix, strings.Join(fits, ", ")))
}

func unfound(cause error) error {
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: cause, Hint: `Name a key as "writeback-agent keys list" shows it, or so much of it, six characters at least, that it fits no other.`,
	}
}

// notTheLast refuses to take the agent's only key of a use.
func (w *keyWork) notTheLast(id string, now time.Time) error {
	if !slices.ContainsFunc(w.files.Usable(now).Public, hasID(id)) {
		return nil
	}
	without := w.files
	without.Own = slices.Clone(w.files.Own)
	without.Own = slices.DeleteFunc(without.Own, isKey(id))
	if left := without.Usable(now); len(left.Opening) > 0 && !left.Signing.IsZero() {
		return nil
	}
	return &writeback.Error{
		Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("%s is this agent's only key of its kind: without it no request can be served", id),
		Hint: `Run "writeback-agent keys rotate" first, then revoke the old key, and give every portal the new set (keys export).`,
	}
}

// endsOf says what a revocation means for whoever used the key.
func (w *keyWork) endsOf(id string) string {
	if trusted, found := w.files.Trust.Find(id); found {
		return fmt.Sprintf("What the portal %s signs with it is refused.", trusted.Issuer)
	}
	for issuer, keys := range app.ConfiguredKeys(w.cfg, nil) {
		if slices.ContainsFunc(keys, hasID(id)) {
			return fmt.Sprintf("What the portal %s signs with it is refused. Take its file out of issuers[].keys when you next change the configuration.", issuer)
		}
	}
	return "If it was this agent's, give every portal the new set: writeback-agent keys export > agent.jwks"
}

func isKey(id string) func(envelope.StoredKey) bool {
	return func(k envelope.StoredKey) bool { return k.ID == id }
}

func hasID(id string) func(envelope.PublicKey) bool {
	return func(k envelope.PublicKey) bool { return k.KeyID() == id }
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// Overlaps of old and new keys.
const (
	standardOverlap  = 30 * 24 * time.Hour
	shortestOverlap  = 2 * time.Hour // results are delivered for an hour, and half of it must pass before a new key signs
	longestOverlap   = 2 * 365 * 24 * time.Hour
	overlapBounds    = "2h to 17520h" // the two above, as people write them
	useBoth          = "both"
	handOverByExport = "Give every portal the new set now: writeback-agent keys export > agent.jwks\n"
)

// rotation is what the command line says.
type rotation struct {
	use, suite string
	overlap    time.Duration
	activate   bool
}

func newKeysRotate() *cobra.Command {
	var r rotation
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace this agent's keys without an outage", Args: noArguments,
		Long: `Makes new keys and lets those before them expire one overlap later. A running agent takes it over at once, without a
restart. Then, within half of the overlap, give every portal the new set:

  writeback-agent keys export > agent.jwks

A new sealing key opens requests from the first moment. A new signing key signs after half of the overlap, when
the portals have it; --activate lets it sign at once, when you know that all of them do. Expired keys are deleted
for good.

A key that was stolen is not rotated but revoked: "keys revoke".`,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	cmd.Flags().StringVar(&r.use, "use", useBoth, "which keys: `sealing`, signing or both")
	cmd.Flags().StringVar(&r.suite, "suite", "", "algorithms of the new keys: `ec-1` or rsa-1 (default: those of the old ones)")
	cmd.Flags().DurationVar(&r.overlap, "overlap", standardOverlap, "how long the old keys stay valid, "+overlapBounds)
	cmd.Flags().Lookup("overlap").DefValue = "720h, 30 days"
	cmd.Flags().BoolVar(&r.activate, "activate", false, "make nothing new, but let the next signing key sign now")
	return cmd
}

func (r rotation) run(cmd *cobra.Command) error {
	uses, err := r.check(cmd)
	if err != nil {
		return err
	}
	work, err := beginKeys(cmd)
	if err != nil {
		return err
	}
	if r.activate {
		return r.activateNext(work)
	}
	now := time.Now().Truncate(time.Second)
	if err := r.possible(work, uses, now); err != nil {
		return err
	}
	for _, use := range uses {
		if err := r.replace(work, use, now); err != nil {
			return err
		}
	}
	if err := work.show(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%sThe old keys stay valid until %s.\n", handOverByExport, moment(now.Add(r.overlap), ""))
	if err == nil && slices.Contains(uses, envelope.UseSign) {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The new signing key signs from %s; earlier with: writeback-agent keys rotate --activate\n", moment(now.Add(r.overlap/2), ""))
	}
	return work.end(err)
}

// check judges the command line.
func (r rotation) check(cmd *cobra.Command) ([]envelope.Use, error) {
	wrong := func(format string, args ...any) error {
		return usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
	}
	if r.overlap < shortestOverlap || r.overlap > longestOverlap {
		return nil, wrong("an overlap is %s long, not %s", overlapBounds, r.overlap)
	}
	if r.suite != "" {
		if _, err := algorithms(cmd, r.suite); err != nil {
			return nil, err
		}
	}
	switch r.use {
	case useBoth:
		return bothUses(), nil
	case "sealing":
		return []envelope.Use{envelope.UseSeal}, nil
	case "signing":
		return []envelope.Use{envelope.UseSign}, nil
	}
	return nil, wrong("unknown use %q: there are sealing, signing and both", r.use)
}

// possible refuses a rotation before another one has come to its end, and one of keys that are not there.
func (r rotation) possible(work *keyWork, uses []envelope.Use, now time.Time) error {
	if lack := work.files.Usable(now); len(lack.Opening) == 0 || lack.Signing.IsZero() {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: errors.New("there is no key to replace"),
			Hint: `Run "writeback-agent keys new": it makes the keys that are missing.`,
		}
	}
	for _, key := range work.files.Own {
		if key.Fault != nil && !work.files.Trust.IsRevoked(key.ID) {
			return key.Fault
		}
		if slices.Contains(uses, envelope.UseSign) && work.files.StateOf(key, now) == envelope.KeyNext {
			return &writeback.Error{
				Reason: writeback.AgentMisconfigured,
				Cause:  fmt.Errorf("a rotation is under way: the key %s signs from %s", key.ID, moment(key.Life.ActiveFrom, "")),
				Hint:   "When all portals have the exported set, run: writeback-agent keys rotate --activate; then rotate again.",
			}
		}
	}
	return nil
}

// replace makes a key, and then gives those before it an end. In this order a process that dies in between leaves one key too many.
func (r rotation) replace(work *keyWork, use envelope.Use, now time.Time) error {
	algorithm, err := r.algorithm(work, use)
	if err != nil {
		return err
	}
	life := envelope.KeyLife{}
	if use == envelope.UseSign {
		life.ActiveFrom = now.Add(r.overlap / 2)
	}
	if _, err := work.store.Make(algorithm, life); err != nil {
		return err
	}
	for _, key := range work.files.Own {
		if key.Use != use || work.files.StateOf(key, now) != envelope.KeyActive {
			continue
		}
		key.Life.Expires = now.Add(r.overlap)
		if err := work.store.SetLife(key, key.Life); err != nil {
			return err
		}
	}
	return nil
}

// algorithm is that of the newest key, unless the command line says otherwise.
func (r rotation) algorithm(work *keyWork, use envelope.Use) (envelope.Algorithm, error) {
	if r.suite != "" {
		all, err := algorithms(work.cmd, r.suite)
		return all[use], err
	}
	usable := work.files.Usable(time.Now())
	if use == envelope.UseSeal {
		return usable.Opening[0].Public().Algorithm(), nil
	}
	return usable.Signing.Public().Algorithm(), nil
}

// activateNext lets the signing keys that are next sign from now on.
func (r rotation) activateNext(work *keyWork) error {
	now, found := time.Now().Truncate(time.Second), false
	for _, key := range work.files.Own {
		if work.files.StateOf(key, now) != envelope.KeyNext {
			continue
		}
		found = true
		key.Life.ActiveFrom = now
		if err := work.store.SetLife(key, key.Life); err != nil {
			return err
		}
	}
	if !found {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: errors.New("no signing key waits to be used"),
			Hint: `Look at "writeback-agent keys list"; "writeback-agent keys rotate" makes new keys.`,
		}
	}
	return work.end(work.show())
}

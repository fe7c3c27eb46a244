package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// When keys are looked at, and warned about.
const (
	keyPeriod   = time.Second          // a revocation counts within this time
	keyWarning  = 14 * 24 * time.Hour  // before a key expires or begins to sign
	keyAge      = 365 * 24 * time.Hour // after which a key should be replaced
	retireEvery = time.Minute          // how often dead keys are deleted
)

// watchKeys takes over what changes in the key files, and deletes dead keys, until ctx ends.
func (a *Agent) watchKeys(ctx context.Context) {
	tick := time.NewTicker(keyPeriod)
	defer tick.Stop()
	var retired time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if a.keyring.refresh() {
			a.judgeKeys()
			a.recordKeys(ctx)
			retired = time.Time{}
		}
		if now := time.Now(); now.Sub(retired) >= retireEvery {
			retired = now
			a.retireKeys(ctx, now)
		}
	}
}

// recordKeys tells log and audit which keys count from now on.
func (a *Agent) recordKeys(ctx context.Context) {
	set := a.keyring.current.Load()
	note := set.String()
	a.log.WithField("generation", set.files.Generation).Info("the keys have changed: " + note)
	if err := a.audit.Append(ctx, audit.Event{Kind: audit.KindKeys, Note: note}); err != nil && ctx.Err() == nil {
		logging.WithError(a.log, err).Warn("the change of keys is not in the audit")
	}
}

// String names the keys that count; the audit cuts it where there are very many.
func (s *keyset) String() string {
	var opening, portals []string
	for _, key := range s.own.Opening {
		opening = append(opening, key.KeyID())
	}
	for issuer, keys := range s.usable {
		for _, key := range keys {
			portals = append(portals, issuer+" "+key.KeyID())
		}
	}
	slices.Sort(portals)
	return fmt.Sprintf("signs %s; opens %s; portals %s; %d revoked", s.own.Signing.KeyID(), strings.Join(opening, ", "), strings.Join(portals, ", "), len(s.files.Trust.Revoked))
}

// retireKeys deletes keys that were revoked or have expired. That cannot be undone, so it goes by the time that a controller has
// confirmed: a host whose clock is years ahead must not lose keys that are still needed.
func (a *Agent) retireKeys(ctx context.Context, now time.Time) {
	confirmed, err := a.ledger.HighestTime(ctx)
	if err != nil {
		return
	}
	if confirmed.After(now) {
		confirmed = now
	}
	removed, err := a.keyring.current.Load().files.RemoveDead(a.cfg, confirmed)
	if err != nil {
		logging.WithError(a.log, err).Warn("a key that is no longer valid could not be deleted")
	}
	for _, id := range removed {
		a.log.WithField("kid", id).Info("a key that is no longer valid was deleted")
		if err := a.audit.Append(ctx, audit.Event{Kind: audit.KindKeys, Note: "deleted " + id}); err != nil && ctx.Err() == nil {
			logging.WithError(a.log, err).Warn("the deletion of a key is not in the audit")
		}
	}
}

// warning is something about keys that an administrator should do.
type warning struct{ message, remedy string }

// judgeKeys brings the condition of the keys up to date. Without a key to open or sign with, the intake is closed: the queue
// keeps the requests for other agents.
func (a *Agent) judgeKeys() {
	set := a.keyring.current.Load()
	if set.lack != "" {
		err := missing(set.lack)
		var typed *writeback.Error
		if errors.As(err, &typed) {
			a.board.Set(health.Keys, health.Down, set.lack, typed.Remedy())
		}
		return
	}
	warnings := set.warnings(a.keyring.now())
	if len(warnings) == 0 {
		a.board.Clear(health.Keys)
		return
	}
	var messages []string
	for _, w := range warnings {
		messages = append(messages, w.message)
	}
	a.board.Set(health.Keys, health.Degraded, strings.Join(messages, "; "), warnings[0].remedy)
}

// warnings lists what should be done about keys, the most urgent first.
func (s *keyset) warnings(now time.Time) []warning {
	var all []warning
	if s.failed != nil {
		all = append(all, warningOf("the key files cannot be read, and the keys known before go on: ", s.failed))
	}
	for _, problem := range s.problems {
		all = append(all, warningOf("", problem))
	}
	all = append(all, s.portalWarnings(now)...)
	for _, key := range s.files.Own {
		if w, due := s.ownWarning(key, now); due {
			all = append(all, w)
		}
	}
	return all
}

func warningOf(prefix string, err error) warning {
	w := warning{message: prefix + err.Error(), remedy: "Look at the files of the keys."}
	var typed *writeback.Error
	if errors.As(err, &typed) {
		w.remedy = typed.Remedy()
		if typed.Cause != nil {
			w.message = prefix + typed.Cause.Error()
		}
	}
	return w
}

// portalWarnings names the portals whose last key ends soon, or has ended.
func (s *keyset) portalWarnings(now time.Time) []warning {
	var all []warning
	for _, issuer := range issuersOf(s.usable) {
		remedy := fmt.Sprintf("Get the portal's next public key and pin it: writeback-agent keys trust --issuer %s FILE.", issuer)
		keys := s.usable[issuer]
		last, endless := time.Time{}, false
		for _, key := range keys {
			stored, found := s.files.Trust.Find(key.KeyID())
			endless = endless || !found || stored.Issuer != issuer || stored.Expires.IsZero()
			if stored.Expires.After(last) {
				last = stored.Expires
			}
		}
		switch {
		case len(keys) == 0:
			all = append(all, warning{fmt.Sprintf("the portal %s has no valid key: its requests are refused", issuer), remedy})
		case !endless && last.Sub(now) <= keyWarning:
			all = append(all, warning{fmt.Sprintf("the last key of the portal %s expires on %s", issuer, inDays(last)), remedy})
		}
	}
	return all
}

func issuersOf(usable map[string][]envelope.PublicKey) []string {
	var all []string
	for issuer := range usable {
		all = append(all, issuer)
	}
	slices.Sort(all)
	return all
}

// ownWarning warns of what is to come for one of the agent's own keys.
func (s *keyset) ownWarning(key envelope.StoredKey, now time.Time) (warning, bool) {
	const handOver = "Make sure that every portal has what \"writeback-agent keys export\" prints now."
	name := useInWords(key.Use) + " key " + key.ID
	switch state := s.files.StateOf(key, now); {
	case state == envelope.KeyNext && key.Life.ActiveFrom.Sub(now) <= keyWarning:
		return warning{fmt.Sprintf("the %s begins to sign on %s", name, inDays(key.Life.ActiveFrom)), handOver}, true
	case state == envelope.KeyRetiring && key.Life.Expires.Sub(now) <= keyWarning:
		return warning{fmt.Sprintf("the %s expires on %s", name, inDays(key.Life.Expires)), handOver}, true
	case state == envelope.KeyActive && !key.Key.Created().IsZero() && now.Sub(key.Key.Created()) > keyAge:
		return warning{fmt.Sprintf("the %s is older than a year", name), "Run \"writeback-agent keys rotate\", and give every portal what \"writeback-agent keys export\" prints then."}, true
	}
	return warning{}, false
}

func inDays(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") + "Z" }

// reportKeys fills in what the status shows about keys.
func (a *Agent) reportKeys(report *status.Report) {
	set, now := a.keyring.current.Load(), a.keyring.now()
	if keys, err := set.files.Describe(now); err == nil {
		report.Keys = keys
	}
	report.Trusted = set.files.DescribeTrusted(a.keyring.configured, now)
	report.KeyFiles = status.KeyFiles{Generation: set.files.Generation, Loaded: set.loaded}
}

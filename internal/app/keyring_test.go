package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// ringed is a keyring of an installation, on a clock that moves when told, with a portal's requests to try it with.
type ringed struct {
	*installation
	now   time.Time
	ring  app.Keyring
	keys  *envelope.KeyStore
	trust *envelope.TrustStore
}

func ring(t *testing.T) *ringed {
	t.Helper()
	r := &ringed{installation: install(t), now: time.Now().Truncate(time.Second)}
	var err error
	r.keys, err = envelope.OpenKeyStore(r.path("state/keys"))
	check(t, err)
	r.trust, err = envelope.OpenTrustStore(r.path("state/trust"))
	check(t, err)
	r.ring, err = app.NewKeyring(r.config(t), func() time.Time { return r.now })
	check(t, err)
	return r
}

// token makes a request that a portal signs with a key, and seals for keys of the agent.
func (r *ringed) token(t *testing.T, key envelope.PrivateKey, sealFor ...envelope.PublicKey) []byte {
	t.Helper()
	forge := envelopetest.Portal{Issuer: lab.Issuer, Group: lab.Group, SigningKey: key, Recipients: sealFor}
	draft := forge.Draft()
	newPassword().Use(func(b []byte) {
		draft = draft.For(writeback.OpReset, map[string]any{"upn": "ada@corp.example.com"}, string(b))
	})
	draft.Claims["act"] = map[string]any{"kind": string(writeback.ActorSelf)}
	token, err := forge.Token(draft)
	check(t, err)
	return token
}

// sealing returns the key that the installation began with.
func (r *ringed) sealing(t *testing.T) envelope.StoredKey {
	t.Helper()
	return r.only(t, envelope.UseSeal)
}

func (r *ringed) only(t *testing.T, use envelope.Use) envelope.StoredKey {
	t.Helper()
	keys, err := r.keys.Scan()
	check(t, err)
	for _, key := range keys {
		if key.Use == use {
			return key
		}
	}
	t.Fatalf("no key of the use %s", use)
	return envelope.StoredKey{}
}

// try returns the reason with which a request fails, empty for none.
func (r *ringed) try(token []byte) writeback.Reason {
	signed, err := r.ring.Verify(token)
	if err == nil {
		_, err = signed.Open()
	}
	if err == nil {
		return ""
	}
	return writeback.ReasonOf(err)
}

func (r *ringed) wantReason(t *testing.T, what string, token []byte, want writeback.Reason) {
	t.Helper()
	if got := r.try(token); got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func portalKey(t *testing.T) envelope.PrivateKey {
	t.Helper()
	key, err := envelope.GenerateSigningKey()
	check(t, err)
	return key
}

// signedBy returns whose signature a result carries: the first of the keys that verifies it.
func (r *ringed) signedBy(t *testing.T, keys ...envelope.StoredKey) string {
	t.Helper()
	request := writeback.RequestKey{Issuer: lab.Issuer, ID: envelope.NewID()}
	token, err := r.ring.Sign(writeback.Result{
		Audience: request.Issuer, RequestID: request.ID, Outcome: writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK},
	})
	check(t, err)
	for _, key := range keys {
		verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
			Issuer: lab.Issuer, Agents: map[string][]envelope.PublicKey{lab.Group + "/" + lab.AgentName: {key.Key.Public()}},
		})
		check(t, err)
		if _, err := verifier.Verify(token); err == nil {
			return key.ID
		}
	}
	return "none"
}

func TestARevokedPortalKeyIsRefusedAndNothingElse(t *testing.T) {
	t.Parallel()
	r := ring(t)
	sealing, second := r.sealing(t).Key.Public(), portalKey(t)
	check(t, r.trust.Pin(lab.Issuer, second.Public(), r.now, time.Time{}))
	if !r.ring.Refresh() || r.ring.Refresh() {
		t.Error("a change is not noticed, or noticed twice")
	}
	first, other := r.token(t, r.site.PortalKey, sealing), r.token(t, second, sealing)
	inHand, err := r.ring.Verify(first)
	check(t, err)
	r.wantReason(t, "the configuration's key", first, "")
	r.wantReason(t, "the store's key", other, "")
	check(t, r.trust.Revoke(r.site.PortalKey.KeyID(), r.now, "")) // wins over the configuration
	r.ring.Refresh()
	r.wantReason(t, "the revoked key", first, writeback.EnvelopeUntrustedIssuer)
	r.wantReason(t, "the other key", other, "")
	if _, err := inHand.Open(); err != nil {
		t.Errorf("a request in hand is not finished: %v", err)
	}
	check(t, r.trust.Revoke(second.KeyID(), r.now, ""))
	r.ring.Refresh()
	r.wantReason(t, "the other key, revoked", other, writeback.EnvelopeUntrustedIssuer)
	r.wantWarning(t, "the portal "+lab.Issuer+" has no valid key", lab.Issuer)
}

// wantWarning looks at the condition of the keys: none where text is empty.
func (r *ringed) wantWarning(t *testing.T, text, remedy string) {
	t.Helper()
	board := health.New(time.Now)
	r.ring.Judge(board)
	all := board.Snapshot()
	switch {
	case text == "" && len(all) == 0:
	case text == "" || len(all) != 1:
		t.Errorf("conditions: %+v, want %q", all, text)
	case !strings.Contains(all[0].Message, text) || !strings.Contains(all[0].Remedy, remedy):
		t.Errorf("message %q, remedy %q; want %q, %q", all[0].Message, all[0].Remedy, text, remedy)
	}
}

func TestAPinnedKeyEndsWhenItsTimeHasCome(t *testing.T) {
	t.Parallel()
	r := ring(t)
	sealing, second := r.sealing(t).Key.Public(), portalKey(t)
	check(t, r.trust.Pin(lab.Issuer, r.site.PortalKey.Public(), r.now, r.now.Add(time.Hour)))
	check(t, r.trust.Pin(lab.Issuer, second.Public(), r.now, r.now.Add(90*24*time.Hour)))
	r.ring.Refresh()
	old, young := r.token(t, r.site.PortalKey, sealing), r.token(t, second, sealing)
	r.wantWarning(t, "", "")
	r.now = r.now.Add(time.Hour - time.Second)
	r.ring.Refresh()
	r.wantReason(t, "a second before", old, "")
	r.now = r.now.Add(time.Second)
	if !r.ring.Refresh() {
		t.Error("the end is not noticed")
	}
	r.wantReason(t, "at the end", old, writeback.EnvelopeUntrustedIssuer)
	r.wantReason(t, "the other", young, "")
	r.now = r.now.Add(80 * 24 * time.Hour)
	r.ring.Refresh()
	r.wantWarning(t, "the last key of the portal "+lab.Issuer+" expires on ", "keys trust --issuer")
}

func TestTheAgentsKeysChangePlacesByThemselves(t *testing.T) {
	t.Parallel()
	r := ring(t)
	oldSeal, oldSign := r.sealing(t), r.only(t, envelope.UseSign)
	newSeal, err := r.keys.Make(envelope.ECDHES, envelope.KeyLife{})
	check(t, err)
	newSign, err := r.keys.Make(envelope.ES256, envelope.KeyLife{ActiveFrom: r.now.Add(15 * 24 * time.Hour)})
	check(t, err)
	end := envelope.KeyLife{Expires: r.now.Add(30 * 24 * time.Hour)}
	check(t, r.keys.SetLife(oldSeal, end))
	check(t, r.keys.SetLife(oldSign, end))
	r.ring.Refresh()
	r.wantWarning(t, "", "") // both are further away than two weeks
	toOld, toNew, toBoth := r.token(t, r.site.PortalKey, oldSeal.Key.Public()), r.token(t, r.site.PortalKey, newSeal.Key.Public()),
		r.token(t, r.site.PortalKey, oldSeal.Key.Public(), newSeal.Key.Public())
	begin := r.now
	for _, step := range []struct {
		days    int
		old     writeback.Reason
		signs   string
		warning string
	}{
		{0, "", oldSign.ID, ""},
		{2, "", oldSign.ID, "the signing key " + newSign.ID + " begins to sign on "},
		{15, "", newSign.ID, ""},
		{17, "", newSign.ID, "the sealing key " + oldSeal.ID + " expires on "},
		{30, writeback.EnvelopeNotForUs, newSign.ID, ""},
		{400, writeback.EnvelopeNotForUs, newSign.ID, "is older than a year"},
	} {
		r.now = begin.Add(time.Duration(step.days) * 24 * time.Hour)
		r.ring.Refresh()
		r.wantReason(t, "sealed for the old key", toOld, step.old)
		r.wantReason(t, "sealed for the new key", toNew, "")
		r.wantReason(t, "sealed for both", toBoth, "")
		if got := r.signedBy(t, oldSign, newSign); got != step.signs {
			t.Errorf("day %d: signed by %s, want %s", step.days, got, step.signs)
		}
		r.wantWarning(t, step.warning, "keys export")
	}
}

func TestABrokenFileCostsOnlyItsKey(t *testing.T) {
	t.Parallel()
	r := ring(t)
	first := r.sealing(t)
	second, err := r.keys.Make(envelope.ECDHES, envelope.KeyLife{})
	check(t, err)
	r.ring.Refresh()
	toFirst, toSecond := r.token(t, r.site.PortalKey, first.Key.Public()), r.token(t, r.site.PortalKey, second.Key.Public())
	r.wantReason(t, "the first", toFirst, "")
	r.write(t, "state/keys/sealing-"+first.ID+".jwk", "{")
	r.ring.Refresh()
	r.wantReason(t, "the first, broken", toFirst, writeback.EnvelopeNotForUs)
	r.wantReason(t, "the second", toSecond, "")
	r.wantWarning(t, "sealing-"+first.ID+".jwk", "backup")
	r.write(t, "state/trust/key-"+first.ID+".json", "{")
	r.write(t, "state/trust/revoked-"+second.ID+".json", "")
	r.ring.Refresh()
	r.wantReason(t, "an empty revocation revokes", toSecond, writeback.EnvelopeNotForUs)
	// Nothing opens any more: the gate closes, and comes back with a key.
	board := health.New(time.Now)
	r.ring.Judge(board)
	if board.Overall() != health.Down || board.Gate().Open() {
		t.Errorf("without a sealing key: %+v", board.Snapshot())
	}
	third, err := r.keys.Make(envelope.ECDHES, envelope.KeyLife{})
	check(t, err)
	r.ring.Refresh()
	r.ring.Judge(board)
	if !board.Gate().Open() {
		t.Error("the gate stays closed")
	}
	r.wantReason(t, "the third", r.token(t, r.site.PortalKey, third.Key.Public()), "")
}

func TestKeysThatCannotBeReadGoOnAndStillEnd(t *testing.T) {
	t.Parallel()
	r := ring(t)
	sealing := r.sealing(t).Key.Public()
	check(t, r.trust.Pin(lab.Issuer, r.site.PortalKey.Public(), r.now, r.now.Add(time.Hour)))
	r.ring.Refresh()
	token := r.token(t, r.site.PortalKey, sealing)
	r.openToAll(t, "state/trust")
	if !r.ring.Refresh() {
		t.Error("not noticed")
	}
	r.wantReason(t, "before the end", token, "")
	r.wantWarning(t, "the key files cannot be read", "chmod 700")
	r.now = r.now.Add(time.Hour)
	r.ring.Refresh()
	r.wantReason(t, "after the end", token, writeback.EnvelopeUntrustedIssuer)
	check(t, os.Chmod(r.path("state/trust"), 0o700))
	r.ring.Refresh()
	r.wantWarning(t, "has no valid key", "keys trust")
}

func TestNobodyElsesKeyIsTaken(t *testing.T) {
	t.Parallel()
	r := ring(t)
	stranger := portalKey(t)
	check(t, r.trust.Pin("stranger", stranger.Public(), r.now, time.Time{})) // no issuer of the configuration
	check(t, r.trust.Pin("stranger", r.site.PortalKey.Public(), r.now, time.Time{}))
	r.ring.Refresh()
	sealing := r.sealing(t).Key.Public()
	r.wantReason(t, "a key of no issuer", r.token(t, stranger, sealing), writeback.EnvelopeUntrustedIssuer)
	r.wantReason(t, "the configuration's key", r.token(t, r.site.PortalKey, sealing), "")
	r.wantWarning(t, "is pinned for the issuer stranger and belongs to", "Revoke the key")
}

func TestDeadKeysAreDeleted(t *testing.T) {
	t.Parallel()
	r := ring(t)
	expired, err := r.keys.Make(envelope.ECDHES, envelope.KeyLife{Expires: r.now.Add(time.Hour)})
	check(t, err)
	revoked, err := r.keys.Make(envelope.ECDHES, envelope.KeyLife{})
	check(t, err)
	check(t, r.trust.Revoke(revoked.ID, r.now, ""))
	cfg := r.config(t)
	files, err := app.ReadKeyFiles(cfg)
	check(t, err)
	removed, err := files.RemoveDead(cfg, r.now.Add(time.Hour-time.Second))
	check(t, err)
	if !slices.Equal(removed, []string{revoked.ID}) {
		t.Errorf("removed %v, want only the revoked one", removed)
	}
	removed, err = files.RemoveDead(cfg, r.now.Add(time.Hour))
	check(t, err)
	if !slices.Contains(removed, expired.ID) {
		t.Errorf("removed %v, want the expired one", removed)
	}
	left, err := filepath.Glob(r.path("state/keys/sealing-*"))
	check(t, err)
	if len(left) != 1 || !strings.Contains(left[0], r.public[0].KeyID()) && !strings.Contains(left[0], r.public[1].KeyID()) {
		t.Errorf("left: %v", left)
	}
}

// A host whose clock is far ahead uses its keys no longer, and does not delete them: that goes by the time that a controller confirmed.
func TestKeysAreDeletedByConfirmedTimeOnly(t *testing.T) {
	t.Parallel()
	in := install(t)
	store, err := envelope.OpenKeyStore(in.path("state/keys"))
	check(t, err)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	key, err := store.Make(envelope.ECDHES, envelope.KeyLife{Expires: end})
	check(t, err)
	agent, err := in.open(t)
	check(t, err)
	defer agent.Close()
	for _, step := range []struct {
		now, confirmed time.Time
		there          bool
	}{
		{end.Add(time.Hour), time.Time{}, true},
		{end.Add(time.Hour), end.Add(-time.Minute), true},
		{end.Add(-time.Minute), end.Add(time.Hour), true}, // the clock went back: it is not over yet
		{end.Add(time.Hour), end.Add(time.Hour), false},
	} {
		check(t, app.RetireKeys(t.Context(), agent, step.now, step.confirmed))
		_, err := os.Stat(in.path("state/keys/sealing-" + key.ID + ".jwk"))
		if there := err == nil; there != step.there {
			t.Errorf("now %s, confirmed %s: there %t, want %t", step.now, step.confirmed, there, step.there)
		}
	}
}

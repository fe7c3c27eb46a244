package envelope_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func at(minutes int) time.Time {
	return time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

func newStore(t *testing.T) (*envelope.KeyStore, string) {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "keys")
	store, err := envelope.OpenKeyStore(directory)
	must(t, err)
	return store, directory
}

func scan(t *testing.T, store *envelope.KeyStore) map[string]envelope.StoredKey {
	t.Helper()
	keys, err := store.Scan()
	must(t, err)
	byID := map[string]envelope.StoredKey{}
	for _, key := range keys {
		byID[key.ID] = key
	}
	return byID
}

func TestAKeysLifeIsKeptBesideIt(t *testing.T) {
	store, directory := newStore(t)
	life := envelope.KeyLife{ActiveFrom: at(0), Expires: at(60)}
	key, err := store.Make(envelope.ES256, life)
	must(t, err)
	same := func(what string, want envelope.KeyLife) {
		t.Helper()
		got := scan(t, store)[key.ID]
		if got.Fault != nil || !got.Life.ActiveFrom.Equal(want.ActiveFrom) || !got.Life.Expires.Equal(want.Expires) {
			t.Errorf("%s: %+v, %v", what, got.Life, got.Fault)
		}
	}
	same("made", life)
	must(t, store.SetLife(key, envelope.KeyLife{Expires: at(90)}))
	same("changed", envelope.KeyLife{Expires: at(90)})
	must(t, store.SetLife(key, envelope.KeyLife{}))
	must(t, store.SetLife(key, envelope.KeyLife{}))
	same("without end", envelope.KeyLife{})
	if err := store.SetLife(key, envelope.KeyLife{ActiveFrom: at(1), Expires: at(1)}); err == nil {
		t.Error("a key that expires before it is active was stored")
	}
	must(t, store.Remove(key))
	must(t, store.Remove(key))
	left, err := os.ReadDir(directory)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNamesOfKeyFilesAreSafeForShells(t *testing.T) {
	store, directory := newStore(t)
	for _, use := range []envelope.Use{envelope.UseSeal, envelope.UseSign} {
		_, err := store.Generate(use)
		must(t, err)
	}
	names, err := os.ReadDir(directory)
	must(t, err)
	for _, name := range names {
		if strings.HasPrefix(name.Name(), "-") || !strings.HasPrefix(name.Name(), "sealing-") && !strings.HasPrefix(name.Name(), "signing-") {
			t.Errorf("a file is named %s", name.Name())
		}
	}
}

func TestABrokenKeyIsTheOnlyOneThatIsLost(t *testing.T) {
	good := envelope.KeyLife{Expires: at(1)}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"the key":          func(t *testing.T, path string) { must(t, os.WriteFile(path+".jwk", []byte("{}"), 0o600)) },
		"another's key":    func(t *testing.T, path string) { must(t, os.Rename(path+".jwk", swapUse(path)+".jwk")) },
		"life: not JSON":   func(t *testing.T, path string) { must(t, os.WriteFile(path+".json", []byte("{"), 0o600)) },
		"life: a stranger": life(`{"version":1,"expires":9,"x":1}`),
		"life: twice":      life(`{"version":1,"expires":9,"expires":99}`),
		"life: newer":      life(`{"version":2,"expires":9}`),
		"life: no version": life(`{"expires":9}`),
		"life: a text":     life(`{"version":1,"expires":"9"}`),
		"life: trailing":   life(`{"version":1}x`),
		"life: too long":   life(`{"version":1}` + strings.Repeat(" ", 64<<10)),
	} {
		store, directory := newStore(t)
		sound, err := store.Make(envelope.ECDHES, good)
		must(t, err)
		broken, err := store.Make(envelope.ECDHES, good)
		must(t, err)
		spoil(t, filepath.Join(directory, "sealing-"+broken.ID))
		keys := scan(t, store)
		if len(keys) != 2 || keys[sound.ID].Fault != nil {
			t.Errorf("%s: the other key: %+v", name, keys[sound.ID].Fault)
		}
		fault := keys[broken.ID].Fault
		if writeback.ReasonOf(fault) != writeback.AgentMisconfigured || !keys[broken.ID].Key.IsZero() {
			t.Errorf("%s: %v", name, fault)
		}
		all, err := store.Scan()
		must(t, err)
		set := envelope.SelectKeys(all, nil, at(0))
		if len(set.Opening) != 1 || set.Opening[0].KeyID() != sound.ID || len(set.Public) != 1 {
			t.Errorf("%s: %d open, %d exported", name, len(set.Opening), len(set.Public))
		}
	}
}

func life(text string) func(t *testing.T, path string) {
	return func(t *testing.T, path string) { must(t, os.WriteFile(path+".json", []byte(text), 0o600)) }
}

func swapUse(path string) string { return strings.Replace(path, "sealing-", "signing-", 1) }

// TestWhatAKeyIsGoodForAtATime walks a rotation minute by minute: there is always a key that signs, it is exported before, and what is
// exported can be opened.
func TestWhatAKeyIsGoodForAtATime(t *testing.T) {
	store, _ := newStore(t)
	made := map[string]string{}
	for name, k := range map[string]struct {
		alg  envelope.Algorithm
		life envelope.KeyLife
	}{
		"old seal": {envelope.ECDHES, envelope.KeyLife{Expires: at(60)}}, "new seal": {envelope.ECDHES, envelope.KeyLife{}},
		"old sign": {envelope.ES256, envelope.KeyLife{Expires: at(60)}}, "new sign": {envelope.ES256, envelope.KeyLife{ActiveFrom: at(30)}},
		"old seal, revoked": {envelope.ECDHES, envelope.KeyLife{}}, "old sign, revoked": {envelope.ES256, envelope.KeyLife{ActiveFrom: at(-5)}},
	} {
		key, err := store.Make(k.alg, k.life)
		must(t, err)
		made[key.ID] = name
	}
	keys, err := store.Scan()
	must(t, err)
	revoked := func(id string) bool { return strings.HasSuffix(made[id], "revoked") }
	names := func(ids ...string) string {
		var all []string
		for _, want := range []string{"old seal", "new seal", "old sign", "new sign", "old seal, revoked", "old sign, revoked"} {
			for _, id := range ids {
				if made[id] == want {
					all = append(all, want)
				}
			}
		}
		return strings.Join(all, ", ")
	}
	// Creation stands in for a missing ActiveFrom, and these were made today: far before 2030.
	for _, want := range []struct {
		at                  time.Time
		signs, opens, given string
		until               time.Time
	}{
		{at(0), "old sign", "old seal, new seal", "old seal, new seal, old sign, new sign", at(30)},
		{at(30).Add(-time.Second), "old sign", "old seal, new seal", "old seal, new seal, old sign, new sign", at(30)},
		{at(30), "new sign", "old seal, new seal", "old seal, new seal, old sign, new sign", at(60)},
		{at(60).Add(-time.Second), "new sign", "old seal, new seal", "old seal, new seal, old sign, new sign", at(60)},
		{at(60), "new sign", "new seal", "new seal, new sign", time.Time{}},
	} {
		set := envelope.SelectKeys(keys, revoked, want.at)
		var opens, given []string
		for _, key := range set.Opening {
			opens = append(opens, key.KeyID())
		}
		for _, key := range set.Public {
			given = append(given, key.KeyID())
		}
		got := []string{made[set.Signing.KeyID()], names(opens...), names(given...), set.Until.UTC().String()}
		if diff := cmp.Diff([]string{want.signs, want.opens, want.given, want.until.UTC().String()}, got); diff != "" {
			t.Errorf("at %s: signs, opens, exported, until (-want +got):\n%s", want.at, diff)
		}
	}
}

func TestWhereNothingIsActiveTheFirstToComeSigns(t *testing.T) {
	store, _ := newStore(t)
	var first envelope.StoredKey
	for _, minute := range []int{40, 20, 30} {
		key, err := store.Make(envelope.ES256, envelope.KeyLife{ActiveFrom: at(minute)})
		must(t, err)
		if minute == 20 {
			first = key
		}
	}
	keys, err := store.Scan()
	must(t, err)
	if got := envelope.SelectKeys(keys, nil, at(0)).Signing.KeyID(); got != first.ID {
		t.Errorf("%s signs", got)
	}
	if set := envelope.SelectKeys(nil, nil, at(0)); !set.Signing.IsZero() || len(set.Opening) != 0 {
		t.Error("no keys, and yet some")
	}
}

func TestAKeyThatIsLetSignAtOnceSigns(t *testing.T) {
	for range 8 { // either may come first by its thumbprint
		store, _ := newStore(t)
		old, err := store.Make(envelope.ES256, envelope.KeyLife{Expires: at(60)})
		must(t, err)
		key, err := store.Make(envelope.ES256, envelope.KeyLife{ActiveFrom: old.Key.Created()})
		must(t, err)
		keys, err := store.Scan()
		must(t, err)
		if got := envelope.SelectKeys(keys, nil, at(0)).Signing.KeyID(); got != key.ID {
			t.Fatal("the old key signs")
		}
	}
}

func TestTheStatesOfAKey(t *testing.T) {
	for name, c := range map[string]struct {
		life envelope.KeyLife
		want envelope.KeyState
	}{
		"without end":     {envelope.KeyLife{}, envelope.KeyActive},
		"not yet":         {envelope.KeyLife{ActiveFrom: at(1)}, envelope.KeyNext},
		"since now":       {envelope.KeyLife{ActiveFrom: at(0)}, envelope.KeyActive},
		"for a while":     {envelope.KeyLife{Expires: at(1)}, envelope.KeyRetiring},
		"until now":       {envelope.KeyLife{Expires: at(0)}, envelope.KeyRetired},
		"it never signed": {envelope.KeyLife{ActiveFrom: at(-2), Expires: at(-1)}, envelope.KeyRetired},
	} {
		if got := c.life.State(at(0)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAnExpiredKeyIsNotExported(t *testing.T) {
	store, _ := newStore(t)
	_, err := store.Make(envelope.ECDHES, envelope.KeyLife{Expires: time.Now().Add(-time.Second)})
	must(t, err)
	kept, err := store.Make(envelope.ECDHES, envelope.KeyLife{Expires: time.Now().Add(time.Hour)})
	must(t, err)
	set, err := store.PublicSet(agentName)
	must(t, err)
	public, err := envelope.ParsePublicKeys(set)
	must(t, err)
	if len(public) != 1 || public[0].KeyID() != kept.ID {
		t.Errorf("exported: %v", public)
	}
}

func newTrust(t *testing.T) (*envelope.TrustStore, string) {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "trust")
	store, err := envelope.OpenTrustStore(directory)
	must(t, err)
	return store, directory
}

func TestATrustStoreKeepsWhatWasPinnedAndRevoked(t *testing.T) {
	store, directory := newTrust(t)
	key, other := signingKey(t).Public(), signingKey(t).Public()
	must(t, store.Pin("portal", key, at(0), time.Time{}))
	must(t, store.Pin("portal", other, at(0), at(60)))
	must(t, store.Pin("portal", key, at(1), at(90))) // again, with an expiry
	must(t, store.Revoke(other.KeyID(), at(2), "lost with a notebook"))
	must(t, store.Revoke(other.KeyID(), at(3), "again"))
	reopened, err := envelope.OpenTrustStore(directory)
	must(t, err)
	trust, err := reopened.Load()
	must(t, err)
	pinned, found := trust.Find(key.KeyID())
	if !found || pinned.Issuer != "portal" || pinned.Key.KeyID() != key.KeyID() || !pinned.Pinned.Equal(at(1)) || !pinned.Expires.Equal(at(90)) || pinned.Fault != nil {
		t.Errorf("pinned: %+v", pinned)
	}
	if len(trust.Revoked) != 1 || !trust.IsRevoked(other.KeyID()) || trust.IsRevoked(key.KeyID()) {
		t.Fatalf("revoked: %+v", trust.Revoked)
	}
	if got := trust.Revoked[0]; !got.At.Equal(at(2)) || got.Reason != "lost with a notebook" || got.Fault != nil {
		t.Errorf("revoked: %+v", got)
	}
	for name, err := range map[string]error{
		"a revoked key":       store.Pin("portal", other, at(4), time.Time{}),
		"another issuer":      store.Pin("other", key, at(4), time.Time{}),
		"a sealing key":       store.Pin("portal", sealingKey(t).Public(), at(4), time.Time{}),
		"no issuer":           store.Pin("", key, at(4), time.Time{}),
		"no key":              store.Pin("portal", envelope.PublicKey{}, at(4), time.Time{}),
		"revoke no key":       store.Revoke("../../etc/passwd", at(4), ""),
		"a reason of lines":   store.Revoke(key.KeyID(), at(4), "a\nb"),
		"too long a reason":   store.Revoke(key.KeyID(), at(4), strings.Repeat("a", 257)),
		"a store in no place": second(envelope.OpenTrustStore(filepath.Join(directory, "a", "b"))),
	} {
		if writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("%s: %v", name, err)
		}
	}
	if runtime.GOOS != "windows" {
		must(t, os.Chmod(directory, 0o770))
		if _, err := envelope.OpenTrustStore(directory); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("a directory that others can write: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestABrokenTrustFileFailsOnTheSafeSide(t *testing.T) {
	store, directory := newTrust(t)
	key, other := signingKey(t).Public(), signingKey(t).Public()
	must(t, store.Pin("portal", other, at(0), time.Time{}))
	path := filepath.Join(directory, "key-"+key.KeyID()+".json")
	must(t, store.Pin("portal", key, at(0), time.Time{}))
	sound, err := os.ReadFile(path)
	must(t, err)
	for name, text := range map[string]string{
		"empty":          "",
		"no issuer":      strings.Replace(string(sound), `"issuer":"portal",`, "", 1),
		"a stranger":     strings.Replace(string(sound), `"issuer"`, `"x":1,"issuer"`, 1),
		"an issuer more": strings.Replace(string(sound), `"issuer"`, `"issuer":"x","issuer"`, 1),
		"newer":          strings.Replace(string(sound), `"version":1`, `"version":2`, 1),
		"no key":         strings.Replace(string(sound), `"kty"`, `"ktx"`, 1),
		"another key":    strings.NewReplacer(`"kid":"`+key.KeyID()+`"`, `"a":1`, sealedIn(sound, "x"), sealedIn(mustEncode(t, other), "x"), sealedIn(sound, "y"), sealedIn(mustEncode(t, other), "y")).Replace(string(sound)),
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		trust, err := store.Load()
		must(t, err)
		got, found := trust.Find(key.KeyID())
		if !found || got.Fault == nil || !got.Key.IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
		// Not even the configuration's copy is used: the file may have held an expiry.
		usable, _, _ := trust.Usable(map[string][]envelope.PublicKey{"portal": {key}}, at(0))
		if len(usable["portal"]) != 1 || usable["portal"][0].KeyID() != other.KeyID() {
			t.Errorf("%s: usable: %v", name, usable)
		}
	}
	must(t, os.WriteFile(filepath.Join(directory, "revoked-"+other.KeyID()+".json"), nil, 0o600))
	trust, err := store.Load()
	must(t, err)
	if !trust.IsRevoked(other.KeyID()) || trust.Revoked[0].Fault == nil {
		t.Errorf("an empty revocation: %+v", trust.Revoked)
	}
}

// sealedIn returns the value of a member of a JWK as it stands in a text.
func sealedIn(text []byte, member string) string {
	_, after, _ := strings.Cut(string(text), `"`+member+`":"`)
	value, _, _ := strings.Cut(after, `"`)
	return value
}

func mustEncode(t *testing.T, key envelope.PublicKey) []byte {
	t.Helper()
	text, err := envelope.EncodePublicKey(key)
	must(t, err)
	return text
}

func TestWhichPortalKeysCountAtATime(t *testing.T) {
	configured, retiring, next, gone, foreign := signingKey(t).Public(), signingKey(t).Public(), signingKey(t).Public(), signingKey(t).Public(), signingKey(t).Public()
	names := map[string]string{
		configured.KeyID(): "configured", retiring.KeyID(): "retiring", next.KeyID(): "next", gone.KeyID(): "gone", foreign.KeyID(): "foreign",
	}
	trust := envelope.Trust{
		Keys: []envelope.TrustedKey{
			{ID: retiring.KeyID(), Issuer: "portal", Key: retiring, Expires: at(60)}, // in the configuration, too
			{ID: next.KeyID(), Issuer: "portal", Key: next},
			{ID: gone.KeyID(), Issuer: "portal", Key: gone},
			{ID: foreign.KeyID(), Issuer: "portal", Key: foreign},                                       // the other's, by the configuration
			{ID: signingKey(t).KeyID(), Issuer: "stranger", Key: signingKey(t).Public()},                // of no issuer we know
			{ID: signingKey(t).KeyID(), Issuer: "portal", Fault: writeback.NewError("x", os.ErrClosed)}, // unreadable
		},
		Revoked: []envelope.Revocation{{ID: gone.KeyID()}},
	}
	config := map[string][]envelope.PublicKey{"portal": {configured, retiring, gone}, "other": {foreign}}
	for _, want := range []struct {
		at     time.Time
		portal []string
		until  time.Time
	}{
		{at(0), []string{"configured", "retiring", "next"}, at(60)},
		{at(60), []string{"configured", "next"}, time.Time{}},
	} {
		usable, until, objections := trust.Usable(config, want.at)
		var portal []string
		for _, key := range usable["portal"] {
			portal = append(portal, names[key.KeyID()])
		}
		if diff := cmp.Diff(want.portal, portal); diff != "" || !until.Equal(want.until) {
			t.Errorf("at %s, until %s (-want +got):\n%s", want.at, until, diff)
		}
		if len(usable) != 2 || len(usable["other"]) != 1 || usable["other"][0].KeyID() != foreign.KeyID() {
			t.Errorf("the other: %v", usable)
		}
		if len(objections) != 1 || !strings.Contains(objections[0].Error(), foreign.KeyID()) {
			t.Errorf("objections: %v", objections)
		}
	}
}

// FuzzStored: whatever stands in the files beside the keys, reading them ends in order, and what is accepted is sound.
func FuzzStored(f *testing.F) {
	for _, seed := range []string{
		`{"version":1}`, `{"version":1,"active_from":1,"expires":2}`, `{"version":1,"revoked":3,"reason":"x"}`, `{"version":1,"issuer":"p","pinned":1,"key":{}}`,
		`{"version":1,"issuer":"p","pinned":1,"key":{` + rfcPoint + `,"use":"sig","alg":"ES256"}}`, `[]`, ``, `{"version":1,"expires":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		directory := t.TempDir()
		for _, name := range []string{"key-" + thumbprintOfRFCKey, "revoked-" + thumbprintOfRFCKey} {
			must(t, os.WriteFile(filepath.Join(directory, name+".json"), text, 0o600))
		}
		must(t, os.Chmod(directory, 0o700))
		store, err := envelope.OpenTrustStore(directory)
		must(t, err)
		trust, err := store.Load()
		must(t, err)
		if !trust.IsRevoked(thumbprintOfRFCKey) {
			t.Error("a revocation was lost")
		}
		if usable, _, _ := trust.Usable(map[string][]envelope.PublicKey{"p": nil}, at(0)); len(usable["p"]) != 0 {
			t.Errorf("a revoked key is usable: %v", usable)
		}
		if life, err := envelope.ParseLife(text); err == nil && (life.Expires.Unix() < 0 && !life.Expires.IsZero()) {
			t.Errorf("accepted %+v", life)
		}
	})
}

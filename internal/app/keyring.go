package app

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// keyring lets the pipeline use the keys that are good at the moment. It looks at the files again and again and exchanges what it has made
// of them as a whole: an Opener never changes, and a request that one has verified is opened by the same one.
//
// The files are polled rather than announced over the status socket: whoever may look at the status must not be able to
// change anything, a change by any means counts, and names and times of a dozen files cost next to nothing.
type keyring struct {
	cfg        *config.Config
	configured map[string][]envelope.PublicKey // by issuer, as the configuration pins them; read once
	now        func() time.Time
	current    atomic.Pointer[keyset]
}

// keyset is what the files meant at one time; it never changes.
type keyset struct {
	files    KeyFiles
	port     openerPort
	signer   *envelope.ResultSigner
	own      envelope.KeySet
	usable   map[string][]envelope.PublicKey // the portals' keys, by issuer
	problems []error                         // with single keys, which are left out
	lack     string                          // which key the agent cannot do without is not there; empty: none
	until    time.Time                       // when this changes by itself; zero: never
	loaded   time.Time
	failed   error // the last look at the files failed, and this is older
}

// newKeyring reads all keys. An agent does not begin with own keys that cannot be used, nor with a configuration that names
// unusable files; what is wrong with a single pinned key is only shown.
func newKeyring(cfg *config.Config, now func() time.Time) (*keyring, error) {
	var faults objections
	configured := ConfiguredKeys(cfg, faults.add)
	faults = append(faults, ownedTwice(configured)...)
	if err := faults.join(); err != nil {
		return nil, err
	}
	files, err := ReadKeyFiles(cfg)
	if err != nil {
		return nil, err
	}
	if err := files.check(now()); err != nil {
		return nil, err
	}
	ring := &keyring{cfg: cfg, configured: configured, now: now}
	set, err := ring.make(files)
	if err != nil {
		return nil, err
	}
	ring.current.Store(set)
	return ring, nil
}

// ownedTwice finds keys that the configuration pins for two portals. Were it left to the Opener, what the store holds of such a key could
// hide the fault at the start, and bring it out when a revocation has to be taken over.
func ownedTwice(configured map[string][]envelope.PublicKey) objections {
	var faults objections
	owner := map[string]string{}
	for _, issuer := range issuersOf(configured) {
		for _, key := range configured[issuer] {
			if other, taken := owner[key.KeyID()]; taken && other != issuer {
				faults = append(faults, &writeback.Error{
					Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("key %s is pinned to the issuers %q and %q", key.KeyID(), other, issuer),
					Hint: "Have each portal make a key of its own: one key never belongs to two.",
				})
			}
			owner[key.KeyID()] = issuer
		}
	}
	return faults
}

// make makes a keyset of files.
func (k *keyring) make(files KeyFiles) (*keyset, error) {
	now := k.now()
	set := &keyset{files: files, own: files.Usable(now), loaded: now.UTC()}
	var objections []error
	set.usable, set.until, objections = files.Trust.Usable(k.configured, now)
	if own := set.own.Until; !own.IsZero() && (set.until.IsZero() || own.Before(set.until)) {
		set.until = own
	}
	set.problems = append(files.problems(), objections...)
	set.lack = lacking(set.own)
	opening, signing, err := standIns(set.own)
	if err != nil {
		return nil, err
	}
	opener, err := envelope.NewOpener(envelope.OpenerConfig{Group: k.cfg.Group, Issuers: set.usable, SealingKeys: opening})
	if err != nil {
		return nil, err
	}
	set.port = openerPort{opener: opener, limits: envelope.Limits{MaxLife: k.cfg.Policy.MaxRequestLife, Skew: k.cfg.Policy.ClockSkew}}
	set.signer, err = envelope.NewResultSigner(k.cfg.Group+"/"+k.cfg.Agent, signing)
	return set, err
}

// standIns fills in keys that nobody knows where the agent has lost its own while it runs: then every request is one for another agent, and
// what is in hand ends without an answer that a portal would believe.
func standIns(own envelope.KeySet) (opening []envelope.PrivateKey, signing envelope.PrivateKey, err error) {
	opening, signing = own.Opening, own.Signing
	if len(opening) == 0 {
		key, err := envelope.GenerateSealingKey()
		if err != nil {
			return nil, signing, err
		}
		opening = []envelope.PrivateKey{key}
	}
	if signing.IsZero() {
		signing, err = envelope.GenerateSigningKey()
	}
	return opening, signing, err
}

// problems lists what is wrong with single files.
func (f KeyFiles) problems() []error {
	var all []error
	for _, key := range f.Own {
		if key.Fault != nil && !f.Trust.IsRevoked(key.ID) {
			all = append(all, key.Fault)
		}
	}
	for _, key := range f.Trust.Keys {
		if key.Fault != nil {
			all = append(all, key.Fault)
		}
	}
	for _, revocation := range f.Trust.Revoked {
		if revocation.Fault != nil {
			all = append(all, revocation.Fault)
		}
	}
	return all
}

// refresh looks at the files, and takes over what has changed in them or by the time. It reports whether anything did. Only one
// goroutine may call it. Where the files cannot be read, the keys that are known go on, and expire in time.
func (k *keyring) refresh() bool {
	before := k.current.Load()
	due := !before.until.IsZero() && !k.now().Before(before.until)
	generation, err := KeyGeneration(k.cfg)
	if err == nil && generation == before.files.Generation && !due && before.failed == nil {
		return false
	}
	files := before.files
	if err == nil {
		files, err = ReadKeyFiles(k.cfg)
	}
	if err != nil {
		files = before.files
	}
	after, makeErr := k.make(files)
	if makeErr != nil {
		after = before.copy()
		err = fmt.Errorf("the keys cannot be used together: %w", makeErr)
	}
	after.failed = err
	k.current.Store(after)
	return due || after.files.Generation != before.files.Generation || (before.failed == nil) != (err == nil)
}

func (s *keyset) copy() *keyset {
	same := *s
	return &same
}

// Verify implements agent.Envelope.
func (k *keyring) Verify(token []byte) (agent.Signed, error) {
	return k.current.Load().port.Verify(token)
}

// JudgeTimes implements agent.Envelope.
func (k *keyring) JudgeTimes(claims writeback.Claims, now time.Time) error {
	return k.current.Load().port.JudgeTimes(claims, now)
}

// Sign implements agent.ResultSigner.
func (k *keyring) Sign(result writeback.Result) ([]byte, error) {
	return k.current.Load().signer.Sign(result)
}

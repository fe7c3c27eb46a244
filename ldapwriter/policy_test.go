package ldapwriter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// strictPSO applies to alice and asks for more than the domain.
func strictPSO(readable bool) func(*adtest.Options) {
	return func(o *adtest.Options) {
		o.Domain.PSOs = []adtest.PSO{{
			Name: "strict", Precedence: 5, AppliesTo: []string{"alice"}, Readable: readable,
			Policy: adtest.Policy{MinLength: 14, Complexity: true, History: 10, MinAge: 48 * time.Hour, LockoutThreshold: 7},
		}}
	}
}

func changeOf(before, after string) writeback.Change {
	return writeback.Change{Operation: writeback.OpChange, OldPassword: secret.NewString(before), Password: secret.NewString(after)}
}

// Windows says 0000052D and no more, whatever was wrong; see the answers of the fake for the sources. The policy that applies tells the rest.
func TestBareRefusalUnderAFineGrainedPolicy(t *testing.T) {
	unknown := []string{"in_history", "filter"}
	for name, row := range map[string]struct {
		options func(*adtest.Options)
		change  writeback.Change
		want    writeback.Reason
		detail  writeback.Detail
		later   bool
	}{
		"readable, too short":       {strictPSO(true), reset("Aa7-ten-10"), writeback.PasswordTooShort, writeback.Detail{MinLength: 14}, false},
		"readable, too simple":      {strictPSO(true), reset("allofthesearelower"), writeback.PasswordTooSimple, writeback.Detail{}, false},
		"readable, holds the login": {strictPSO(true), reset("77-ALICE-is-here-77"), writeback.PasswordContainsName, writeback.Detail{}, false},
		"readable, just long enough": {strictPSO(true), reset("Exactly-14-Aa7"), writeback.PasswordRefused,
			writeback.Detail{HistoryLength: 10, Possible: []string{"in_history", "filter", "too_recent"}}, true},
		"readable, reset too young": {strictPSO(true), reset("Quite-Fresh 2026!"), writeback.PasswordRefused,
			writeback.Detail{HistoryLength: 10, Possible: []string{"in_history", "filter", "too_recent"}}, true},
		"readable, change too young":                 {strictPSO(true), changeOf(adtest.CorpPassword, "Quite-Fresh 2026!"), writeback.PasswordTooRecent, writeback.Detail{}, true},
		"not readable, too short":                    {strictPSO(false), reset("Aa7-ten-10"), writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"not readable, shorter than the domain asks": {strictPSO(false), reset("Aa7!"), writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"nobody knows which applies":                 {hide("msDS-ResultantPSO"), reset("Aa7!"), writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"hidden although one does": {func(o *adtest.Options) { strictPSO(true)(o); hide("msDS-ResultantPSO")(o) }, reset("Aa7!"),
			writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"the list may not be read": {hide("nTSecurityDescriptor"), reset("Aa7!"), writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"part of it is hidden": {func(o *adtest.Options) { strictPSO(true)(o); hide("msDS-PasswordComplexityEnabled")(o) }, reset("Aa7!"),
			writeback.PasswordRefused, writeback.Detail{Possible: unknown}, false},
		"none applies": {hide(), reset("Aa7!"), writeback.PasswordTooShort, writeback.Detail{MinLength: 8}, false},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t, row.options)
			d := fake.directory(t)
			err := d.Write(deadline(t), person(t, d, "alice"), row.change)
			wantReason(t, err, row.want)
			detail := writeback.DetailOf(err)
			if diff := cmp.Diff(row.detail, detail, cmpopts.IgnoreFields(writeback.Detail{}, "RetryAfter")); diff != "" {
				t.Errorf("detail (-want +got):\n%s", diff)
			}
			state, _ := fake.fake.User("alice")
			if (detail.RetryAfter != nil) != row.later {
				t.Fatalf("retry after %v", detail.RetryAfter)
			}
			if row.later {
				if late := detail.RetryAfter.Sub(state.PasswordLastSet.Add(48 * time.Hour)); late < 0 || late > time.Second {
					t.Errorf("retry after %v, %v late", detail.RetryAfter, late)
				}
			}
		})
	}
}

// What follows from policy and state is said; what the controller keeps to itself is not guessed.
func TestHistoryIsNamedOnlyWhereItFollows(t *testing.T) {
	for name, row := range map[string]struct {
		policy adtest.Policy
		hints  bool
		change writeback.Change
		want   writeback.Reason
		detail writeback.Detail
	}{
		"change to the same": {adtest.Policy{History: 5}, true, changeOf(adtest.CorpPassword, adtest.CorpPassword), writeback.PasswordInHistory, writeback.Detail{HistoryLength: 5}},
		"change to an earlier one": {adtest.Policy{History: 5}, true, changeOf("Newer-Wort 7", adtest.CorpPassword), writeback.PasswordRefused,
			writeback.Detail{HistoryLength: 5, Possible: []string{"in_history", "filter"}}},
		"reset to an earlier one": {adtest.Policy{History: 5}, true, reset(adtest.CorpPassword), writeback.PasswordRefused,
			writeback.Detail{HistoryLength: 5, Possible: []string{"in_history", "filter"}}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t, func(o *adtest.Options) { o.Domain.Policy, o.WithoutPolicyHints = row.policy, !row.hints })
			d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.PolicyHints = ldapwriter.HintsAllow })
			if row.change.Operation == writeback.OpReset || !row.change.OldPassword.Equal(row.change.Password) {
				fake.fake.SetPassword("alice", "Newer-Wort 7")
			}
			err := d.Write(deadline(t), person(t, d, "alice"), row.change)
			wantReason(t, err, row.want)
			if diff := cmp.Diff(row.detail, writeback.DetailOf(err)); diff != "" {
				t.Errorf("detail (-want +got):\n%s", diff)
			}
		})
	}
}

// The policy is read for what the controller left open, and only for that.
func TestRefusalThatSaysEverythingCostsNoRead(t *testing.T) {
	const said = "0000052D: Unwilling to perform - check_password_restrictions: "
	for text, reads := range map[string]int{
		said + "the password is too short. It should be equal to or longer than 8 characters!": 0,
		said + "the password does not meet the complexity criteria!":                           0,
		said + "the password was already used (in history)!":                                   2, // the account beside the clock
		said + "password is too young to change!":                                              2,
	} {
		fake := startFake(t)
		d := fake.directory(t)
		account := person(t, d, "alice")
		fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: 53, Diagnostic: text, Times: 1})
		before := fake.fake.Operations()
		if err := d.Write(deadline(t), account, reset(newPassword)); err == nil {
			t.Errorf("%s: not refused", text)
		}
		if got := fake.fake.Operations() - before - 1; got != reads {
			t.Errorf("%s: %d reads, want %d", text, got, reads)
		}
	}
}

// A filter refuses on its own account: where the history was not asked for, or there is none, it is all that is left.
func TestFilterIsWhatIsLeft(t *testing.T) {
	const windows = "0000052D: SvcErr: DSID-031A126C, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00"
	for name, options := range map[string]func(*adtest.Options){
		"no history": func(o *adtest.Options) { o.Domain.Policy.History = 0 },
		"no hints":   func(o *adtest.Options) { o.WithoutPolicyHints = true },
	} {
		fake := startFake(t, options)
		d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.PolicyHints = ldapwriter.HintsAllow })
		account := person(t, d, "alice")
		fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: 53, Diagnostic: windows, Times: 1})
		err := d.Write(deadline(t), account, reset(newPassword))
		wantReason(t, err, writeback.PasswordRefused)
		if diff := cmp.Diff(writeback.Detail{Possible: []string{"filter"}}, writeback.DetailOf(err)); diff != "" {
			t.Errorf("%s: detail (-want +got):\n%s", name, diff)
		}
	}
}

// The threshold bounds a bind with a password that may be wrong: that of another policy would lock somebody out.
func TestLockoutThresholdIsThatOfThePolicyThatApplies(t *testing.T) {
	for name, row := range map[string]struct {
		options   func(*adtest.Options)
		known     bool
		threshold int
	}{
		"the domain's":              {hide(), true, 3},
		"its own, readable":         {strictPSO(true), true, 7},
		"its own, not readable":     {strictPSO(false), false, 0},
		"may not be asked for":      {hide("msDS-ResultantPSO"), false, 0},
		"the list may not be read":  {hide("nTSecurityDescriptor"), false, 0},
		"no count of wrong ones":    {hide("badPwdCount"), false, 3},
		"of a group it is in":       {groupPSO, true, 9},
		"no policy of the domain's": {hide("lockoutThreshold"), false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := startFake(t, row.options).directory(t)
			state, err := d.PasswordState(deadline(t), person(t, d, "alice"))
			if err != nil || state.ThresholdKnown != row.known || state.LockoutThreshold != row.threshold {
				t.Errorf("threshold %d, known %v (%v); want %d, %v", state.LockoutThreshold, state.ThresholdKnown, err, row.threshold, row.known)
			}
		})
	}
}

// groupPSO applies to everybody, by their primary group.
func groupPSO(o *adtest.Options) {
	o.Domain.PSOs = []adtest.PSO{{Name: "all", Precedence: 1, AppliesTo: []string{"Domain Users"}, Readable: true, Policy: adtest.Policy{LockoutThreshold: 9}}}
}

// With fKVNOEmuW2K the key's version is always 1: counting by it would never show a write.
func TestKeyNumberThatDoesNotCountIsNoEvidence(t *testing.T) {
	for heuristics, source := range map[string]writeback.VersionSource{
		"": writeback.VersionKeyNumber, "0000000001000000": writeback.VersionKeyNumber, "00000000010000000": writeback.VersionKeyNumber,
		"00000000010000001": writeback.VersionNone, "000000000100000020": writeback.VersionNone,
	} {
		fake := startFake(t, func(o *adtest.Options) {
			o.Domain.Heuristics, o.Unreadable = heuristics, []string{"replPropertyMetaData"}
		})
		d := fake.directory(t)
		account := person(t, d, "alice")
		if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
			t.Fatal(err)
		}
		state, err := d.PasswordState(deadline(t), account)
		if err != nil || state.VersionSource != source || (source == writeback.VersionKeyNumber && state.Version != 2) || state.ChangedAt.IsZero() {
			t.Errorf("%q: version %d of %q, changed %v (%v)", heuristics, state.Version, state.VersionSource, state.ChangedAt, err)
		}
	}
}

// Who made the last write stands beside who would make ours.
func TestWritesOfAnotherControllerAreToldApart(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	foreign := writeback.GUID{1, 2, 3}
	fake.fake.Replicate("alice", "From elsewhere 7", foreign)
	state, err := d.PasswordState(deadline(t), account)
	if err != nil || state.Version != 2 || state.Originating != foreign.String() || state.Own != fake.fake.InvocationID().String() {
		t.Errorf("version %d by %s on %s (%v)", state.Version, state.Originating, state.Own, err)
	}
	if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
		t.Fatal(err)
	}
	if state, err = d.PasswordState(deadline(t), account); err != nil || state.Originating != state.Own {
		t.Errorf("our write is by %s on %s (%v)", state.Originating, state.Own, err)
	}
	peer := startFake(t, func(o *adtest.Options) { o.Peer, o.Host = fake.fake, "dc2" })
	there := peer.directory(t)
	if err := there.Write(deadline(t), person(t, there, "alice"), reset("From the peer 77")); err != nil {
		t.Fatal(err)
	}
	if state, err = d.PasswordState(deadline(t), account); err != nil || state.Originating != peer.fake.InvocationID().String() || state.Own == state.Originating {
		t.Errorf("the peer's write is by %s on %s (%v)", state.Originating, state.Own, err)
	}
	hidden := startFake(t, hide("invocationId"))
	d = hidden.directory(t)
	if state, err = d.PasswordState(deadline(t), person(t, d, "alice")); err != nil || state.Own != "" {
		t.Errorf("own %q (%v)", state.Own, err)
	}
}

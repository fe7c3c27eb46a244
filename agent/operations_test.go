package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	guards "github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

const oldPassword = "4711-before"

// change asks to change alice's password.
func change(old string) order { return order{user: "alice", operation: writeback.OpChange, old: old} }

// withOldPassword gives alice the password a change has to prove.
func (w *world) withOldPassword() {
	w.directory.edit("alice", func(a *account) { a.password = oldPassword })
}

func TestAChangeIsWrittenOnce(t *testing.T) {
	for name, prepare := range map[string]func(*account){
		"a plain user":                     func(*account) {},
		"a user who must change it":        func(a *account) { a.Password.MustChange, a.Password.PasswordLastSet = true, time.Time{} },
		"a user without a password's date": func(a *account) { a.Password.PasswordLastSet = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.withOldPassword()
				w.directory.edit("alice", prepare)
				request, token := w.ask(change(oldPassword))
				check(t, "delivery", written, w.deliver(token))
				if alice := w.directory.user("alice"); alice.writes != 1 || alice.password != newPassword {
					t.Errorf("%d writes, right password %v", alice.writes, alice.password == newPassword)
				}
				check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome}, w.auditKinds(request))
				again := written
				again.Replayed = true
				check(t, "again", again, w.deliver(token))
			})
		})
	}
}

func TestALostAnswerToAChangeIsFoundOut(t *testing.T) {
	for carried, want := range map[bool]expect{true: written, false: unknown} {
		inWorld(t, func(t *testing.T, w *world) {
			w.withOldPassword()
			w.loseAnswers(carried)
			_, token := w.ask(change(oldPassword))
			check(t, "delivery", want, w.deliver(token))
		})
	}
}

// A refusal of the old password may be the answer to a repetition of the change that had worked: the old one is the new one then.
func TestAnOldPasswordRefusedAfterTheChangeWorkedIsNoFailure(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withOldPassword()
		w.directory.write = func(carryOut func()) error {
			carryOut()
			return writeback.NewError(writeback.PasswordOldIncorrect, nil)
		}
		_, token := w.ask(change(oldPassword))
		check(t, "delivery", written, w.deliver(token))
		check(t, "probes", 1, w.directory.probes)
	})
}

func TestAChangeDoesNotOverwriteANewerPassword(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withOldPassword()
		o := change(oldPassword)
		o.age = 30 * time.Second
		_, token := w.ask(o)
		w.directory.edit("alice", func(a *account) { a.Password.ChangedAt = time.Now() })
		check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.RequestSuperseded, false}, w.deliver(token))
		check(t, "old passwords tried", 0, w.directory.tried)
	})
}

// aCheck asks whether alice could be reset.
func aCheck() order { return order{user: "alice", operation: writeback.OpCheck} }

func TestACheckTellsWhatIsKnownAndWritesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		later := time.Now().Add(time.Hour).UTC()
		var asked writeback.Operation
		w.directory.preflight = func(operation writeback.Operation) (writeback.Detail, error) {
			asked = operation
			return writeback.Detail{MinLength: 12, HistoryLength: 24, RetryAfter: &later}, nil
		}
		w.directory.edit("alice", func(a *account) { a.Warnings = []string{writeback.WarningNotIndexed} })
		request, token := w.ask(aCheck())
		passed := expect{writeback.Complete, writeback.OK, writeback.ReasonOK, false}
		check(t, "delivery", passed, w.deliver(token))
		check(t, "asked about", writeback.OpReset, asked)
		check(t, "detail", writeback.Detail{
			MinLength: 12, HistoryLength: 24, RetryAfter: &later, Warnings: []string{writeback.WarningNotIndexed},
		}, w.last().Outcome.Detail)
		if record := w.record(request); record.Intent != nil || record.Probed || record.State != ledger.StateDone {
			t.Errorf("record: %+v", record)
		}
		check(t, "audit", []audit.Kind{audit.KindOutcome}, w.auditKinds(request))
		if alice := w.directory.user("alice"); alice.writes+alice.unlocks+w.directory.probes+w.directory.tried != 0 {
			t.Errorf("a check touched the account: %+v", alice)
		}
		passed.Replayed = true
		check(t, "again", passed, w.deliver(token))
	})
}

func TestACheckNamesWhatStandsInTheWay(t *testing.T) {
	refused := func(reason writeback.Reason) expect {
		return expect{writeback.Complete, writeback.NotWritten, reason, false}
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, w *world)
		want    expect
	}{
		"the guard": {func(_ *testing.T, w *world) { w.guard.account = writeback.NewError(writeback.UserDisabled, nil) }, refused(writeback.UserDisabled)},
		"the issuer's rules": {func(_ *testing.T, w *world) { w.guard.issuer = writeback.NewError(writeback.AuthTooOld, nil) },
			refused(writeback.AuthTooOld)},
		"the clock": {func(_ *testing.T, w *world) { w.directory.skew = 2 * time.Minute }, refused(writeback.AgentMisconfigured)},
		"a time that cannot be read": {func(_ *testing.T, w *world) {
			w.directory.edit("alice", func(a *account) { a.Password.ChangedAt = time.Time{} })
		}, refused(writeback.DirectoryAccessDenied)},
		"the directory's rules": {preflight(writeback.NewError(writeback.DirectoryPolicyHintsMissing, nil)), refused(writeback.DirectoryPolicyHintsMissing)},
		"a directory gone":      {preflight(writeback.NewError(writeback.DirectoryUnavailable, nil)), refused(writeback.DirectoryUnavailable)},
		"even without an answer": {preflight(writeback.NewError(writeback.DirectoryOutcomeUnknown, nil)), // nothing was written, whatever is said
			refused(writeback.DirectoryOutcomeUnknown)},
		"no such user": {func(_ *testing.T, w *world) {
			w.directory.resolve = func() error { return writeback.NewError(writeback.UserNotFound, nil) }
		}, refused(writeback.UserNotFound)},
		"an open outcome": {func(t *testing.T, w *world) {
			w.loseAnswers(false)
			_, token := w.ask(order{user: "alice"})
			check(t, "a reset", unknown, w.deliver(token))
		}, refused(writeback.RequestInProgress)},
		"a password set since is no matter": {func(_ *testing.T, w *world) {
			w.directory.edit("alice", func(a *account) { a.set("an administrator's") })
		}, expect{writeback.Complete, writeback.OK, writeback.ReasonOK, false}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c.prepare(t, w)
				_, token := w.ask(aCheck())
				check(t, "delivery", c.want, w.deliver(token))
			})
		})
	}
}

func preflight(err error) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.directory.preflight = func(writeback.Operation) (writeback.Detail, error) { return writeback.Detail{}, err }
	}
}

// A portal that may only change is told about changes: of a locked account, and of a budget that is spent.
func TestACheckAsksAboutWhatTheIssuerMayDo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.govern(t, guards.IssuerRules{Operations: []writeback.Operation{writeback.OpChange, writeback.OpCheck}, WholeDirectory: true})
		w.withOldPassword()
		var asked writeback.Operation
		w.directory.preflight = func(operation writeback.Operation) (writeback.Detail, error) {
			asked = operation
			return writeback.Detail{}, nil
		}
		_, token := w.ask(aCheck())
		check(t, "free", expect{writeback.Complete, writeback.OK, writeback.ReasonOK, false}, w.deliver(token))
		check(t, "asked about", writeback.OpChange, asked)
		w.directory.edit("alice", func(a *account) { a.LockedOut = true })
		_, token = w.ask(aCheck())
		check(t, "locked", writeback.UserLocked, w.deliver(token).Reason)
		w.directory.edit("alice", func(a *account) { a.LockedOut = false })
		w.spendBudget(t)
		_, token = w.ask(aCheck())
		check(t, "budget spent", writeback.PolicyRateLimited, w.deliver(token).Reason)
	})
}

// govern restarts the agent with real rules for the portal, and makes the users ones that may be reset.
func (w *world) govern(t *testing.T, issuer guards.IssuerRules, actors ...writeback.ActorKind) {
	t.Helper()
	issuer.Actors = actors
	if len(actors) == 0 {
		issuer.Actors = []writeback.ActorKind{writeback.ActorSelf}
	}
	issuer.Identifiers = []writeback.IdentifierKind{writeback.ByUPN, writeback.BySAM, writeback.ByImmutableID}
	rules, err := guards.New(guards.Rules{
		Issuers: map[string]guards.IssuerRules{"portal": issuer},
		Domains: map[string]guards.DomainRules{"corp.example.com": {Include: []string{"dc=corp"}, EnabledFor: guards.EnabledAll}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.rules = rules
	for _, name := range []string{"alice", "bob"} {
		w.directory.edit(name, func(a *account) {
			a.Containers, a.ObjectClasses = []string{"ou=staff,dc=corp", "dc=corp"}, []string{"top", "person", "user"}
			a.UserAccountControl, a.ExpiryKnown = writeback.UACNormalAccount, true
			a.SID, a.TokenGroups = "S-1-5-21-1-2-3-1100", []string{"S-1-5-21-1-2-3-513"}
		})
	}
	w.restart()
}

// everything an operation tells the portal and the queue, less what differs by nature.
type told struct {
	Outcome    writeback.Outcome
	Settlement writeback.Settlement
	Results    int
	Waiting    time.Duration
}

func (w *world) tell(o order) told {
	w.t.Helper()
	before, begun := len(w.results()), time.Now()
	_, token := w.ask(o)
	disposition := w.pipeline.Handle(w.t.Context(), delivery(token, 1))
	seen := told{Settlement: disposition.Settlement, Results: len(w.results()) - before, Waiting: time.Since(begun)}
	if seen.Results > 0 {
		seen.Outcome = w.last().Outcome
	}
	return seen
}

// Out of an issuer's scope a user that exists and one that does not are told apart by nothing, whatever is asked and whatever is
// wrong with the account.
func TestBeyondTheScopeEverybodyLooksAlike(t *testing.T) {
	states := map[string]func(*account){
		"in order":                  func(*account) {},
		"disabled":                  func(a *account) { a.UserAccountControl |= writeback.UACDisabled },
		"groups unreadable":         func(a *account) { a.TokenGroups, a.SID = nil, "" },
		"an administrator":          func(a *account) { a.AdminCount = 1; a.TokenGroups = []string{"S-1-5-21-1-2-3-512"} },
		"nothing readable":          func(a *account) { a.ObjectClasses, a.UserAccountControl, a.ExpiryKnown = nil, 0, false },
		"locked out":                func(a *account) { a.LockedOut, a.Password.LockoutTimeSet = true, true },
		"without a password's date": func(a *account) { a.Password = writeback.PasswordState{} },
		"of no configured domain":   func(a *account) { a.Domain = "elsewhere.example.com" },
		"found without an index":    func(a *account) { a.Warnings = []string{writeback.WarningNotIndexed} },
		"password just set":         func(a *account) { a.set("an administrator's") },
	}
	operations := []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck}
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.govern(t, guards.IssuerRules{Operations: operations, Scope: []string{"ou=shop,dc=corp"}})
				w.directory.edit("bob", state)
				w.directory.preflight = func(writeback.Operation) (writeback.Detail, error) { return writeback.Detail{MinLength: 12}, nil }
				for _, operation := range operations {
					for _, age := range []time.Duration{0, 2 * time.Minute} { // an expired one shows no more
						order := order{operation: operation, old: "wrong", age: age}
						order.user = "bob"
						exists := w.tell(order)
						order.user = "nobody"
						check(t, string(operation)+" after "+age.String(), w.tell(order), exists)
						if age == 0 {
							check(t, "reason", writeback.PolicyOutOfScope, exists.Outcome.Reason)
						}
					}
				}
				if bob := w.directory.user("bob"); bob.writes+bob.unlocks+w.directory.tried+w.directory.probes != 0 {
					t.Error("a user beyond the scope was touched")
				}
			})
		})
	}
}

// A user who is deleted after being found is, for a portal with a narrow scope, out of it like any other who does not exist.
func TestAUserWhoIsDeletedMeanwhileIsNotSaidToBe(t *testing.T) {
	gone := writeback.NewError(writeback.UserNotFound, nil)
	for whole, want := range map[bool]writeback.Reason{true: writeback.UserNotFound, false: writeback.PolicyOutOfScope} {
		inWorld(t, func(t *testing.T, w *world) {
			rules := guards.IssuerRules{Operations: []writeback.Operation{writeback.OpReset, writeback.OpCheck}, WholeDirectory: whole}
			if !whole {
				rules.Scope = []string{"ou=staff,dc=corp"}
			}
			w.govern(t, rules)
			preflight(gone)(t, w)
			check(t, "check", want, w.tell(aCheck()).Outcome.Reason)
			w.answerWrites(gone)
			check(t, "reset", want, w.tell(order{user: "alice"}).Outcome.Reason)
			w.directory.write = nil
			check(t, "a reset that works", writeback.ReasonOK, w.tell(order{user: "bob"}).Outcome.Reason)
			w.directory.edit("bob", func(a *account) { a.Password.Version-- })
			w.directory.state = func() error { return gone }
			check(t, "a replica that lags", want, w.tell(order{user: "bob"}).Outcome.Reason)
		})
	}
}

func TestRulesAreAskedAgainAfterWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*account)
		want      writeback.Reason
	}{
		"nothing happened":         {func(*account) {}, writeback.ReasonOK},
		"disabled":                 {func(a *account) { a.UserAccountControl |= writeback.UACDisabled }, writeback.UserDisabled},
		"became an administrator":  {func(a *account) { a.TokenGroups = append(a.TokenGroups, "S-1-5-21-1-2-3-512") }, writeback.PolicyProtectedUser},
		"moved out of the scope":   {func(a *account) { a.Containers = []string{"ou=gone,dc=corp", "dc=corp"} }, writeback.PolicyOutOfScope},
		"renamed":                  {func(a *account) { a.DistinguishedName = "CN=renamed" }, writeback.ReasonOK},
		"its groups became hidden": {func(a *account) { a.TokenGroups = nil }, writeback.PolicyProtectedUser},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.govern(t, guards.IssuerRules{Operations: []writeback.Operation{writeback.OpReset}, Scope: []string{"ou=staff,dc=corp"}})
				w.directory.write = func(carryOut func()) error { time.Sleep(3 * time.Second); carryOut(); return nil }
				_, first := w.ask(order{user: "alice"})
				_, second := w.ask(order{user: "alice"})
				done := make(chan struct{})
				go func() { defer close(done); w.handle(first) }()
				synctest.Wait()
				go func() { time.Sleep(time.Second); w.directory.edit("alice", c.meanwhile) }()
				check(t, "second", c.want, w.deliver(second).Reason)
				<-done
			})
		})
	}
}

// A request waits for another of the same user while its portal's key is revoked.
func TestARevocationCountsAlsoForWhoWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(carryOut func()) error { time.Sleep(3 * time.Second); carryOut(); return nil }
		_, first := w.ask(order{user: "alice"})
		request, second := w.ask(order{user: "alice"})
		done := make(chan struct{})
		go func() { defer close(done); w.handle(first) }()
		synctest.Wait()
		go func() { time.Sleep(time.Second); w.envelope.revoke() }()
		check(t, "the one that waited", writeback.EnvelopeUntrustedIssuer, w.handle(second).Reason)
		<-done
		check(t, "writes", 1, w.directory.user("alice").writes)
		check(t, "audit", []audit.Kind{audit.KindRefused}, w.auditKinds(request))
		_, third := w.ask(order{user: "alice"})
		check(t, "a later one", expect{Settlement: writeback.Discard, Reason: writeback.EnvelopeUntrustedIssuer}, w.deliver(third))
	})
}

func TestAnotherAccountUnderTheSameGUIDIsNotWritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(carryOut func()) error { time.Sleep(3 * time.Second); carryOut(); return nil }
		_, first := w.ask(order{user: "alice"})
		_, second := w.ask(order{user: "alice"})
		done := make(chan struct{})
		go func() { defer close(done); w.handle(first) }()
		synctest.Wait()
		w.directory.edit("alice", func(*account) { w.directory.misread = true })
		check(t, "second", writeback.AgentInternal, w.deliver(second).Reason)
		<-done
		check(t, "bob's writes", 0, w.directory.user("bob").writes)
	})
}

// spendBudget has alice's old password guessed until the budget is spent.
func (w *world) spendBudget(t *testing.T) {
	t.Helper()
	for range w.config.UserBudget.Tries {
		_, token := w.ask(change("a guess"))
		check(t, "a guess", writeback.PasswordOldIncorrect, w.deliver(token).Reason)
	}
}

// The issuer's rules hold for every operation but the ping, and the audit names the operator, also of what was refused.
func TestOperatorsAreNamedAndJudged(t *testing.T) {
	for allowed, want := range map[writeback.ActorKind]writeback.Reason{writeback.ActorAdmin: writeback.ReasonOK, writeback.ActorSelf: writeback.PolicyOperationNotAllowed} {
		inWorld(t, func(t *testing.T, w *world) {
			operations := []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck}
			w.govern(t, guards.IssuerRules{Operations: operations, WholeDirectory: true}, allowed)
			for _, operation := range operations {
				w.directory.edit("alice", func(a *account) {
					a.password, a.Password.LockoutTimeSet, a.Password.ChangedAt = oldPassword, operation == writeback.OpUnlock, time.Now().Add(-time.Hour)
				})
				request, token := w.ask(order{user: "alice", operation: operation, old: oldPassword, operator: "op-7"})
				check(t, string(operation), want, w.deliver(token).Reason)
				check(t, "operator", "op-7", w.operator(request))
			}
		})
	}
}

// operator returns who the audit's last line about a request names.
func (w *world) operator(request writeback.Request) (id string) {
	w.t.Helper()
	for entry, err := range audit.Read(w.t.Context(), w.dir+"/audit") {
		if err != nil {
			w.t.Fatal(err)
		}
		if entry.Request == request.Key() {
			id = entry.Actor.ID
		}
	}
	return id
}

var _ agent.Guard = (*guards.Guard)(nil)

package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// inWorld runs a test in a bubble with a world of its own.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) })
}

var written = expect{Settlement: writeback.Complete, Verdict: writeback.Written, Reason: writeback.ReasonOK}

func check[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAGoodResetIsWrittenOnceAndAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.ask(order{user: "alice"})
		check(t, "delivery", written, w.deliver(token))
		alice := w.directory.user("alice")
		if alice.writes != 1 || alice.password != newPassword {
			t.Errorf("%d writes, right password %v", alice.writes, alice.password == newPassword)
		}
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome}, w.auditKinds(request))
		pending, _ := w.ledger.Pending(t.Context())
		if len(pending) != 1 || pending[0].Queue != "results-portal" || pending[0].Session != "session-1" || pending[0].Request != request.Key() {
			t.Errorf("outbox: %+v", pending)
		}
		result := w.last()
		if result.Agent != "corp/host1" || result.Audience != "portal" || result.RequestID != request.ID || result.RequestDigest != request.Digest {
			t.Errorf("result: %+v", result)
		}
		if record := w.record(request); !record.Audited || record.State != ledger.StateDone {
			t.Errorf("record: %+v", record)
		}
	})
}

func TestTheStepsAreTakenInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice"})
		w.handle(token)
		check(t, "steps", []agent.Step{
			agent.StepReceived, agent.StepVerified, agent.StepOpened, agent.StepRecalled, agent.StepResolved, agent.StepAdmitted,
			agent.StepRecorded, agent.StepWritten, agent.StepStored, agent.StepSettled,
		}, w.observer.passed())
	})
}

func TestTheIntentIsOnDiskBeforeTheWrite(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.ask(order{user: "alice"})
		w.directory.write = func(carryOut func()) error {
			record := w.record(request)
			if record.State != ledger.StateWriting || record.Intent.Controller != "dc1:636" || record.Intent.Seen.Version != 3 {
				t.Errorf("record at the moment of the write: %+v", record)
			}
			check(t, "audit at the moment of the write", []audit.Kind{audit.KindIntent}, w.auditKinds(request))
			carryOut()
			return nil
		}
		check(t, "delivery", written, w.deliver(token))
	})
}

func TestARepeatedRequestIsAnsweredFromMemory(t *testing.T) {
	for name, wait := range map[string]time.Duration{"at once": 0, "after its expiry": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				_, token := w.ask(order{user: "alice"})
				w.deliver(token)
				time.Sleep(wait)
				again := written
				again.Replayed = true
				check(t, "second delivery", again, w.deliver(token))
				if writes := w.directory.user("alice").writes; writes != 1 {
					t.Errorf("%d writes, want 1", writes)
				}
			})
		})
	}
}

func TestARefusalIsRememberedToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.guard.account = writeback.NewError(writeback.PolicyProtectedUser, errors.New("admin"))
		_, token := w.ask(order{user: "alice"})
		refused := expect{writeback.Complete, writeback.NotWritten, writeback.PolicyProtectedUser, false}
		check(t, "first", refused, w.deliver(token))
		w.guard.account = nil // whoever was told "not written" must be able to rely on it
		refused.Replayed = true
		check(t, "second", refused, w.deliver(token))
		if writes := w.directory.user("alice").writes; writes != 0 {
			t.Errorf("%d writes, want none", writes)
		}
	})
}

func TestAnIDUsedTwiceDoesNotTouchTheFirstOutcome(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.ask(order{user: "alice", id: "same"})
		w.deliver(token)
		_, other := w.ask(order{user: "bob", id: "same", content: "other"})
		check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.EnvelopeIDReused, false}, w.deliver(other))
		if w.directory.user("bob").writes != 0 || w.record(request).Outcome.Reason != writeback.ReasonOK {
			t.Error("the second request had an effect")
		}
	})
}

func TestAMessageThatDoesNotVerifyGetsSilence(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		check(t, "forged", expect{Settlement: writeback.Discard, Reason: writeback.EnvelopeBadSignature}, w.deliver([]byte("forged")))
		foreign := delivery([]byte("forged"), 1)
		foreign.ContentType = "text/plain"
		disposition := w.pipeline.Handle(t.Context(), foreign)
		check(t, "content type", writeback.EnvelopeMalformed, disposition.Reason)
		_, unforeseen := w.ask(order{user: "alice", verifyErr: errors.New("a key store that does not answer")})
		check(t, "unforeseen", expect{Settlement: writeback.Discard, Reason: writeback.EnvelopeMalformed}, w.deliver(unforeseen))
		check(t, "counted", []writeback.Reason{writeback.EnvelopeBadSignature, writeback.EnvelopeMalformed, writeback.EnvelopeMalformed}, w.recorder.discarded)
		if results := w.results(); len(results) != 0 {
			t.Errorf("%d results", len(results))
		}
	})
}

func TestASignedRequestThatCannotBeServedIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		unsupported := writeback.NewError(writeback.RequestUnsupported, errors.New("unknown claim"))
		_, token := w.ask(order{user: "alice", verifyErr: unsupported, signed: true})
		check(t, "unknown claim", expect{writeback.Complete, writeback.NotWritten, writeback.RequestUnsupported, false}, w.deliver(token))
		malformed := writeback.NewError(writeback.EnvelopeMalformed, errors.New("act is missing"))
		_, token = w.ask(order{user: "alice", verifyErr: malformed, signed: true})
		check(t, "a claim missing", expect{writeback.Discard, writeback.NotWritten, writeback.EnvelopeMalformed, false}, w.deliver(token))
		w.envelope.times = writeback.NewError(writeback.EnvelopeMalformed, errors.New("lives for an hour"))
		_, token = w.ask(order{user: "alice"})
		check(t, "a life too long", expect{writeback.Discard, writeback.NotWritten, writeback.EnvelopeMalformed, false}, w.deliver(token))
		w.envelope.times = nil
		_, token = w.ask(order{user: "alice", openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)})
		check(t, "undecryptable", expect{writeback.Complete, writeback.NotWritten, writeback.EnvelopeUndecryptable, false}, w.deliver(token))
		if !w.board.Gate().Open() {
			t.Errorf("what one portal sends closed the intake for all: %+v", w.board.Snapshot())
		}
	})
}

func TestAMessageForOtherAgentsIsHandedOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice", openErr: writeback.NewError(writeback.EnvelopeNotForUs, nil)})
		for count := uint32(1); count < writeback.NotForUsDeliveries; count++ {
			got := w.pipeline.Handle(t.Context(), delivery(token, count))
			check(t, "disposition", writeback.Disposition{
				Reason: writeback.EnvelopeNotForUs, Settlement: writeback.Abandon, Delay: 2 * time.Second, SlowIntake: true,
			}, got)
		}
		if len(w.results()) != 0 {
			t.Fatal("answered although another agent may serve it")
		}
		got := w.pipeline.Handle(t.Context(), delivery(token, writeback.NotForUsDeliveries))
		check(t, "last disposition", writeback.Disposition{Reason: writeback.EnvelopeNotForUs, Settlement: writeback.Complete, SlowIntake: true}, got)
		check(t, "answer", writeback.EnvelopeNotForUs, w.last().Outcome.Reason)
		check(t, "issuers that do not seal for us", 4, len(w.recorder.foreign))
	})
}

func TestAnExpiredRequestNeverWrites(t *testing.T) {
	for name, c := range map[string]struct {
		age     time.Duration
		changed time.Duration // of the password, before the request was issued
		state   error
		want    expect
	}{
		"password untouched since":         {2 * time.Minute, time.Minute, nil, expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false}},
		"password newer: somebody did":     {2 * time.Minute, -time.Second, nil, expect{writeback.Complete, writeback.Unknown, writeback.RequestExpired, false}},
		"password within five seconds":     {2 * time.Minute, 5 * time.Second, nil, expect{writeback.Complete, writeback.Unknown, writeback.RequestExpired, false}},
		"directory cannot be asked":        {2 * time.Minute, 0, writeback.NewError(writeback.DirectoryUnavailable, nil), expect{writeback.Complete, writeback.Unknown, writeback.DirectoryUnavailable, false}},
		"an hour later nobody is answered": {62 * time.Minute, time.Minute, nil, expect{Settlement: writeback.Complete, Reason: writeback.RequestExpired}},
		"exactly at exp plus skew":         {90 * time.Second, time.Minute, nil, expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				request, token := w.ask(order{user: "alice", age: c.age})
				w.directory.edit("alice", func(a *account) { a.Password.ChangedAt = request.IssuedAt.Add(-c.changed) })
				w.directory.resolve = func() error { return c.state }
				check(t, "delivery", c.want, w.deliver(token))
				if writes := w.directory.user("alice").writes; writes != 0 {
					t.Errorf("%d writes, want none", writes)
				}
			})
		})
	}
}

func TestAnExpiredRequestShowsNoMoreThanAFreshOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.guard.account = writeback.NewError(writeback.PolicyOutOfScope, nil)
		_, token := w.ask(order{user: "alice", age: 2 * time.Minute})
		check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.PolicyOutOfScope, false}, w.deliver(token))
		w.guard.account, w.guard.issuer = nil, writeback.NewError(writeback.PolicyOperationNotAllowed, nil)
		w.servedElsewhere()
		_, token = w.ask(order{user: "alice", age: 2 * time.Minute})
		check(t, "not allowed", expect{writeback.Complete, writeback.NotWritten, writeback.PolicyOperationNotAllowed, false}, w.deliver(token))
	})
}

func TestAJustUnexpiredRequestIsServed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice", age: 59 * time.Second})
		check(t, "delivery", written, w.deliver(token))
	})
}

func TestARequestFromTheFutureStaysRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice", age: -40 * time.Second})
		early := expect{writeback.Complete, writeback.NotWritten, writeback.RequestNotYetValid, false}
		check(t, "too early", early, w.deliver(token))
		time.Sleep(30 * time.Second) // a queue that keeps it back until it is valid gains nothing
		early.Replayed = true
		check(t, "in time", early, w.deliver(token))
	})
}

func TestRefusalsOfGuardAndDirectoryAreAnswered(t *testing.T) {
	refusal := func(reason writeback.Reason) error { return writeback.NewError(reason, errors.New("because")) }
	for name, c := range map[string]struct {
		arrange func(w *world)
		user    string
		want    writeback.Reason
	}{
		"issuer":         {func(w *world) { w.guard.issuer = refusal(writeback.AuthTooOld) }, "alice", writeback.AuthTooOld},
		"kind of id":     {func(w *world) { w.guard.subject = refusal(writeback.PolicyOperationNotAllowed) }, "alice", writeback.PolicyOperationNotAllowed},
		"password":       {func(w *world) { w.guard.password = refusal(writeback.PasswordTooLong) }, "alice", writeback.PasswordTooLong},
		"account":        {func(w *world) { w.guard.account = refusal(writeback.UserDisabled) }, "alice", writeback.UserDisabled},
		"no such user":   {func(*world) {}, "nobody", writeback.UserNotFound},
		"no controller":  {func(w *world) { w.directory.resolve = func() error { return refusal(writeback.DirectoryUnavailable) } }, "alice", writeback.DirectoryUnavailable},
		"no right":       {func(w *world) { w.answerWrites(refusal(writeback.DirectoryAccessDenied)) }, "alice", writeback.DirectoryAccessDenied},
		"policy refuses": {func(w *world) { w.answerWrites(refusal(writeback.PasswordInHistory)) }, "alice", writeback.PasswordInHistory},
		"form refused":   {func(w *world) { w.answerWrites(refusal(writeback.AgentInternal)) }, "alice", writeback.AgentInternal},
		"untyped error":  {func(w *world) { w.directory.resolve = func() error { return errors.New("surprise") } }, "alice", writeback.AgentInternal},
		"clocks differ":  {func(w *world) { w.directory.skew = 61 * time.Second }, "alice", writeback.AgentMisconfigured},
		"time unreadable": {func(w *world) {
			w.directory.edit("alice", func(a *account) { a.Password = writeback.PasswordState{} })
		}, "alice", writeback.DirectoryAccessDenied},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				c.arrange(w)
				request, token := w.ask(order{user: c.user})
				check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, c.want, false}, w.deliver(token))
				if writes := w.directory.user("alice").writes; writes != 0 {
					t.Errorf("%d writes, want none", writes)
				}
				kinds := []audit.Kind{audit.KindRefused}
				if w.directory.write != nil { // the directory was asked
					kinds = []audit.Kind{audit.KindIntent, audit.KindOutcome}
				}
				check(t, "audit", kinds, w.auditKinds(request))
			})
		})
	}
}

// answerWrites makes the directory refuse every write with err, without carrying it out.
func (w *world) answerWrites(err error) {
	w.directory.write = func(func()) error { return err }
}

func TestAPasswordThatSomebodySetSinceIsNotOverwritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice"})
		w.directory.edit("alice", func(a *account) { a.set("chosen by an administrator") })
		check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.RequestSuperseded, false}, w.deliver(token))
	})
}

func TestOurOwnEarlierWriteIsNotSomebodyElses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, first := w.ask(order{user: "alice", password: "F1rst-Password"})
		time.Sleep(time.Second)
		_, second := w.ask(order{user: "alice", password: "S3cond-Password"})
		time.Sleep(time.Second)
		check(t, "first", written, w.deliver(first))
		check(t, "second, issued before the first was written", written, w.deliver(second))
		if password := w.directory.user("alice").password; password != "S3cond-Password" {
			t.Error("the newer request did not win")
		}
	})
}

func TestAnOlderRequestDoesNotOverwriteANewerOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, older := w.ask(order{user: "alice", password: "F1rst-Password"})
		time.Sleep(time.Second)
		_, newer := w.ask(order{user: "alice", password: "S3cond-Password"})
		w.deliver(newer)
		check(t, "older", expect{writeback.Complete, writeback.NotWritten, writeback.RequestSuperseded, false}, w.deliver(older))
	})
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	for name, arrange := range map[string]func(w *world){
		"ledger cannot be read":          func(w *world) { w.ledger.fail("Get", errDisk) },
		"claim cannot be written":        func(w *world) { w.ledger.fail("Claim", errDisk) },
		"intent not into the audit":      func(w *world) { w.audit.fail(audit.KindIntent, errDisk) },
		"intent not into the ledger":     func(w *world) { w.ledger.fail("BeginWriting", errDisk) },
		"clock behind a confirmed time":  func(w *world) { _ = w.ledger.AdvanceTime(w.t.Context(), time.Now().Add(time.Hour)); w.restart() },
		"outcome of a refusal not saved": func(w *world) { w.guard.account = errDisk; w.ledger.fail("Finish", errDisk) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				arrange(w)
				_, token := w.ask(order{user: "alice"})
				disposition := w.handle(token)
				check(t, "disposition", writeback.Disposition{Reason: writeback.AgentStorageUnavailable, Settlement: writeback.Abandon}, disposition)
				if writes := w.directory.user("alice").writes; writes != 0 {
					t.Errorf("%d writes, want none", writes)
				}
				if w.board.Gate().Open() {
					t.Error("the intake stays open")
				}
			})
		})
	}
}

func TestTheGateOpensAgainWhenTheDiskWorks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.audit.fail(audit.KindIntent, errDisk)
		_, token := w.ask(order{user: "alice"})
		w.handle(token)
		w.audit.fail(audit.KindReconciled, errDisk)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.pipeline.Maintain(ctx)
		time.Sleep(time.Minute)
		if w.board.Gate().Open() {
			t.Fatal("the gate opened although the disk still refuses")
		}
		w.audit.fail(audit.KindIntent, nil)
		time.Sleep(time.Minute)
		if !w.board.Gate().Open() {
			t.Fatalf("the gate stays closed: %+v", w.board.Snapshot())
		}
		_, token = w.ask(order{user: "alice"})
		check(t, "afterwards", written, w.deliver(token))
	})
}

func TestAnOutcomeThatMissedTheAuditIsReconciled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.audit.fail(audit.KindOutcome, errDisk)
		request, token := w.ask(order{user: "alice"})
		check(t, "the outcome stands", written, w.deliver(token))
		w.restart()
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindReconciled}, w.auditKinds(request))
		w.restart()
		check(t, "audit after another start", []audit.Kind{audit.KindIntent, audit.KindReconciled}, w.auditKinds(request))
	})
}

func TestNoWriteForAQueueWhoseLocksAreTooShort(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice"})
		short := delivery(token, 1)
		locked := time.Now().Add(time.Minute) // Azure's default; the request lives for a minute, plus 30 s of skew
		short.LockedUntil = func() time.Time { return locked }
		check(t, "settlement", writeback.Complete, w.pipeline.Handle(t.Context(), short).Settlement)
		outcome := w.last().Outcome
		check(t, "outcome", writeback.Outcome{
			Verdict: writeback.NotWritten, Reason: writeback.AgentMisconfigured, Detail: writeback.Detail{Hint: "lock_duration"},
		}, outcome)
		check(t, "writes", 0, w.directory.user("alice").writes)
	})
}

func TestAClaimToLiveForEverIsNotRememberedForEver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, _ := w.ask(order{user: "alice"})
		request.ExpiresAt = time.Now().Add(1000 * time.Hour)
		token := w.envelope.put("for ever", sealed{request: request, password: newPassword, openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)})
		w.deliver(token)
		if got := time.Until(w.record(request).ExpiresAt); got > 24*time.Hour {
			t.Errorf("remembered for %s", got)
		}
	})
}

func TestPing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{operation: writeback.OpPing})
		check(t, "delivery", expect{writeback.Complete, writeback.OK, writeback.ReasonOK, false}, w.deliver(token))
	})
}

func TestUnlock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice", operation: writeback.OpUnlock})
		check(t, "not locked", expect{writeback.Complete, writeback.Written, writeback.AlreadyApplied, false}, w.deliver(token))
		w.directory.edit("alice", func(a *account) { a.Password.LockoutTimeSet = true })
		_, token = w.ask(order{user: "alice", operation: writeback.OpUnlock})
		check(t, "locked", written, w.deliver(token))
		if alice := w.directory.user("alice"); alice.unlocks != 1 || alice.writes != 0 {
			t.Errorf("%d unlocks and %d password writes, want 1 and 0", alice.unlocks, alice.writes)
		}
	})
}

// lockoutTime that may not be read looks like none; the controller's own word, that the account is locked out, counts.
func TestAnUnlockIsNotCalledAppliedWhereTheLockoutCannotBeRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.edit("alice", func(a *account) { a.LockedOut = true })
		_, token := w.ask(order{user: "alice", operation: writeback.OpUnlock})
		check(t, "delivery", written, w.deliver(token))
		check(t, "unlocks", 1, w.directory.user("alice").unlocks)
		w.loseAnswers(false)
		_, token = w.ask(order{user: "alice", operation: writeback.OpUnlock})
		check(t, "a lost answer", unknown, w.deliver(token))
	})
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		config := w.config
		config.Guard, config.Audit = nil, nil
		_, err := agent.New(config)
		if err == nil || !strings.Contains(err.Error(), "Guard") || !strings.Contains(err.Error(), "Audit") {
			t.Errorf("a pipeline without guard and audit: %v, want both named", err)
		}
	})
}

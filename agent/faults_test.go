package agent_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

var errLost = writeback.NewError(writeback.DirectoryOutcomeUnknown, errors.New("connection reset"))

var unknown = expect{Settlement: writeback.Complete, Verdict: writeback.Unknown, Reason: writeback.DirectoryOutcomeUnknown}

// loseAnswers makes the directory lose the answer of every write; carried tells whether it carries the write out.
func (w *world) loseAnswers(carried bool) {
	w.directory.write = func(carryOut func()) error {
		if carried {
			carryOut()
		}
		return errLost
	}
}

func TestALostAnswerOfACarriedOutWriteIsFoundOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.loseAnswers(true)
		request, token := w.ask(order{user: "alice"})
		check(t, "delivery", written, w.deliver(token))
		if w.directory.probes != 1 || !w.record(request).Probed {
			t.Errorf("%d probes, noted %v; want one, noted", w.directory.probes, w.record(request).Probed)
		}
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome}, w.auditKinds(request))
	})
}

func TestALostWriteIsNeverCalledNotWritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.loseAnswers(false)
		request, token := w.ask(order{user: "alice"})
		begun := time.Now()
		check(t, "delivery", unknown, w.deliver(token))
		check(t, "looked for", 30*time.Second, time.Since(begun))
		if record := w.record(request); record.Settled {
			t.Error("nobody goes on looking")
		}
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if record := w.record(request); !record.Settled || record.Outcome.Verdict != writeback.Unknown {
			t.Errorf("after an hour: %+v", record)
		}
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome, audit.KindSettled}, w.auditKinds(request))
	})
}

func TestAFailureWithoutAReasonMayHaveBeenSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.answerWrites(errors.New("surprise"))
		_, token := w.ask(order{user: "alice"})
		check(t, "delivery", unknown, w.deliver(token))
	})
}

func TestAWriteThatIsCarriedOutLaterRevisesTheAnswerOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var carryOut func()
		w.directory.write = func(late func()) error { carryOut = late; return errLost }
		request, token := w.ask(order{user: "alice"})
		check(t, "first answer", unknown, w.deliver(token))
		time.Sleep(10 * time.Minute)
		carryOut()
		time.Sleep(time.Minute)
		synctest.Wait()
		results := w.results()
		if len(results) != 2 || results[1].Outcome.Verdict != writeback.Written || results[1].RequestID != request.ID {
			t.Fatalf("results: %+v", results)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if record := w.record(request); !record.Revised || !record.Settled {
			t.Errorf("record: %+v", record)
		}
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome, audit.KindRevised}, w.auditKinds(request))
	})
}

func TestSomebodyElsesWriteIsNotTakenForOurs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(func()) error {
			w.directory.edit("alice", func(a *account) { a.set("an administrator's") })
			return errLost
		}
		_, token := w.ask(order{user: "alice"})
		check(t, "delivery", unknown, w.deliver(token))
		if w.directory.probes != 1 {
			t.Errorf("%d probes, want exactly one", w.directory.probes)
		}
	})
}

func TestNoProbeNearTheLockoutThreshold(t *testing.T) {
	for name, c := range map[string]struct {
		late time.Duration
		want expect
	}{
		"its time speaks for us":     {0, written},
		"its time speaks against us": {20 * time.Second, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.directory.edit("alice", func(a *account) { a.Password.LockoutThreshold, a.Password.BadPasswordCount = 5, 3 })
				w.directory.write = func(carryOut func()) error {
					time.AfterFunc(c.late, carryOut)
					return errLost
				}
				_, token := w.ask(order{user: "alice"})
				check(t, "delivery", c.want, w.deliver(token))
				if w.directory.probes != 0 {
					t.Errorf("%d probes at 3 of 5 bad passwords", w.directory.probes)
				}
			})
		})
	}
}

func TestARefusalThatAnswersARepetitionIsFoundOut(t *testing.T) {
	inHistory := writeback.NewError(writeback.PasswordInHistory, errors.New("0000052D"))
	t.Run("ours", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.directory.write = func(carryOut func()) error { carryOut(); return inHistory }
			_, token := w.ask(order{user: "alice"})
			check(t, "delivery", written, w.deliver(token))
		})
	})
	t.Run("somebody else's", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.directory.write = func(func()) error {
				w.directory.edit("alice", func(a *account) { a.set("other") })
				return inHistory
			}
			_, token := w.ask(order{user: "alice"})
			check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.PasswordInHistory, false}, w.deliver(token))
		})
	})
	t.Run("two of other people", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.directory.write = func(func()) error {
				w.directory.edit("alice", func(a *account) { a.set("other"); a.set("third") })
				return inHistory
			}
			_, token := w.ask(order{user: "alice"})
			check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.PasswordInHistory, false}, w.deliver(token))
			check(t, "binds with a password that cannot be proven", 0, w.directory.probes)
		})
	})
}

func TestLaterRequestsWaitForAnOpenOutcome(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.loseAnswers(false)
		_, first := w.ask(order{user: "alice"})
		check(t, "first", unknown, w.deliver(first))
		w.directory.write = nil
		_, second := w.ask(order{user: "alice"})
		begun := time.Now()
		check(t, "second", expect{writeback.Complete, writeback.NotWritten, writeback.RequestInProgress, false}, w.deliver(second))
		check(t, "waited until its own expiry", time.Minute, time.Since(begun))
		_, other := w.ask(order{user: "bob"})
		check(t, "other users do not wait", written, w.deliver(other))
	})
}

func TestTwoRequestsOfOneUserDoNotRunAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		inHand, most := 0, 0
		w.directory.write = func(carryOut func()) error {
			mu.Lock()
			inHand++
			most = max(most, inHand)
			mu.Unlock()
			time.Sleep(time.Second)
			carryOut()
			mu.Lock()
			inHand--
			mu.Unlock()
			return nil
		}
		var group sync.WaitGroup
		for range 3 {
			_, token := w.ask(order{user: "alice"})
			group.Go(func() { w.handle(token) })
		}
		group.Wait()
		if most != 1 {
			t.Errorf("%d writes of one user at once", most)
		}
		if writes := w.directory.user("alice").writes; writes != 3 {
			t.Errorf("%d writes, want 3", writes)
		}
	})
}

func TestAPasswordSetWhileARequestWaitedIsNotOverwritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(func()) error {
			w.directory.edit("alice", func(*account) { w.directory.write = nil })
			time.Sleep(3 * time.Second)
			return writeback.NewError(writeback.PasswordTooSimple, nil)
		}
		_, first := w.ask(order{user: "alice"})
		_, second := w.ask(order{user: "alice"})
		var group sync.WaitGroup
		group.Go(func() { w.handle(first) })
		synctest.Wait()
		group.Go(func() { w.handle(second) })
		time.Sleep(time.Second)
		w.directory.edit("alice", func(a *account) { a.set("an administrator's") })
		group.Wait()
		check(t, "second", writeback.RequestSuperseded, w.last().Outcome.Reason)
	})
}

func TestTheSameTokenTwiceAtOnceWritesOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(carryOut func()) error { time.Sleep(time.Second); carryOut(); return nil }
		_, token := w.ask(order{user: "alice"})
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() { w.handle(token) })
		}
		group.Wait()
		if writes := w.directory.user("alice").writes; writes != 1 {
			t.Errorf("%d writes, want 1", writes)
		}
		for _, result := range w.results() {
			check(t, "answer", writeback.Written, result.Outcome.Verdict)
		}
	})
}

// crashDuringWrite leaves a record in state "writing", as a killed process does, and starts another.
func (w *world) crashDuringWrite(carried bool) (writeback.Request, []byte) {
	w.t.Helper()
	request, token := w.ask(order{user: "alice"})
	w.loseAnswers(carried)
	w.ledger.fail("Finish", errors.New("killed"))
	w.handle(token)
	if record := w.record(request); record.State != ledger.StateWriting {
		w.t.Fatalf("state after the crash: %s", record.State)
	}
	w.directory.write = nil
	w.restart()
	return request, token
}

func TestAfterACrashTheOutcomeIsFoundWithoutARedelivery(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.crashDuringWrite(true)
		synctest.Wait()
		if result := w.last(); result.Outcome.Verdict != writeback.Written || result.RequestID != request.ID || result.RequestDigest != request.Digest {
			t.Errorf("result: %+v", result)
		}
		again := written
		again.Replayed = true
		check(t, "redelivery", again, w.deliver(token))
		if writes := w.directory.user("alice").writes; writes != 1 {
			t.Errorf("%d writes, want 1", writes)
		}
	})
}

func TestAfterACrashBeforeTheWriteTheOutcomeIsUnknownAndNobodyWrites(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.crashDuringWrite(false)
		again := unknown
		again.Replayed = true
		check(t, "redelivery while it is looked for", again, w.deliver(token))
		time.Sleep(2 * time.Hour)
		if writes := w.directory.user("alice").writes; writes != 0 {
			t.Errorf("%d writes, want none: a controller may still carry out the lost one", writes)
		}
	})
}

func TestARedeliveryLendsItsPasswordToTheSearch(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.crashDuringWrite(false)
		time.Sleep(time.Minute) // the first answer is "unknown" by now
		w.directory.edit("alice", func(a *account) { a.set(newPassword) })
		time.Sleep(time.Minute)
		if record := w.record(request); record.Outcome.Verdict != writeback.Unknown {
			t.Fatalf("a write outside of its time was taken for ours without a proof: %+v", record.Outcome)
		}
		w.deliver(token)
		synctest.Wait()
		if record := w.record(request); record.Outcome.Verdict != writeback.Written || !record.Revised {
			t.Errorf("record after the redelivery: %+v", record)
		}
	})
}

func TestAnAccountStaysLockedAcrossARestart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.crashDuringWrite(false)
		_, second := w.ask(order{user: "alice"})
		check(t, "second", writeback.RequestInProgress, w.deliver(second).Reason)
	})
}

func TestAnOutcomeThatCannotBeStoredIsNotGivenToAnotherAgent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.ledger.fail("Finish", errDisk)
		request, token := w.ask(order{user: "alice"})
		check(t, "settlement", writeback.Complete, w.handle(token).Settlement)
		if w.board.Gate().Open() {
			t.Error("the intake stays open")
		}
		w.restart()
		synctest.Wait()
		if result := w.last(); result.Outcome.Verdict != writeback.Written || result.RequestID != request.ID {
			t.Errorf("result after the restart: %+v", result)
		}
	})
}

func TestAClaimedRequestGoesOnWhileUnexpired(t *testing.T) {
	for name, c := range map[string]struct {
		wait   time.Duration
		want   expect
		writes int
	}{
		"unexpired": {10 * time.Second, written, 1},
		"expired":   {10 * time.Minute, expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				request, token := w.ask(order{user: "alice"})
				w.claim(request)
				w.restart()
				time.Sleep(c.wait)
				check(t, "redelivery", c.want, w.deliver(token))
				check(t, "writes", c.writes, w.directory.user("alice").writes)
			})
		})
	}
}

func TestNoWriteWhenTheQueuesLockWouldEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.ask(order{user: "alice"})
		short := delivery(token, 1)
		w.observer.when(agent.StepRecorded, func() {
			short.LockedUntil = func() time.Time { return time.Now().Add(4 * time.Second) }
		})
		check(t, "disposition", writeback.Disposition{Reason: writeback.AgentLockLost, Settlement: writeback.Abandon}, w.pipeline.Handle(t.Context(), short))
		check(t, "state", ledger.StateClaimed, w.record(request).State)
		check(t, "redelivery", written, w.deliver(token))
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindReleased, audit.KindIntent, audit.KindOutcome}, w.auditKinds(request))
	})
}

func TestNoWriteWhenTheRequestExpiresOnItsWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.observer.when(agent.StepRecorded, func() { time.Sleep(2 * time.Minute) })
		_, token := w.ask(order{user: "alice"})
		check(t, "delivery", expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false}, w.deliver(token))
		check(t, "writes", 0, w.directory.user("alice").writes)
	})
}

func TestStoppingBeforeTheWriteGivesTheMessageBack(t *testing.T) {
	for _, step := range []agent.Step{agent.StepReceived, agent.StepVerified, agent.StepRecalled, agent.StepResolved, agent.StepAdmitted, agent.StepRecorded} {
		t.Run(string(step), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				ctx, stop := context.WithCancel(t.Context())
				w.observer.when(step, stop)
				_, token := w.ask(order{user: "alice"})
				got := w.pipeline.Handle(ctx, delivery(token, 1))
				check(t, "disposition", writeback.Disposition{Reason: writeback.AgentStopping, Settlement: writeback.Abandon}, got)
				check(t, "writes", 0, w.directory.user("alice").writes)
				w.observer.when("", nil)
				check(t, "another try", written, w.deliver(token))
			})
		})
	}
}

func TestStoppingDuringTheWriteFinishesIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		w.directory.write = func(carryOut func()) error { stop(); time.Sleep(time.Second); carryOut(); return nil }
		_, token := w.ask(order{user: "alice"})
		check(t, "settlement", writeback.Complete, w.pipeline.Handle(ctx, delivery(token, 1)).Settlement)
		check(t, "outcome", writeback.Written, w.last().Outcome.Verdict)
	})
}

func TestStoppingWhileFindingOutNeverGivesTheMessageBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		w.loseAnswers(false)
		request, token := w.ask(order{user: "alice"})
		check(t, "settlement", writeback.Complete, w.pipeline.Handle(ctx, delivery(token, 1)).Settlement)
		w.directory.edit("alice", func(a *account) { a.set(newPassword) })
		w.restart()
		synctest.Wait()
		if record := w.record(request); record.Outcome.Verdict != writeback.Written || record.Revised {
			t.Errorf("record after the restart: %+v, want written as the first answer", record)
		}
	})
}

func TestAPanicEndsOneRequestOnly(t *testing.T) {
	t.Run("before the write", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.directory.resolve = func() error { panic(newPassword) }
			w.directory.mu = sync.Mutex{}
			_, token := w.ask(order{user: "alice"})
			got := w.handle(token)
			check(t, "disposition", writeback.Disposition{Reason: writeback.AgentInternal, Settlement: writeback.Complete}, got)
			check(t, "answer", writeback.NotWritten, w.last().Outcome.Verdict)
		})
	})
	t.Run("during the write", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.directory.write = func(carryOut func()) error { carryOut(); panic("connection") }
			_, token := w.ask(order{user: "alice"})
			check(t, "delivery", written, w.deliver(token))
		})
	})
	t.Run("while finding out", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.loseAnswers(true)
			w.directory.state = func() error { panic(newPassword) }
			request, token := w.ask(order{user: "alice"})
			check(t, "settlement", writeback.Complete, w.handle(token).Settlement)
			w.directory.state = nil
			w.maintain(time.Minute)
			check(t, "afterwards", writeback.Written, w.record(request).Outcome.Verdict)
		})
	})
}

func TestALostAnswerToAnUnlockIsFoundOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.edit("alice", func(a *account) { a.Password.LockoutTimeSet = true })
		w.loseAnswers(true)
		_, token := w.ask(order{user: "alice", operation: writeback.OpUnlock})
		if diff := cmp.Diff(expect{writeback.Complete, writeback.Written, writeback.AlreadyApplied, false}, w.deliver(token)); diff != "" {
			t.Errorf("delivery (-want +got):\n%s", diff)
		}
	})
}

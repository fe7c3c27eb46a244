package agent_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// servedElsewhere is what another agent leaves behind that wrote a request, and then died before it answered.
func (w *world) servedElsewhere() {
	w.directory.edit("alice", func(a *account) { a.set(newPassword) })
}

// An expired request may have been written by another agent of the group: nobody may call that "not written".
func TestWhatAnotherAgentMayHaveWrittenIsNotCalledNotWritten(t *testing.T) {
	maybe := expect{Settlement: writeback.Complete, Verdict: writeback.Unknown, Reason: writeback.RequestExpired}
	notForUs := writeback.NewError(writeback.EnvelopeNotForUs, nil)
	for name, c := range map[string]struct {
		order   order
		count   uint32
		arrange func(w *world, request writeback.Request)
		want    expect
	}{
		"sealed for another agent": {order{user: "alice", openErr: notForUs}, writeback.NotForUsDeliveries, nil, maybe},
		"our part does not open":   {order{user: "alice", openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)}, 2, nil, maybe},
		"newer than this agent": {
			order{user: "alice", verifyErr: writeback.NewError(writeback.RequestUnsupported, nil), signed: true}, 2, nil, maybe,
		},
		"claimed here, then given back": {order{user: "alice"}, 2, func(w *world, request writeback.Request) { w.claim(request) }, maybe},
		"locked out since": {order{user: "alice"}, 2, func(w *world, _ writeback.Request) {
			w.guard.account = writeback.NewError(writeback.UserLocked, nil)
		}, maybe},
		"protected since": {order{user: "alice"}, 2, func(w *world, _ writeback.Request) {
			w.guard.account = writeback.NewError(writeback.PolicyProtectedUser, nil)
		}, maybe},
		"an unlock": {order{user: "alice", operation: writeback.OpUnlock}, 2, nil, maybe},
		"out of scope stays out of scope": {order{user: "alice"}, 2, func(w *world, _ writeback.Request) {
			w.guard.account = writeback.NewError(writeback.PolicyOutOfScope, nil)
		}, expect{writeback.Complete, writeback.NotWritten, writeback.PolicyOutOfScope, false}},
		"a malformed ping writes nothing": {
			order{operation: writeback.OpPing, verifyErr: writeback.NewError(writeback.EnvelopeMalformed, nil), signed: true}, 2, nil,
			expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false},
		},
		"a check newer than this agent writes nothing": {
			order{user: "alice", operation: writeback.OpCheck, verifyErr: writeback.NewError(writeback.RequestUnsupported, nil), signed: true}, 2, nil,
			expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false},
		},
		"an operation newer than this agent": {
			order{user: "alice", operation: "enrol", verifyErr: writeback.NewError(writeback.RequestUnsupported, nil), signed: true}, 2, nil, maybe,
		},
		"a ping writes nothing": {
			order{operation: writeback.OpPing, openErr: notForUs}, writeback.NotForUsDeliveries, nil,
			expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				request, token := w.ask(c.order)
				if c.arrange != nil {
					c.arrange(w, request)
				}
				w.servedElsewhere()
				time.Sleep(5 * time.Minute)
				check(t, "delivery", c.want, w.deliverAgain(token, c.count))
				check(t, "writes here", 0, w.directory.user("alice").writes)
			})
		})
	}
}

// claim leaves the record of a request that was taken on and then given back to the queue.
func (w *world) claim(request writeback.Request) {
	w.t.Helper()
	if _, _, err := w.ledger.Claim(w.t.Context(), request.Claims); err != nil {
		w.t.Fatal(err)
	}
}

func TestAClaimedRequestDoesNotGoOnWhileTheClockIsBehind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, token := w.ask(order{user: "alice"})
		w.claim(request)
		if err := w.ledger.AdvanceTime(t.Context(), time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
		w.restart()
		check(t, "disposition", writeback.Disposition{Reason: writeback.AgentStorageUnavailable, Settlement: writeback.Abandon}, w.handle(token))
		check(t, "writes", 0, w.directory.user("alice").writes)
	})
}

// The bind is spent, and it spoke against us: that the write falls into our seconds proves nothing after it.
func TestWhatTheBindShowedOutlivesTheProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(func()) error {
			w.directory.edit("alice", func(a *account) { a.set("an administrator's") })
			return errLost
		}
		request, token := w.ask(order{user: "alice"})
		check(t, "delivery", unknown, w.deliver(token))
		w.restart()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if record := w.record(request); record.Outcome.Verdict != writeback.Unknown || !record.Settled {
			t.Errorf("after a restart: %+v, settled %v; want unknown for good", record.Outcome, record.Settled)
		}
		check(t, "probes", 1, w.directory.probes)
	})
}

func TestAStopDoesNotEndTheSearch(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.loseAnswers(false)
		request, token := w.ask(order{user: "alice"})
		check(t, "delivery", unknown, w.deliver(token))
		time.Sleep(10 * time.Minute)
		w.restart()
		if record := w.record(request); record.Settled {
			t.Error("nobody goes on looking")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome, audit.KindSettled}, w.auditKinds(request))
	})
}

// A write that replication brought from another controller is somebody else's, even within our seconds: neither the time nor a bind has to tell.
func TestAWriteMadeOnAnotherControllerIsNotOurs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(func()) error {
			w.directory.edit("alice", func(a *account) {
				a.set("an administrator's")
				a.Password.Own, a.Password.Originating = "this controller", "another one"
			})
			return errLost
		}
		request, token := w.ask(order{user: "alice"})
		check(t, "delivery", unknown, w.deliver(token))
		w.restart() // without the password, the time alone would speak for us
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if record := w.record(request); record.Outcome.Verdict != writeback.Unknown || !record.Settled {
			t.Errorf("after an hour: %+v, settled %v; want unknown for good", record.Outcome, record.Settled)
		}
		check(t, "probes", 0, w.directory.probes)
	})
}

// maintain lets the agent look after itself for a while, as it does while it runs.
func (w *world) maintain(while time.Duration) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), while)
	defer stop()
	w.pipeline.Maintain(ctx)
	synctest.Wait()
}

func TestAnOutcomeThatCouldNotBeStoredIsFoundOutOnceTheDiskWorks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.ledger.fail("Finish", errDisk)
		request, token := w.ask(order{user: "alice"})
		w.handle(token)
		w.maintain(time.Minute)
		check(t, "state while the disk refuses", ledger.StateWriting, w.record(request).State)
		w.ledger.fail("Finish", nil)
		w.maintain(time.Minute)
		if result := w.last(); result.Outcome.Verdict != writeback.Written || result.RequestID != request.ID {
			t.Errorf("result: %+v", result)
		}
		_, next := w.ask(order{user: "alice", password: "N3xt-Password!"})
		check(t, "the user's next request", written, w.deliver(next))
	})
}

func TestARequestInHandIsNotTakenForALostOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(carryOut func()) error { time.Sleep(time.Minute); carryOut(); return nil }
		request, token := w.ask(order{user: "alice"})
		go w.maintain(40 * time.Second)
		check(t, "delivery", written, w.deliver(token))
		check(t, "audit", []audit.Kind{audit.KindIntent, audit.KindOutcome}, w.auditKinds(request))
		check(t, "results", 1, len(w.results()))
	})
}

func TestTheGateOpensAgainAfterAReconciliationThatFailed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.audit.fail(audit.KindOutcome, errDisk)
		request, token := w.ask(order{user: "alice"})
		w.handle(token)
		w.audit.fail("", nil)
		w.ledger.fail("Unaudited", errDisk)
		w.maintain(time.Minute)
		if w.board.Gate().Open() {
			t.Fatal("the gate opened although a line is missing")
		}
		w.ledger.fail("Unaudited", nil)
		w.maintain(time.Minute)
		if !w.board.Gate().Open() {
			t.Errorf("the gate stays closed: %+v", w.board.Snapshot())
		}
		kinds := w.auditKinds(request)
		check(t, "last line", audit.KindReconciled, kinds[len(kinds)-1])
	})
}

// A controller that has not heard of our own write yet makes the password look old.
func TestAnOlderRequestDoesNotOverwriteANewerOneOnAnotherController(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		before := w.directory.user("alice").Password
		_, older := w.ask(order{user: "alice", password: "F1rst-Password"})
		time.Sleep(time.Second)
		_, newer := w.ask(order{user: "alice", password: "S3cond-Password"})
		w.deliver(newer)
		w.directory.edit("alice", func(a *account) { a.Password, a.Controller = before, "dc2:636" })
		check(t, "older", expect{writeback.Complete, writeback.NotWritten, writeback.RequestSuperseded, false}, w.deliver(older))
	})
}

// A broker that keeps tokens until they have expired and then repeats them must not fill the audit, nor ask the directory each time.
func TestTheAnswerToAnExpiredRequestIsRemembered(t *testing.T) {
	for name, o := range map[string]order{
		"found out":    {user: "alice", age: 2 * time.Minute},
		"not openable": {user: "alice", age: 2 * time.Minute, openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				request, token := w.ask(o)
				again := w.deliver(token)
				again.Replayed = true
				w.directory.resolve = func() error { panic("asked again") }
				check(t, "second delivery", again, w.deliver(token))
				check(t, "audit lines", 1, len(w.auditKinds(request)))
				if record := w.record(request); !record.Settled {
					t.Errorf("somebody goes on looking for a write that nobody here sent: %+v", record)
				}
			})
		})
	}
}

func TestAnExpiredRequestIsAskedAboutAgainOnceTheDirectoryIsBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, token := w.ask(order{user: "alice", age: 2 * time.Minute})
		w.directory.resolve = func() error { return writeback.NewError(writeback.DirectoryUnavailable, nil) }
		check(t, "while it is away", expect{writeback.Complete, writeback.Unknown, writeback.DirectoryUnavailable, false}, w.deliver(token))
		w.directory.resolve = nil
		check(t, "when it is back", expect{writeback.Complete, writeback.NotWritten, writeback.RequestExpired, false}, w.deliver(token))
	})
}

// Without a readable expiry an answer could be asked for without end: it is kept as a sample, under its own reason.
func TestASignedRequestWithoutAnExpiryIsASample(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		request, _ := w.ask(order{user: "alice"})
		request.ExpiresAt = time.Time{}
		token := w.envelope.put("endless", sealed{
			request: request, signed: true, verifyErr: writeback.NewError(writeback.EnvelopeMalformed, errors.New("exp is missing")),
		})
		check(t, "delivery", expect{Settlement: writeback.Discard, Reason: writeback.EnvelopeMalformed}, w.deliver(token))
		check(t, "counted", []writeback.Reason{writeback.EnvelopeMalformed}, w.recorder.discarded)
	})
}

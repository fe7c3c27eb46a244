package agent_test

import (
	"testing"
	"time"

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
		"out of scope stays out of scope": {order{user: "alice"}, 2, func(w *world, _ writeback.Request) {
			w.guard.account = writeback.NewError(writeback.PolicyOutOfScope, nil)
		}, expect{writeback.Complete, writeback.NotWritten, writeback.PolicyOutOfScope, false}},
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

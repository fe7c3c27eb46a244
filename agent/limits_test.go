package agent_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	guards "github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/writeback"
)

var rateLimited = expect{Settlement: writeback.Complete, Verdict: writeback.NotWritten, Reason: writeback.PolicyRateLimited}

func TestOldPasswordsCannotBeGuessedWithoutEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withOldPassword()
		begun := time.Now()
		w.spendBudget(t)
		check(t, "tried", 5, w.directory.tried)
		request, token := w.ask(change(oldPassword)) // the right one, too: nothing is sent any more
		check(t, "the sixth", rateLimited, w.deliver(token))
		check(t, "tried", 5, w.directory.tried)
		check(t, "audit", []audit.Kind{audit.KindRefused}, w.auditKinds(request))
		detail := w.last().Outcome.Detail
		if detail.RetryAfter == nil || !detail.RetryAfter.Equal(begun.Add(time.Hour)) || detail.Hint != agent.HintUserBudget {
			t.Errorf("detail %+v, want a retry after %s", detail, begun.Add(time.Hour))
		}
		w.restart()
		_, token = w.ask(change(oldPassword))
		check(t, "after a restart", rateLimited, w.deliver(token))
		_, token = w.ask(order{user: "bob", operation: writeback.OpUnlock})
		check(t, "another user", writeback.AlreadyApplied, w.deliver(token).Reason)
		_, token = w.ask(order{user: "alice"})
		check(t, "a reset", written, w.deliver(token))
		time.Sleep(time.Hour)
		o := change(newPassword)
		o.password = "An0ther-Password!"
		_, token = w.ask(o)
		check(t, "an hour later", written, w.deliver(token))
	})
}

// Guessing up to the lockout, unlocking and guessing on is one budget.
func TestUnlocksAndFailedChangesShareTheBudget(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withOldPassword()
		guess := func() {
			_, token := w.ask(change("a guess"))
			check(t, "a guess", writeback.PasswordOldIncorrect, w.deliver(token).Reason)
		}
		unlock := func() expect {
			w.directory.edit("alice", func(a *account) { a.Password.LockoutTimeSet = true })
			_, token := w.ask(order{user: "alice", operation: writeback.OpUnlock})
			return w.deliver(token)
		}
		guess()
		guess()
		check(t, "the first unlock", written, unlock())
		guess()
		guess()
		check(t, "the second unlock", rateLimited, unlock())
		check(t, "unlocks", 1, w.directory.user("alice").unlocks)
	})
}

func TestTheBudgetIsGivenBackWhereNothingWasGuessed(t *testing.T) {
	for name, answer := range map[string]error{
		"a simple new password": writeback.NewError(writeback.PasswordTooSimple, nil),
		"no right to":           writeback.NewError(writeback.DirectoryAccessDenied, nil),
		"nothing sent":          writeback.NewError(writeback.DirectoryUnavailable, nil),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.withOldPassword()
				w.answerWrites(answer)
				for range 8 {
					_, token := w.ask(change(oldPassword))
					check(t, "delivery", writeback.ReasonOf(answer), w.deliver(token).Reason)
				}
				w.directory.write = nil
				_, token := w.ask(change(oldPassword))
				check(t, "the one that works", written, w.deliver(token))
			})
		})
	}
}

func TestAStopBeforeTheWriteGivesTheBudgetBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.withOldPassword()
		for range 8 {
			o := change(oldPassword)
			_, token := w.ask(o)
			short := delivery(token, 1)
			locked := time.Now().Add(time.Minute + 30*time.Second)
			short.LockedUntil = func() time.Time { return locked }
			w.observer.when(agent.StepRecorded, func() { locked = time.Now() })
			check(t, "delivery", writeback.AgentLockLost, w.pipeline.Handle(t.Context(), short).Reason)
		}
		w.observer.when("", nil)
		_, token := w.ask(change(oldPassword))
		check(t, "the one that is sent", written, w.deliver(token))
	})
}

func TestRequestsBeyondTheRateAreAnsweredAndNotRecorded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.govern(t, guards.IssuerRules{
			Operations: []writeback.Operation{writeback.OpReset}, WholeDirectory: true, Rate: guards.Rate{Requests: 2, Per: time.Minute},
		})
		for range 2 {
			_, token := w.ask(order{user: "alice"})
			check(t, "within", written, w.deliver(token))
		}
		begun := time.Now()
		request, token := w.ask(order{user: "alice"})
		check(t, "beyond", rateLimited, w.deliver(token))
		if after := w.last().Outcome.Detail.RetryAfter; after == nil || after.Sub(begun).Round(time.Second) != 30*time.Second {
			t.Errorf("retry after %v, want 30 s later", after)
		}
		if _, known, err := w.ledger.Get(t.Context(), request.Key()); known || err != nil {
			t.Errorf("recorded: %v, %v", known, err)
		}
		time.Sleep(31 * time.Second) // there is room again, but not for what was called not written
		again := rateLimited
		again.Replayed = true
		check(t, "the same again", again, w.deliver(token))
		time.Sleep(45 * time.Second) // past its expiry, and within what the clocks may differ by
		check(t, "the same at its end", again, w.deliver(token))
		_, other := w.ask(order{user: "bob", id: request.ID, content: "other"})
		check(t, "its id again", writeback.EnvelopeIDReused, w.deliver(other).Reason)
		_, token = w.ask(order{user: "bob"})
		check(t, "another", written, w.deliver(token))
		check(t, "alice's writes", 2, w.directory.user("alice").writes)
		check(t, "bob's writes", 1, w.directory.user("bob").writes)
	})
}

// What is answered from memory is not counted, and neither is what was refused.
func TestOnlyNewRequestsCountTowardsTheRate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.govern(t, guards.IssuerRules{
			Operations: []writeback.Operation{writeback.OpReset}, WholeDirectory: true, Rate: guards.Rate{Requests: 2, Per: time.Minute},
		})
		_, token := w.ask(order{user: "alice"})
		for range 5 {
			w.deliver(token)
		}
		_, token = w.ask(order{user: "bob"})
		check(t, "the second", written, w.deliver(token))
		for range 5 {
			_, token = w.ask(order{user: "bob"})
			check(t, "beyond", rateLimited, w.deliver(token))
		}
		time.Sleep(30 * time.Second)
		_, token = w.ask(order{user: "bob"})
		check(t, "after a while", written, w.deliver(token))
	})
}

// Whoever has seen an old token, and may send to the queue, must not spend its portal's rate with it.
func TestWhatIsTooOldToBeAnsweredDoesNotCount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.govern(t, guards.IssuerRules{
			Operations: []writeback.Operation{writeback.OpReset}, WholeDirectory: true, Rate: guards.Rate{Requests: 2, Per: time.Minute},
		})
		_, old := w.ask(order{user: "alice", age: 25 * time.Hour})
		_, unopened := w.ask(order{user: "alice", age: 25 * time.Hour, openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)})
		for range 3 {
			check(t, "old", expect{Settlement: writeback.Complete, Reason: writeback.RequestExpired}, w.deliver(old))
			check(t, "old, not opened", expect{Settlement: writeback.Complete, Reason: writeback.RequestExpired}, w.deliver(unopened))
		}
		_, token := w.ask(order{user: "alice"})
		check(t, "a new one", written, w.deliver(token))
	})
}

// One id with ever new content is no way around the rate, and fills neither the audit nor the disk.
func TestAUsedIDCountsTowardsTheRate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.govern(t, guards.IssuerRules{
			Operations: []writeback.Operation{writeback.OpReset}, WholeDirectory: true, Rate: guards.Rate{Requests: 2, Per: time.Minute},
		})
		request, token := w.ask(order{user: "alice"})
		check(t, "the first", written, w.deliver(token))
		for n := range 10 {
			_, other := w.ask(order{user: "alice", id: request.ID, content: strconv.Itoa(n)})
			want := expect{writeback.Complete, writeback.NotWritten, writeback.EnvelopeIDReused, false}
			if n >= 1 {
				want = expect{Settlement: writeback.Complete, Reason: writeback.PolicyRateLimited}
			}
			check(t, "its id again", want, w.deliver(other))
		}
		again := written
		again.Replayed = true
		check(t, "the first again", again, w.deliver(token))
		check(t, "audit lines", 3, w.auditLines()) // intent, outcome, and one refusal
	})
}

func TestAFloodLeavesNothingBehind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.guard.rate = writeback.NewError(writeback.PolicyRateLimited, nil)
		var first writeback.Request
		for n := range 1100 {
			request, token := w.ask(order{user: "alice"})
			if n == 0 {
				first = request
			}
			w.handle(token)
		}
		stats, err := w.ledger.Stats(t.Context())
		check(t, "ledger", nil, err)
		check(t, "records", 0, stats.Records)
		check(t, "answers", 1000, stats.Pending)
		check(t, "audit lines of the first", 1, len(w.auditKinds(first)))
		check(t, "audit lines", 1, w.auditLines())
		check(t, "counted in silence", 100, len(w.recorder.discarded))
		time.Sleep(2 * time.Minute) // what was refused has expired, and makes room
		request, token := w.ask(order{user: "alice"})
		check(t, "later", rateLimited, w.deliver(token))
		check(t, "audit lines of the next flood", 1, len(w.auditKinds(request)))
	})
}

// auditLines counts the audit's lines about requests.
func (w *world) auditLines() (n int) {
	w.t.Helper()
	for entry, err := range audit.Read(w.t.Context(), w.dir+"/audit") {
		if err != nil {
			w.t.Fatal(err)
		}
		if entry.Request.ID != "" {
			n++
		}
	}
	return n
}

// An expired request beyond the rate costs no look-up, and nothing is claimed about what another agent may have written.
func TestAnExpiredRequestBeyondTheRateGetsSilence(t *testing.T) {
	for name, age := range map[string]time.Duration{"expired": 2 * time.Minute, "from the future": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.guard.rate = writeback.NewError(writeback.PolicyRateLimited, nil)
				_, token := w.ask(order{user: "alice", age: age})
				check(t, "delivery", expect{Settlement: writeback.Complete, Reason: writeback.PolicyRateLimited}, w.deliver(token))
			})
		})
	}
}

func TestARequestThatDoesNotOpenCountsToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.guard.rate = writeback.NewError(writeback.PolicyRateLimited, nil)
		_, token := w.ask(order{user: "alice", openErr: writeback.NewError(writeback.EnvelopeUndecryptable, nil)})
		check(t, "delivery", rateLimited, w.deliver(token))
		w.guard.rate = nil
		_, token = w.ask(order{user: "alice"})
		check(t, "another", written, w.deliver(token))
	})
}

// Whoever sends many requests for one user whose outcome is open must not keep everybody else from being served.
func TestFewWaitForOneAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.loseAnswers(false)
		_, stuck := w.ask(order{user: "alice"})
		check(t, "the stuck one", unknown, w.deliver(stuck))
		begun := time.Now()
		var mu sync.Mutex
		var atOnce, later int
		var group sync.WaitGroup
		for range 16 {
			_, token := w.ask(order{user: "alice"})
			group.Go(func() {
				disposition := w.handle(token)
				mu.Lock()
				defer mu.Unlock()
				check(t, "reason", writeback.RequestInProgress, disposition.Reason)
				if time.Since(begun) == 0 {
					atOnce++
				} else {
					later++
				}
			})
		}
		group.Wait()
		check(t, "answered at once, later", [2]int{14, 2}, [2]int{atOnce, later})
		check(t, "results", 17, len(w.results()))
	})
}

func TestFewWaitAltogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.populate(10)
		w.loseAnswers(false)
		var group sync.WaitGroup
		for n := range 10 {
			_, stuck := w.ask(order{user: fmt.Sprint("user", n)})
			group.Go(func() { w.handle(stuck) })
		}
		group.Wait()
		begun := time.Now()
		var mu sync.Mutex
		later := 0
		for n := range 10 {
			_, token := w.ask(order{user: fmt.Sprint("user", n)})
			group.Go(func() {
				w.handle(token)
				if time.Since(begun) > 0 {
					mu.Lock()
					defer mu.Unlock()
					later++
				}
			})
		}
		group.Wait()
		check(t, "waited", 8, later)
	})
}

// Copies of one token beyond the few that wait are removed: the first one's answer is theirs.
func TestFewCopiesOfOneTokenWait(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.write = func(carryOut func()) error { time.Sleep(3 * time.Second); carryOut(); return nil }
		_, token := w.ask(order{user: "alice"})
		var group sync.WaitGroup
		group.Go(func() { w.handle(token) })
		synctest.Wait()
		for range 2 {
			group.Go(func() { w.handle(token) })
		}
		synctest.Wait()
		begun := time.Now()
		for range 13 {
			check(t, "a copy", expect{Settlement: writeback.Complete, Reason: writeback.RequestInProgress}, w.deliver(token))
		}
		check(t, "held up", 0, time.Since(begun))
		group.Wait()
		check(t, "writes", 1, w.directory.user("alice").writes)
		for _, result := range w.results() {
			check(t, "answer", writeback.Written, result.Outcome.Verdict)
		}
		check(t, "answers", 3, len(w.results()))
	})
}

func TestFewCopiesWaitAltogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.directory.populate(4)
		w.directory.write = func(carryOut func()) error { time.Sleep(3 * time.Second); carryOut(); return nil }
		var group sync.WaitGroup
		var tokens [][]byte
		for n := range 4 {
			_, token := w.ask(order{user: fmt.Sprint("user", n)})
			tokens = append(tokens, token)
			group.Go(func() { w.handle(token) })
		}
		synctest.Wait()
		begun := time.Now()
		var mu sync.Mutex
		later := 0
		for range 2 {
			for _, token := range tokens {
				group.Go(func() {
					w.handle(token)
					mu.Lock()
					defer mu.Unlock()
					if time.Since(begun) > 0 {
						later++
					}
				})
			}
		}
		group.Wait()
		check(t, "copies that waited", 4, later)
	})
}

// A portal that seals for no agent, because its keys are old or on purpose, must not keep the others' requests waiting.
func TestWhatIsSealedForNobodyHoldsUpNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		notForUs := writeback.NewError(writeback.EnvelopeNotForUs, nil)
		// deliver hands one request out until it is removed, and returns how long it was held.
		deliver := func(issuer string) (held time.Duration, slow bool) {
			_, token := w.ask(order{user: "alice", issuer: issuer, openErr: notForUs})
			for count := range writeback.NotForUsDeliveries {
				disposition := w.pipeline.Handle(t.Context(), delivery(token, uint32(count)+1))
				check(t, "reason", writeback.EnvelopeNotForUs, disposition.Reason)
				held, slow = held+disposition.Delay, disposition.SlowIntake
			}
			return held, slow
		}
		var held time.Duration
		for range 50 {
			one, _ := deliver("portal")
			held += one
		}
		check(t, "fifty requests are held for", 18*time.Second, held)
		_, slow := deliver("portal")
		check(t, "the intake is slow", false, slow)
		held, slow = deliver("desk")
		check(t, "another portal's is held for, and slows the intake", []any{6 * time.Second, true}, []any{held, slow})
		time.Sleep(11 * time.Minute) // an agent that opens them may have come
		held, slow = deliver("portal")
		check(t, "later it is held for, and slows the intake", []any{6 * time.Second, true}, []any{held, slow})
	})
}

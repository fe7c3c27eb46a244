package broker_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// next waits for any session and keeps the answer.
type next struct {
	sink
	consumer *broker.Consumer
	err      error
	calls    int
}

func (n *next) done(c *broker.Consumer, err error) { n.consumer, n.err, n.calls = c, err, n.calls+1 }

func acceptNext(t *testing.T, q *broker.Queue, timeout time.Duration) (*next, func()) {
	t.Helper()
	n := &next{}
	giveUp, err := q.AcceptNext(timeout, n, n.done)
	if err != nil {
		t.Fatalf("AcceptNext: %v", err)
	}
	return n, giveUp
}

func TestKindOfQueueAndConsumerMustFit(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		if _, err := q.Consume(&sink{}); !errors.Is(err, broker.ErrSessionRequired) {
			t.Errorf("Consume: %v", err)
		}
		if _, err := q.Send([]*amqp.Message{message("good", "s"), message("bad", "")}); !errors.Is(err, broker.ErrSessionIDMissing) {
			t.Errorf("Send: %v", err)
		}
		if _, err := q.Renew(amqp.UUID{}); !errors.Is(err, broker.ErrNotAllowed) {
			t.Errorf("Renew: %v", err)
		}
		wantCounts(t, q, broker.Counts{}) // all or none
	})
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		if _, err := q.AcceptSession("s", &sink{}); !errors.Is(err, broker.ErrNoSessions) {
			t.Errorf("AcceptSession: %v", err)
		}
		if _, err := q.AcceptNext(time.Second, &sink{}, nil); !errors.Is(err, broker.ErrNoSessions) {
			t.Errorf("AcceptNext: %v", err)
		}
		if _, err := q.Sessions(time.Time{}); !errors.Is(err, broker.ErrNoSessions) {
			t.Errorf("Sessions: %v", err)
		}
	})
}

func TestWaitersAreServedInTurn(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		first, _ := acceptNext(t, q, time.Minute)
		second, _ := acceptNext(t, q, time.Minute)
		gone, giveUp := acceptNext(t, q, time.Minute)
		giveUp()
		giveUp()
		third, _ := acceptNext(t, q, time.Second)
		put(t, q, "a", "a1")
		put(t, q, "b", "b1")
		if first.consumer == nil || first.consumer.SessionID() != "a" || second.consumer == nil || second.consumer.SessionID() != "b" {
			t.Fatalf("first %+v, second %+v", first, second)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if third.calls != 1 || !errors.Is(third.err, broker.ErrTimeout) {
			t.Errorf("third: %d calls, %v", third.calls, third.err)
		}
		if gone.calls != 0 {
			t.Errorf("the one that gave up was called: %v", gone.err)
		}
	})
}

func TestFreeSessionsAreOfferedOldestFirst(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "a", "a1")
		put(t, q, "b", "b1")
		put(t, q, "a", "a2")
		held, _ := hold(t, q, "a", 0)
		n, _ := acceptNext(t, q, time.Minute)
		if n.consumer == nil || n.consumer.SessionID() != "b" {
			t.Fatalf("got %+v", n)
		}
		waiting, _ := acceptNext(t, q, time.Hour)
		held.Close() // its messages are still there, so the session goes to the next
		if waiting.consumer == nil || waiting.consumer.SessionID() != "a" {
			t.Errorf("got %+v", waiting)
		}
	})
}

func TestEmptiedSessionIsNotOffered(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "a", "a1")
		c, s := hold(t, q, "a", 1)
		settle(t, q, s.take()[0], broker.Outcome{Kind: broker.Complete})
		c.Close()
		n, _ := acceptNext(t, q, time.Second)
		if n.consumer != nil {
			t.Errorf("offered %q", n.consumer.SessionID())
		}
	})
}

func TestSessionLock(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "s", "a", "b")
		c, s := hold(t, q, "s", 2)
		got := s.take()
		if !got[0].LockedUntil.Equal(c.LockedUntil()) {
			t.Errorf("message locked until %v, session until %v", got[0].LockedUntil, c.LockedUntil())
		}
		time.Sleep(lockTime - time.Second)
		until, err := q.RenewSession("s")
		if err != nil || !until.Equal(time.Now().Add(lockTime)) {
			t.Fatalf("RenewSession: %v, %v", until, err)
		}
		time.Sleep(lockTime - time.Second)
		settle(t, q, got[0], broker.Outcome{Kind: broker.Complete})
		time.Sleep(time.Second)
		synctest.Wait()
		if s.lost != 1 {
			t.Errorf("told %d times that the lock is lost", s.lost)
		}
		if err := q.Settle(got[1].Token, broker.Outcome{Kind: broker.Complete}); !errors.Is(err, broker.ErrLockLost) {
			t.Errorf("settling after the lock: %v", err)
		}
		for what, err := range map[string]error{
			"RenewSession":    second(q.RenewSession("s")),
			"SessionState":    second(q.SessionState("s")),
			"SetSessionState": q.SetSessionState("s", nil),
		} {
			if !errors.Is(err, broker.ErrSessionLockLost) {
				t.Errorf("%s after the lock: %v", what, err)
			}
		}
		c.Close() // too late, and harmless
		_, again := hold(t, q, "s", 5)
		if d := again.take(); len(d) != 1 || d[0].Failures != 1 {
			t.Errorf("next holder got %+v", d)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestExpiredSessionIsNotStolenBack(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "s", "a")
		old, _ := hold(t, q, "s", 1)
		time.Sleep(lockTime)
		_, fresh := hold(t, q, "s", 1)
		old.Close()
		old.Allow(10)
		d := fresh.take()
		want(t, "the new holder", d, "a")
		settle(t, q, d[0], broker.Outcome{Kind: broker.Complete})
	})
}

func TestListingSessions(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "messages", "a")
		for _, id := range []string{"state", "nothing"} {
			c, _ := hold(t, q, id, 0)
			if id == "state" {
				if err := q.SetSessionState(id, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
		}
		list := func(since time.Time) []string {
			ids, err := q.Sessions(since)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		if diff := cmp.Diff([]string{"messages", "state"}, list(time.Time{})); diff != "" {
			t.Errorf("all (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"state"}, list(time.Now().Add(-time.Second))); diff != "" {
			t.Errorf("with a state set since (-want +got):\n%s", diff)
		}
		if ids := list(time.Now()); len(ids) != 0 {
			t.Errorf("none since now: %v", ids)
		}
	})
}

func TestDeferredInSession(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		seqs := put(t, q, "s", "a")
		c, s := hold(t, q, "s", 1)
		settle(t, q, s.take()[0], broker.Outcome{Kind: broker.Defer})
		c.Close()
		if _, err := q.TakeDeferred(seqs); !errors.Is(err, broker.ErrSessionLockLost) {
			t.Errorf("without holding the session: %v", err)
		}
		c, s = hold(t, q, "s", 1)
		got, err := q.TakeDeferred(seqs)
		if err != nil {
			t.Fatal(err)
		}
		c.Close() // gives it back as deferred
		want(t, "not handed out", s.take())
		if err := q.Settle(got[0].Token, broker.Outcome{}); !errors.Is(err, broker.ErrLockLost) {
			t.Errorf("settling after the session was closed: %v", err)
		}
		wantCounts(t, q, broker.Counts{Deferred: 1})
	})
}

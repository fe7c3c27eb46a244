package broker_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// A closed queue takes nothing: what it took would be nowhere.
func TestClosedTakesNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		put(t, q, "", "before")
		q.Close()
		if _, err := q.Send([]*amqp.Message{message("after", "")}); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("send: %v", err)
		}
		want(t, "peeked", q.Peek(1, 9, nil), "before")
	})
}

// What messages take is given back with them.
func TestBytes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		m := message("m", "")
		m.Body = make([]byte, 1000)
		if _, err := q.Send([]*amqp.Message{m, message("empty", "")}); err != nil {
			t.Fatal(err)
		}
		full := q.Bytes()
		_, s := consume(t, q, 1)
		synctest.Wait()
		if err := q.Settle(s.take()[0].Token, broker.Outcome{}); err != nil {
			t.Fatal(err)
		}
		if left := q.Bytes(); full != 1000 || left != 0 {
			t.Errorf("%d bytes, then %d", full, left)
		}
	})
}

// Settings that change hold for what comes after.
func TestSet(t *testing.T) {
	bubble(t, func(s *broker.Settings) { s.DuplicateWindow = time.Hour }, func(t *testing.T, q *broker.Queue) {
		put(t, q, "", "a")
		_, s := consume(t, q, 1)
		synctest.Wait()
		set := q.Settings()
		set.MaxDeliveryCount, set.LockDuration, set.DuplicateWindow = 1, 10*time.Second, time.Minute
		if err := q.Set(set); err != nil {
			t.Fatal(err)
		}
		if until := s.got[0].LockedUntil; time.Until(until) != lockTime {
			t.Errorf("a lock that ran already ends in %v", time.Until(until))
		}
		if err := q.Settle(s.take()[0].Token, broker.Outcome{Kind: broker.Abandon}); err != nil {
			t.Fatal(err)
		}
		_, dead := consume(t, q.DeadLetter(), 1)
		synctest.Wait()
		if got := dead.take(); len(got) != 1 || time.Until(got[0].LockedUntil) != 10*time.Second {
			t.Errorf("dead letters %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if seqs := put(t, q, "", "a"); seqs[0] == 0 {
			t.Error("a duplicate outside of the new window")
		}
		for name, change := range map[string]func(*broker.Settings){
			"name": func(s *broker.Settings) { s.Name = "other" }, "sessions": func(s *broker.Settings) { s.RequiresSession = true },
		} {
			other := q.Settings()
			change(&other)
			if err := q.Set(other); !errors.Is(err, broker.ErrNotAllowed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := q.DeadLetter().Set(q.DeadLetter().Settings()); !errors.Is(err, broker.ErrNotAllowed) {
			t.Errorf("the dead-letter queue by itself: %v", err)
		}
	})
}

package broker_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

const lockTime = time.Minute

// sink keeps what it is given.
type sink struct {
	mu   sync.Mutex
	got  []broker.Delivery
	lost int
}

func (s *sink) Deliver(d broker.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, d)
}

func (s *sink) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
}

// take returns what has come since the last time.
func (s *sink) take() []broker.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

func names(ds []broker.Delivery) []string {
	var out []string
	for _, d := range ds {
		out = append(out, fmt.Sprint(d.Message.MessageID()))
	}
	return out
}

// bubble runs a test with a queue where time stands still unless the test sleeps.
func bubble(t *testing.T, change func(*broker.Settings), test func(*testing.T, *broker.Queue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := broker.Settings{Name: "q", LockDuration: lockTime, MaxDeliveryCount: 3}
		if change != nil {
			change(&s)
		}
		q := broker.New(s, time.Now)
		defer q.Close()
		test(t, q)
	})
}

func sessions(s *broker.Settings) { s.RequiresSession = true }

// message is a message with an id and perhaps a session.
func message(id, session string) *amqp.Message {
	m := &amqp.Message{}
	if session != "" {
		m.Properties = amqp.List{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, session}
	}
	m.SetMessageID(id)
	return m
}

func put(t *testing.T, q *broker.Queue, session string, ids ...string) []int64 {
	t.Helper()
	var msgs []*amqp.Message
	for _, id := range ids {
		msgs = append(msgs, message(id, session))
	}
	seqs, err := q.Send(msgs)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return seqs
}

func consume(t *testing.T, q *broker.Queue, limit uint64) (*broker.Consumer, *sink) {
	t.Helper()
	s := &sink{}
	c, err := q.Consume(s)
	if err != nil {
		t.Fatalf("Consume: %v", err)
	}
	c.Allow(limit)
	return c, s
}

func hold(t *testing.T, q *broker.Queue, id string, limit uint64) (*broker.Consumer, *sink) {
	t.Helper()
	s := &sink{}
	c, err := q.AcceptSession(id, s)
	if err != nil {
		t.Fatalf("AcceptSession(%q): %v", id, err)
	}
	c.Allow(limit)
	return c, s
}

func want(t *testing.T, what string, got []broker.Delivery, ids ...string) {
	t.Helper()
	if diff := cmp.Diff(ids, names(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCounts(t *testing.T, q *broker.Queue, c broker.Counts) {
	t.Helper()
	if diff := cmp.Diff(c, q.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func settle(t *testing.T, q *broker.Queue, d broker.Delivery, o broker.Outcome) {
	t.Helper()
	if err := q.Settle(d.Token, o); err != nil {
		t.Fatalf("Settle: %v", err)
	}
}

func TestLimitsAndTurns(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, one := consume(t, q, 2)
		_, two := consume(t, q, 10)
		put(t, q, "", "a", "b", "c", "d", "e")
		want(t, "first consumer, allowed two", one.take(), "a", "c")
		want(t, "second consumer", two.take(), "b", "d", "e")
		wantCounts(t, q, broker.Counts{Locked: 5})
	})
}

func TestClosedConsumerGetsNothing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		c, s := consume(t, q, 5)
		c.Close()
		c.Close()
		c.Allow(10)
		put(t, q, "", "a")
		want(t, "closed consumer", s.take())
		_, s = consume(t, q, 5)
		want(t, "next consumer", s.take(), "a")
	})
}

func TestReturnedMessagesKeepTheirTurn(t *testing.T) {
	for name, kind := range map[string]broker.Kind{"abandoned": broker.Abandon, "released": broker.Release} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, q *broker.Queue) {
				c, s := consume(t, q, 2)
				put(t, q, "", "a", "b", "c")
				got := s.take()
				settle(t, q, got[1], broker.Outcome{Kind: kind})
				settle(t, q, got[0], broker.Outcome{Kind: kind})
				c.Allow(5)
				got = s.take()
				want(t, "again", got, "a", "b", "c")
				if failed := got[0].Failures == 1; failed != (kind == broker.Abandon) {
					t.Errorf("%d failures", got[0].Failures)
				}
			})
		})
	}
}

func TestReleasedForeverIsNeverDeadLettered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		put(t, q, "", "a")
		for range 20 {
			_, s := consume(t, q, 1)
			settle(t, q, s.take()[0], broker.Outcome{Kind: broker.Release})
		}
		wantCounts(t, q, broker.Counts{Active: 1})
	})
}

func TestExpiredLocksCountUntilTheDeadLetterQueue(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 10)
		put(t, q, "", "a")
		for i := range uint32(3) {
			got := s.take()
			want(t, "delivery", got, "a")
			if got[0].Failures != i {
				t.Errorf("failures %d, want %d", got[0].Failures, i)
			}
			time.Sleep(lockTime)
			synctest.Wait()
		}
		wantCounts(t, q, broker.Counts{DeadLettered: 1})
		_, dead := consume(t, q.DeadLetter(), 10)
		got := dead.take()
		want(t, "dead letter", got, "a")
		reason, _ := amqp.Lookup[string](got[0].Message.ApplicationProperties, broker.PropertyReason)
		if reason != "MaxDeliveryCountExceeded" || got[0].Source != "q" {
			t.Errorf("reason %q, source %q", reason, got[0].Source)
		}
		for range 10 { // there it stays, however often its lock expires
			time.Sleep(lockTime)
			synctest.Wait()
		}
		wantCounts(t, q, broker.Counts{DeadLettered: 1})
		if err := q.DeadLetter().Settle(dead.take()[0].Token, broker.Outcome{Kind: broker.DeadLetter}); !errors.Is(err, broker.ErrLockLost) {
			t.Errorf("dead-lettering a dead letter with an old lock: %v", err)
		}
	})
}

func TestDeadLetterQueueIsAnEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 1)
		put(t, q, "", "a")
		settle(t, q, s.take()[0], broker.Outcome{Kind: broker.DeadLetter})
		dlq := q.DeadLetter()
		_, dead := consume(t, dlq, 1)
		d := dead.take()[0]
		if err := dlq.Settle(d.Token, broker.Outcome{Kind: broker.DeadLetter}); !errors.Is(err, broker.ErrNotAllowed) {
			t.Errorf("dead-lettering a dead letter: %v", err)
		}
		if _, err := dlq.Send([]*amqp.Message{message("x", "")}); !errors.Is(err, broker.ErrNotAllowed) {
			t.Errorf("sending to the dead-letter queue: %v", err)
		}
	})
}

func TestSettlingTwice(t *testing.T) {
	for _, first := range []broker.Kind{broker.Complete, broker.Abandon, broker.Release, broker.Defer, broker.DeadLetter} {
		bubble(t, nil, func(t *testing.T, q *broker.Queue) {
			_, s := consume(t, q, 1)
			put(t, q, "", "a")
			d := s.take()[0]
			settle(t, q, d, broker.Outcome{Kind: first})
			if err := q.Settle(d.Token, broker.Outcome{Kind: broker.Complete}); !errors.Is(err, broker.ErrLockLost) {
				t.Errorf("after kind %d: %v", first, err)
			}
		})
	}
}

func TestModifyLeavesEarlierDeliveriesAlone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 2)
		put(t, q, "", "a")
		first := s.take()[0]
		settle(t, q, first, broker.Outcome{Kind: broker.Abandon, Modify: amqp.Map{
			{Key: "text", Value: "v"}, {Key: amqp.Symbol("symbol"), Value: int64(1)}, {Key: int64(5), Value: "no key of a property"},
		}})
		second := s.take()[0]
		wantProps := amqp.Map{{Key: "text", Value: "v"}, {Key: "symbol", Value: int64(1)}}
		if diff := cmp.Diff(wantProps, second.Message.ApplicationProperties); diff != "" {
			t.Errorf("second delivery (-want +got):\n%s", diff)
		}
		if len(first.Message.ApplicationProperties) != 0 {
			t.Errorf("the first delivery has become %v", first.Message.ApplicationProperties)
		}
	})
}

func TestDeferred(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 10)
		seqs := put(t, q, "", "a", "b")
		got := s.take()
		settle(t, q, got[0], broker.Outcome{Kind: broker.Defer})
		if _, err := q.TakeDeferred(seqs); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("taking one that is not deferred: %v", err)
		}
		if _, err := q.TakeDeferred([]int64{seqs[0], seqs[0]}); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("taking one twice: %v", err)
		}
		wantCounts(t, q, broker.Counts{Deferred: 1, Locked: 1})
		back, err := q.TakeDeferred(seqs[:1])
		if err != nil || back[0].State != broker.Deferred {
			t.Fatalf("TakeDeferred: %+v, %v", back, err)
		}
		settle(t, q, back[0], broker.Outcome{Kind: broker.Abandon})
		want(t, "a deferred message given back is not handed out", s.take())
		back, err = q.TakeDeferred(seqs[:1])
		if err != nil || back[0].Failures != 1 {
			t.Errorf("after abandoning: %+v, %v", back, err)
		}
	})
}

func TestTimeToLiveOfDeferredAndLocked(t *testing.T) {
	ttl := func(s *broker.Settings) { s.DefaultTTL = lockTime / 2 }
	bubble(t, ttl, func(t *testing.T, q *broker.Queue) {
		c, s := consume(t, q, 2)
		put(t, q, "", "locked", "deferred", "waiting")
		settle(t, q, s.take()[1], broker.Outcome{Kind: broker.Defer})
		time.Sleep(lockTime - time.Second)
		wantCounts(t, q, broker.Counts{Locked: 1, Deferred: 1, Expired: 1})
		c.Allow(10)
		time.Sleep(time.Second)
		wantCounts(t, q, broker.Counts{Deferred: 1, Expired: 2}) // dropped when its lock ended
	})
}

func TestScheduledGoesByItsAnnotation(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 10)
		at := func(id string, v any) *amqp.Message {
			m := message(id, "")
			m.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-scheduled-enqueue-time"), Value: v}}
			return m
		}
		later := amqp.TimestampOf(time.Now().Add(time.Hour))
		seqs, err := q.Send([]*amqp.Message{at("later", later), at("past", amqp.Timestamp(0)), at("hostile", "noon"), at("dropped", later)})
		if err != nil {
			t.Fatal(err)
		}
		got := s.take()
		want(t, "at once", got, "past", "hostile")
		for _, d := range got {
			settle(t, q, d, broker.Outcome{Kind: broker.Complete})
		}
		if err := q.Cancel([]int64{seqs[3], seqs[1]}); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("cancelling one that is not scheduled: %v", err)
		}
		if err := q.Cancel(seqs[3:]); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		want(t, "in time", s.take(), "later")
	})
}

func TestDuplicatesOfEveryKindOfID(t *testing.T) {
	window := func(s *broker.Settings) { s.DuplicateWindow = time.Minute }
	bubble(t, window, func(t *testing.T, q *broker.Queue) {
		for _, id := range []any{"a", uint64(1), amqp.UUID{1}, []byte("a"), nil} {
			for range 2 {
				m := &amqp.Message{}
				m.SetMessageID(id)
				if _, err := q.Send([]*amqp.Message{m}); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantCounts(t, q, broker.Counts{Active: 6, Duplicates: 4}) // no id is no duplicate
	})
}

func TestPeek(t *testing.T) {
	bubble(t, sessions, func(t *testing.T, q *broker.Queue) {
		put(t, q, "one", "a")
		put(t, q, "two", "b")
		put(t, q, "one", "c")
		_, s := hold(t, q, "one", 1)
		if d := q.Peek(1, 1, nil); d[0].Token != (amqp.UUID{}) || !d[0].LockedUntil.IsZero() {
			t.Errorf("peeking shows the lock of another: %+v", d)
		}
		one := "one"
		want(t, "all", q.Peek(0, 10, nil), "a", "b", "c")
		want(t, "from the second", q.Peek(2, 10, nil), "b", "c")
		want(t, "at most one", q.Peek(2, 1, nil), "b")
		want(t, "of one session", q.Peek(0, 10, &one), "a", "c")
		settle(t, q, s.take()[0], broker.Outcome{Kind: broker.Complete})
		want(t, "without the completed", q.Peek(0, 10, nil), "b", "c")
		want(t, "none", q.Peek(0, -1, nil))
	})
}

func TestJournalForgetsWhatIsGone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, q *broker.Queue) {
		_, s := consume(t, q, 1000)
		for i := range 1000 {
			put(t, q, "", fmt.Sprint(i))
			if i%10 != 0 {
				settle(t, q, s.take()[0], broker.Outcome{Kind: broker.Complete})
			} else {
				s.take()
			}
		}
		got := q.Peek(0, 1000, nil)
		if len(got) != 100 || got[99].Sequence != 991 {
			t.Errorf("%d messages left", len(got))
		}
		wantCounts(t, q, broker.Counts{Locked: 100, Completed: 900})
	})
}

package broker_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// tape is a log in memory.
type tape struct {
	mu      sync.Mutex
	records [][]byte
	err     error
}

func (l *tape) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

func (l *tape) Append(record []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.records = append(l.records, slices.Clone(record))
	}
	return l.err
}

// taped is a queue that is kept on a tape from the start.
func taped(t *testing.T, change func(*broker.Settings), test func(*testing.T, *broker.Queue, *tape)) {
	t.Helper()
	bubble(t, change, func(t *testing.T, q *broker.Queue) {
		l := &tape{}
		q.Start(l)
		test(t, q, l)
	})
}

// restart makes a queue from the tape of another, with the same settings, and keeps it on a new tape that starts with
// what it read, as the emulator does. Nothing has been asked of the queue yet.
func restart(t *testing.T, q *broker.Queue, l *tape) (*broker.Queue, *tape) {
	t.Helper()
	compact := &tape{}
	again := remembered(t, q, l)
	if err := again.Snapshot(compact.Append); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(standing(remembered(t, q, l)), standing(remembered(t, q, compact))); diff != "" {
		t.Fatalf("a snapshot loses something (-before +after):\n%s", diff)
	}
	again.Start(compact)
	return again, compact
}

// remembered is a queue as a tape tells it.
func remembered(t *testing.T, like *broker.Queue, l *tape) *broker.Queue {
	t.Helper()
	var h broker.History
	for _, r := range l.records {
		if err := h.Record(r); err != nil {
			t.Fatalf("record %x: %v", r, err)
		}
	}
	q, err := h.Queue(like.Settings(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// stand is where one message is.
type stand struct {
	Place             string
	Sequence          int64
	ID                string
	State             broker.State
	Failures          uint32
	Enqueued, Expires time.Time
	Source            string
	Properties        amqp.Map
}

// standing is where all messages are. Those that died in the same moment may have done so in any order.
func standing(q *broker.Queue) []stand {
	var out []stand
	for _, d := range q.Peek(1, 10000, nil) {
		out = append(out, standOf("queue", d))
	}
	for _, d := range q.DeadLetter().Peek(1, 10000, nil) {
		s := standOf("dead", d)
		s.Sequence = 0
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b stand) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func standOf(place string, d broker.Delivery) stand {
	return stand{
		place, d.Sequence, fmt.Sprint(d.Message.MessageID()), d.State, d.Failures,
		d.Enqueued.Truncate(time.Millisecond).UTC(), d.Expires.Truncate(time.Millisecond).UTC(), d.Source, d.Message.ApplicationProperties,
	}
}

// Everything a queue is supposed to remember, in one go.
func TestRestartKeeps(t *testing.T) {
	taped(t, func(s *broker.Settings) { s.DuplicateWindow, s.DefaultTTL = time.Hour, 24*time.Hour }, func(t *testing.T, q *broker.Queue, l *tape) {
		late := message("late", "")
		late.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-scheduled-enqueue-time"), Value: amqp.TimestampOf(time.Now().Add(time.Hour))}}
		if _, err := q.Send([]*amqp.Message{late}); err != nil {
			t.Fatal(err)
		}
		put(t, q, "", "completed", "deferred", "abandoned", "dead", "untouched")
		_, s := consume(t, q, 4)
		for i, o := range []broker.Outcome{
			{Kind: broker.Complete}, {Kind: broker.Defer, Modify: amqp.Map{{Key: "why", Value: "not yet"}}},
			{Kind: broker.Abandon, Modify: amqp.Map{{Key: "try", Value: int32(1)}}}, {Kind: broker.DeadLetter, Reason: "bad"},
		} {
			if i == 0 {
				synctest.Wait()
			}
			if err := q.Settle(s.got[i].Token, o); err != nil {
				t.Fatal(err)
			}
		}
		again, _ := restart(t, q, l)
		if diff := gocmp.Diff(standing(q), standing(again)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if got := len(standing(again)); got != 5 {
			t.Errorf("%d messages", got)
		}
		// Numbers go on, also behind one that is gone, and what was seen is a duplicate still.
		if seqs := put(t, again, "", "completed", "new"); seqs[0] != 0 || seqs[1] != 7 {
			t.Errorf("numbers %v", seqs)
		}
		time.Sleep(time.Hour)
		if c := again.Counts(); c.Scheduled != 0 || c.Active != 4 {
			t.Errorf("after an hour: %+v", c)
		}
	})
}

// What changes after a restart is kept as what changed before it.
func TestRestartTwice(t *testing.T) {
	taped(t, nil, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "", "done", "modified", "dies", "stays")
		again, l := restart(t, q, l)
		_, s := consume(t, again, 3)
		synctest.Wait()
		got := s.take()
		for i, o := range []broker.Outcome{
			{Kind: broker.Complete}, {Kind: broker.Abandon, Modify: amqp.Map{{Key: "k", Value: "v"}}}, {Kind: broker.DeadLetter},
		} {
			if err := again.Settle(got[i].Token, o); err != nil {
				t.Fatal(err)
			}
		}
		third, _ := restart(t, again, l)
		if diff := gocmp.Diff(standing(again), standing(third)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if got := standing(third); len(got) != 3 || got[0].ID != "dies" || got[1].Properties == nil {
			t.Errorf("%+v", got)
		}
	})
}

// A message that does not live to be stored leaves no record.
func TestShortLivedLeavesNothing(t *testing.T) {
	taped(t, nil, func(t *testing.T, q *broker.Queue, l *tape) {
		m := message("m", "")
		m.Header.TTL = new(uint32)
		if _, err := q.Send([]*amqp.Message{m}); err != nil {
			t.Fatal(err)
		}
		if c := q.Counts(); c.Expired != 1 || len(l.records) != 0 {
			t.Errorf("%+v, records %x", c, l.records)
		}
	})
}

// A lock does not outlive a restart: it counts as one that ran out, and its token is good for nothing.
func TestRestartEndsLocks(t *testing.T) {
	taped(t, func(s *broker.Settings) { s.MaxDeliveryCount = 2 }, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "", "once", "twice")
		_, s := consume(t, q, 2)
		synctest.Wait()
		held := s.take()
		if err := q.Settle(held[1].Token, broker.Outcome{Kind: broker.Abandon}); err != nil {
			t.Fatal(err)
		}
		consume(t, q, 1)
		again, _ := restart(t, q, l)
		if err := again.Settle(held[0].Token, broker.Outcome{}); !errors.Is(err, broker.ErrLockLost) {
			t.Errorf("settling under a lock of before: %v", err)
		}
		got := standing(again)
		if len(got) != 2 || got[0].ID != "twice" || got[0].Place != "dead" || got[1].ID != "once" || got[1].Failures != 1 {
			t.Errorf("%+v", got)
		}
		_, s = consume(t, again, 5)
		want(t, "after the restart", s.take(), "once")
	})
}

func TestRestartKeepsSessions(t *testing.T) {
	taped(t, sessions, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "a", "a1", "a2")
		put(t, q, "b", "b1")
		hold(t, q, "a", 1)
		hold(t, q, "state", 0)
		for id, state := range map[string][]byte{"a": {1, 2}, "state": {}} {
			if err := q.SetSessionState(id, state); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.SetSessionState("state", nil); err != nil {
			t.Fatal(err)
		}
		again, _ := restart(t, q, l)
		ids, err := again.Sessions(time.Time{})
		if diff := gocmp.Diff([]string{"a", "b"}, ids); diff != "" || err != nil {
			t.Errorf("sessions %v, %v", ids, err)
		}
		c, s := hold(t, again, "a", 5) // free again
		if state, err := again.SessionState("a"); err != nil || string(state) != "\x01\x02" {
			t.Errorf("state %x, %v", state, err)
		}
		synctest.Wait()
		got := s.take()
		want(t, "session a", got, "a1", "a2")
		if got[0].Failures != 1 || got[1].Failures != 0 {
			t.Errorf("failures %d and %d", got[0].Failures, got[1].Failures)
		}
		c.Close()
		next := &sink{}
		if _, err := again.AcceptNext(time.Second, next, func(c *broker.Consumer, err error) {
			if err != nil || c.SessionID() != "b" {
				t.Errorf("next session %v, %v", c, err)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

// What runs out while nothing runs has run out when it runs again.
func TestRestartAfterALongTime(t *testing.T) {
	taped(t, func(s *broker.Settings) {
		s.DefaultTTL, s.DeadLetterOnExpiry, s.DuplicateWindow = time.Hour, true, time.Hour
	},
		func(t *testing.T, q *broker.Queue, l *tape) {
			put(t, q, "", "old")
			q.Close()
			kept := &tape{records: slices.Clone(l.records)}
			time.Sleep(2 * time.Hour)
			again, _ := restart(t, q, kept)
			if got := standing(again); len(got) != 1 || got[0].Place != "dead" {
				t.Errorf("%+v", got)
			}
			if seqs := put(t, again, "", "old"); seqs[0] != 2 {
				t.Errorf("forgotten by now, but its number is %d", seqs[0])
			}
		})
}

// A queue that came back needs nobody to call it for what comes due.
func TestRestartSetsTimers(t *testing.T) {
	taped(t, func(s *broker.Settings) { s.DefaultTTL = time.Hour }, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "", "m")
		_, compact := restart(t, q, l)
		before := compact.length()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if compact.length() != before+1 {
			t.Error("a message did not expire by itself")
		}
	})
}

// Ids of all four types are remembered as what they are.
func TestRestartKeepsIDs(t *testing.T) {
	taped(t, func(s *broker.Settings) { s.DuplicateWindow = time.Hour }, func(t *testing.T, q *broker.Queue, l *tape) {
		var msgs []*amqp.Message
		for _, id := range []any{"7", uint64(7), amqp.UUID{7}, []byte("7"), nil} {
			m := &amqp.Message{}
			m.SetMessageID(id)
			msgs = append(msgs, m)
		}
		if _, err := q.Send(msgs); err != nil {
			t.Fatal(err)
		}
		again, _ := restart(t, q, l)
		seqs, err := again.Send(msgs)
		if diff := gocmp.Diff([]int64{0, 0, 0, 0, 6}, seqs); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// An operation that cannot be kept says so.
func TestFailingLog(t *testing.T) {
	full := errors.New("no space left")
	taped(t, sessions, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "s", "m")
		_, s := hold(t, q, "s", 1)
		synctest.Wait()
		late := message("late", "s")
		late.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-scheduled-enqueue-time"), Value: amqp.TimestampOf(time.Now().Add(time.Hour))}}
		seqs, err := q.Send([]*amqp.Message{late})
		if err != nil {
			t.Fatal(err)
		}
		l.err = full
		_, sent := q.Send([]*amqp.Message{message("x", "s")})
		for what, err := range map[string]error{
			"send": sent, "settle": q.Settle(s.got[0].Token, broker.Outcome{}), "state": q.SetSessionState("s", []byte{1}), "cancel": q.Cancel(seqs),
		} {
			if !errors.Is(err, full) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Settings that do not fit the messages are refused rather than the messages lost.
func TestHistoryOfAnotherKindOfQueue(t *testing.T) {
	taped(t, nil, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "", "m")
		var h broker.History
		for _, r := range l.records {
			if err := h.Record(r); err != nil {
				t.Fatal(err)
			}
		}
		s := q.Settings()
		s.RequiresSession = true
		if _, err := h.Queue(s, time.Now); !errors.Is(err, broker.ErrSessionIDMissing) {
			t.Errorf("error %v", err)
		}
	})
}

// A message that dies is in one frame of the log taken out of one place and put in the other.
func TestDyingIsOneRecord(t *testing.T) {
	taped(t, nil, func(t *testing.T, q *broker.Queue, l *tape) {
		put(t, q, "", "m")
		_, s := consume(t, q, 1)
		synctest.Wait()
		if err := q.Settle(s.take()[0].Token, broker.Outcome{Kind: broker.DeadLetter}); err != nil {
			t.Fatal(err)
		}
		for n := range len(l.records) + 1 {
			cut := &tape{records: l.records[:n]}
			again, _ := restart(t, q, cut)
			if got := standing(again); len(got) != min(n, 1) {
				t.Errorf("after %d records of %d: %+v", n, len(l.records), got)
			}
		}
	})
}

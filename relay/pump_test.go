package relay_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
)

func TestResultsAreSentAtStartAndAsTheyCome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.outbox.put("results", "left over", time.Hour)
		b.start(c)
		if diff := cmp.Diff([]string{"left over"}, b.sender.accepted()); diff != "" {
			t.Errorf("at start: %s", diff)
		}
		b.outbox.put("results", "new", time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"left over", "new"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
		if b.outbox.left() != 0 {
			t.Errorf("%d results stay in the outbox although they were accepted", b.outbox.left())
		}
		if got := b.loop.Stats(); got.ResultsSent != 2 || got.OutboxPending != 0 || got.LastSend.IsZero() {
			t.Errorf("sent %d, pending %d, last %v", got.ResultsSent, got.OutboxPending, got.LastSend)
		}
		b.end()
	})
}

func TestEachResultIsSentOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.sender.refuseWith(func(writeback.PendingResult) error { time.Sleep(100 * time.Millisecond); return nil })
		b.start(c)
		for i := range 30 {
			b.outbox.put("results", fmt.Sprint(i), time.Hour)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		seen := map[string]int{}
		for _, id := range b.sender.accepted() {
			seen[id]++
		}
		for i := range 30 {
			if seen[fmt.Sprint(i)] != 1 {
				t.Errorf("result %d was sent %d times", i, seen[fmt.Sprint(i)])
			}
		}
		b.end()
	})
}

func TestRefusingQueueHoldsUpOnlyItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.sender.refuseWith(func(r writeback.PendingResult) error {
			if r.Queue == "refusing" {
				return errBroker
			}
			return nil
		})
		for i := range 20 {
			b.outbox.put("refusing", fmt.Sprint("r", i), 3*time.Hour)
		}
		b.start(c)
		time.Sleep(30 * time.Minute)
		b.outbox.put("working", "w", time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"w"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
		stats := b.loop.Stats()
		if diff := cmp.Diff([]string{"refusing"}, stats.FailingQueues); diff != "" {
			t.Error(diff)
		}
		if stats.OutboxPending != 20 {
			t.Errorf("%d pending, want 20", stats.OutboxPending)
		}
		// The first burst is as wide as a lane, then one at a time at 30 s with jitter.
		if got := len(b.sender.attempts("refusing")); got < 40 || got > 150 {
			t.Errorf("%d tries in half an hour, want about 70", got)
		}

		b.sender.refuseWith(nil)
		time.Sleep(time.Minute)
		if got := len(b.sender.accepted()); got != 21 {
			t.Errorf("%d results sent after the queue accepts again, want 21", got)
		}
		if got := b.loop.Stats(); len(got.FailingQueues) != 0 || got.LastSendError != "" {
			t.Errorf("still failing: %v %q", got.FailingQueues, got.LastSendError)
		}
		b.end()
	})
}

func TestResultsLeaveInOrderAfterAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.sender.refuseWith(func(writeback.PendingResult) error { return errBroker })
		var want []string
		for i := range 5 {
			want = append(want, fmt.Sprint(i))
			b.outbox.put("results", fmt.Sprint(i), time.Hour)
		}
		b.start(c)
		var sent []string
		b.sender.refuseWith(func(r writeback.PendingResult) error {
			sent = append(sent, r.MessageID) // the first goes alone: the lane is still failing
			return nil
		})
		time.Sleep(375*time.Millisecond + time.Millisecond)
		if got := b.sender.accepted(); len(got) != 5 || got[0] != want[0] {
			t.Errorf("sent %v, want all, beginning with the oldest", got)
		}
		b.end()
	})
}

func TestExpiredResultIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.sender.refuseWith(func(writeback.PendingResult) error { return errBroker })
		b.outbox.put("results", "a", time.Hour)
		b.start(c)
		time.Sleep(time.Hour + time.Minute)
		if b.outbox.left() != 0 {
			t.Error("an expired result stays in the outbox")
		}
		if got := b.loop.Stats(); got.ResultsExpired != 1 || got.ResultsSent != 0 {
			t.Errorf("expired %d, sent %d; want 1 and 0", got.ResultsExpired, got.ResultsSent)
		}
		b.end()
	})
}

func TestUnmarkedResultIsNotSentTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.outbox.markErr = errBroker
		b.outbox.put("results", "a", time.Hour)
		b.start(c)
		time.Sleep(10 * time.Minute)
		b.outbox.mu.Lock()
		b.outbox.markErr = nil
		b.outbox.mu.Unlock()
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"a"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
		if b.outbox.left() != 0 {
			t.Error("the result was never marked delivered")
		}
		b.end()
	})
}

func TestUnreadableOutboxIsReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.outbox.readErr = errBroker
		b.outbox.put("results", "a", time.Hour)
		b.start(c)
		b.outbox.mu.Lock()
		b.outbox.readErr = nil
		b.outbox.mu.Unlock()
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"a"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
		b.end()
	})
}

func TestSlowSettlementDoesNotDelayTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, working(0))
		b.source.settling = make(chan struct{})
		b.source.put("a", time.Hour)
		b.start(c)
		b.outbox.put("results", "answer", time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"answer"}, b.sender.accepted()); diff != "" {
			t.Error(diff)
		}
		close(b.source.settling)
		b.end()
	})
}

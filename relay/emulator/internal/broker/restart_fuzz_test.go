package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// FuzzRestart compares a queue that goes on with one made from its log. When all locks of the first have run out, they
// stand alike.
func FuzzRestart(f *testing.F) {
	f.Add(false, []byte{0, 0, 0x31, 0x10, 0x23, 0x34, 8, 0x19, 9, 5, 7, 6, 1, 2, 3})
	f.Add(true, []byte{0, 0x10, 0x20, 0x41, 0x51, 2, 3, 8, 5, 0x2a, 6, 7, 0x17, 6, 1, 2})
	f.Fuzz(func(t *testing.T, withSessions bool, steps []byte) {
		if len(steps) > 200 {
			return
		}
		taped(t, func(s *broker.Settings) {
			s.RequiresSession, s.DefaultTTL, s.DeadLetterOnExpiry = withSessions, 5*lockTime, len(steps)%2 == 0
		}, func(t *testing.T, q *broker.Queue, l *tape) {
			m := &model{t: t, q: q, sessions: withSessions}
			for _, b := range steps {
				m.stepFurther(b&0x0f, int(b>>4))
			}
			for _, c := range m.consumers {
				c.Allow(0)
			}
			again, _ := restart(t, q, l)
			time.Sleep(2 * lockTime)
			synctest.Wait()
			if diff := gocmp.Diff(standing(q), standing(again)); diff != "" {
				t.Fatalf("(-goes on +restarted):\n%s", diff)
			}
		})
	})
}

// stepFurther also defers, takes deferred ones, and schedules.
func (m *model) stepFurther(op byte, n int) {
	switch op % 11 {
	case 8:
		m.settle(n, broker.Defer)
	case 9:
		if got, err := m.q.TakeDeferred([]int64{int64(n)}); err == nil {
			m.hands = append(m.hands, got...)
		}
	case 10:
		late := message(fmt.Sprint("late", m.sent), map[bool]string{true: "a"}[m.sessions])
		late.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-scheduled-enqueue-time"), Value: amqp.TimestampOf(time.Now().Add(time.Duration(n) * lockTime / 2))}}
		if _, err := m.q.Send([]*amqp.Message{late}); err != nil {
			m.t.Fatal(err)
		}
		m.sent++
	default:
		m.step(op%11, n)
	}
}

// FuzzHistory: no bytes make it panic, and what it accepts can be kept again.
func FuzzHistory(f *testing.F) {
	add := func(records ...amqp.List) {
		var b []byte
		for _, r := range records {
			b, _ = amqp.Append(b, r)
		}
		f.Add(b)
	}
	body, _ := message("m", "s").Append(nil)
	add(amqp.List{uint8(1), false, int64(1), int32(3), true, uint32(2), amqp.Timestamp(5), nil, "", body}, amqp.List{uint8(3), false, int64(1)})
	add(amqp.List{uint8(5), []byte("id"), amqp.Timestamp(1 << 60)}, amqp.List{uint8(5), amqp.List{}, nil})
	add(amqp.List{uint8(6), "s", []byte{}, nil}, amqp.List{uint8(4), true, int64(-1)}, amqp.List{uint8(2), true, int64(9)})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h broker.History
		if err := h.Record(b); err != nil {
			if !errors.Is(err, broker.ErrRecord) {
				t.Fatal(err)
			}
			return
		}
		set := broker.Settings{Name: "q", LockDuration: lockTime, MaxDeliveryCount: 3, DuplicateWindow: time.Hour}
		q, err := h.Queue(set, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		var second broker.History
		if err := q.Snapshot(second.Record); err != nil {
			t.Fatal(err)
		}
	})
}

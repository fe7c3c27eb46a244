package broker_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// FuzzQueue lets consumers, settlements and time run over each other as the input says. Whatever the order: no message
// is lost or doubled, none is in two hands at once, and locks that were given back or have expired settle nothing.
func FuzzQueue(f *testing.F) {
	f.Add(false, []byte{0, 0, 1, 0x12, 0x23, 0x34, 0x45, 6, 0x17, 0, 1, 2, 3})
	f.Add(true, []byte{0, 0x10, 0x20, 1, 0x11, 2, 3, 4, 5, 6, 7, 0x17, 6, 1, 2})
	f.Fuzz(func(t *testing.T, withSessions bool, steps []byte) {
		if len(steps) > 400 {
			return
		}
		bubble(t, func(s *broker.Settings) {
			s.RequiresSession, s.DefaultTTL, s.DeadLetterOnExpiry = withSessions, 5*lockTime, len(steps)%2 == 0
		}, func(t *testing.T, q *broker.Queue) {
			m := &model{t: t, q: q, sessions: withSessions}
			for _, b := range steps {
				m.step(b&0x0f, int(b>>4))
				m.check()
			}
		})
	})
}

type model struct {
	t         *testing.T
	q         *broker.Queue
	sessions  bool
	sent      int
	consumers []*broker.Consumer
	sinks     []*sink
	hands     []broker.Delivery
}

func (m *model) step(op byte, n int) {
	switch op % 8 {
	case 0:
		session := ""
		if m.sessions {
			session = string(rune('a' + n%3))
		}
		put(m.t, m.q, session, fmt.Sprint("m", m.sent))
		m.sent++
	case 1:
		m.addConsumer(n)
	case 2:
		m.settle(n, broker.Complete)
	case 3:
		m.settle(n, broker.Abandon)
	case 4:
		m.settle(n, broker.Release)
	case 5:
		m.settle(n, broker.DeadLetter)
	case 6:
		time.Sleep(time.Duration(n+1) * lockTime / 4)
		synctest.Wait()
	case 7:
		if len(m.consumers) > 0 {
			m.consumers[n%len(m.consumers)].Close()
		}
	}
	for _, s := range m.sinks {
		m.hands = append(m.hands, s.take()...)
	}
}

func (m *model) addConsumer(n int) {
	s := &sink{}
	var c *broker.Consumer
	var err error
	if m.sessions {
		c, err = m.q.AcceptSession(string(rune('a'+n%3)), s)
	} else {
		c, err = m.q.Consume(s)
	}
	if err != nil {
		return // the session is held
	}
	c.Allow(uint64(n))
	m.consumers, m.sinks = append(m.consumers, c), append(m.sinks, s)
}

func (m *model) settle(n int, kind broker.Kind) {
	if len(m.hands) == 0 {
		return
	}
	i := n % len(m.hands)
	_ = m.q.Settle(m.hands[i].Token, broker.Outcome{Kind: kind}) // may have expired
	if err := m.q.Settle(m.hands[i].Token, broker.Outcome{Kind: kind}); err == nil {
		m.t.Fatal("settled twice")
	}
	m.hands = append(m.hands[:i], m.hands[i+1:]...)
}

// check compares the counts with what was sent.
func (m *model) check() {
	c := m.q.Counts()
	total := c.Active + c.Locked + c.Deferred + c.Scheduled + c.DeadLettered + c.Completed
	if m.q.Settings().DeadLetterOnExpiry {
		if total != m.sent {
			m.t.Fatalf("%d messages sent, %+v", m.sent, c)
		}
	} else if total+c.Expired != m.sent {
		m.t.Fatalf("%d messages sent, %+v", m.sent, c)
	}
	if c.Locked > len(m.hands) {
		m.t.Fatalf("%d locked, %d in hands", c.Locked, len(m.hands))
	}
}

// A hundred thousand messages of a kilobyte must stay under 200 MiB, bodies included.
func TestWaitingMessagesAreSmall(t *testing.T) {
	const n, body, limit = 100_000, 1000, 200 << 20
	q := broker.New(broker.Settings{Name: "q", LockDuration: lockTime, DefaultTTL: time.Hour}, time.Now)
	defer q.Close()
	before := heap()
	for range n {
		m := &amqp.Message{Body: make([]byte, body), ApplicationProperties: amqp.Map{{Key: "k", Value: "v"}}}
		broker.MessageID(m)
		if _, err := q.Send([]*amqp.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	if took := heap() - before; took > limit {
		t.Errorf("%d messages of %d bytes take %d MiB", n, body, took>>20)
	}
	runtime.KeepAlive(q)
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

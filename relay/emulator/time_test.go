package emulator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/relay/emulator"
)

// inBubble runs a test with a namespace and a client in a bubble, where hours pass in no time and every goroutine must
// have ended at the end: a leak makes it fail.
func inBubble(t *testing.T, cfg func() emulator.Config, test func(*testing.T, *emulator.Server, *azservicebus.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, cfg())
		test(t, s, connect(t, s))
	})
}

func TestExpiredLockIsLost(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		send(t, c, plainQueue, "slow")
		r := newReceiver(t, c, plainQueue, nil)
		m := receiveOne(t, r)
		time.Sleep(emulator.DefaultLockDuration - time.Second)
		if got := counts(t, s, plainQueue); got.Locked != 1 {
			t.Errorf("a second before the lock expires: %+v", got)
		}
		time.Sleep(2 * time.Second)
		if got := counts(t, s, plainQueue); got.Active != 1 || got.Locked != 0 {
			t.Errorf("after the lock expired: %+v", got)
		}
		wantCode(t, r.CompleteMessage(within(t), m, nil), azservicebus.CodeLockLost)
		wantCode(t, r.RenewMessageLock(within(t), m, nil), azservicebus.CodeLockLost)
		if again := receiveOne(t, r); again.DeliveryCount != 2 {
			t.Errorf("delivery count %d, want 2: an expired lock is a failed attempt", again.DeliveryCount)
		}
	})
}

func TestRenewedLockHolds(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		send(t, c, plainQueue, "slow")
		r := newReceiver(t, c, plainQueue, nil)
		m := receiveOne(t, r)
		for range 3 {
			time.Sleep(emulator.DefaultLockDuration - time.Second)
			must(t, r.RenewMessageLock(within(t), m, nil))
			if left := time.Until(*m.LockedUntil); left != emulator.DefaultLockDuration {
				t.Errorf("lock renewed for %v", left)
			}
		}
		must(t, r.CompleteMessage(within(t), m, nil))
	})
}

func TestTimeToLive(t *testing.T) {
	minute := time.Minute
	own := func(m *azservicebus.Message) { m.TimeToLive = &minute }
	tests := []struct {
		name       string
		queue      func(*emulator.Queue)
		message    func(*azservicebus.Message)
		lives      time.Duration
		deadLetter bool
	}{
		{"message", func(q *emulator.Queue) {}, own, minute, false},
		{"queue", func(q *emulator.Queue) { q.DefaultTTL = time.Hour }, func(*azservicebus.Message) {}, time.Hour, false},
		{"shorter of both", func(q *emulator.Queue) { q.DefaultTTL = time.Hour }, own, minute, false},
		{"shorter one is the queue's", func(q *emulator.Queue) { q.DefaultTTL = 30 * time.Second }, own, 30 * time.Second, false},
		{"dead-lettered", func(q *emulator.Queue) { q.DeadLetterOnExpiry = true }, own, minute, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func() emulator.Config { return plain(tt.queue) }, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "x", tt.message)
				time.Sleep(tt.lives - time.Second)
				if got := counts(t, s, plainQueue).Active; got != 1 {
					t.Fatalf("a second before its end: %d messages", got)
				}
				time.Sleep(2 * time.Second)
				if got := counts(t, s, plainQueue); got.Active != 0 || got.Expired != 1 {
					t.Fatalf("after its end: %+v", got)
				}
				if !tt.deadLetter {
					return
				}
				if m := receiveOne(t, deadLetters(t, c, plainQueue)); *m.DeadLetterReason != "TTLExpiredException" {
					t.Errorf("reason %q", *m.DeadLetterReason)
				}
			})
		})
	}
}

func TestLockedMessageOutlivesItsTime(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		minute := time.Minute
		send(t, c, plainQueue, "x", func(m *azservicebus.Message) { m.TimeToLive = &minute })
		r := newReceiver(t, c, plainQueue, nil)
		m := receiveOne(t, r)
		time.Sleep(2 * time.Minute)
		must(t, r.CompleteMessage(within(t), m, nil))
	})
}

func TestScheduledMessageArrivesInTime(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		at := time.Now().Add(time.Hour)
		send(t, c, plainQueue, "later", func(m *azservicebus.Message) { m.ScheduledEnqueueTime = &at })
		time.Sleep(time.Until(at) - time.Second)
		if got := counts(t, s, plainQueue); got.Scheduled != 1 || got.Active != 0 {
			t.Fatalf("before: %+v", got)
		}
		time.Sleep(time.Second)
		m := receiveOne(t, newReceiver(t, c, plainQueue, nil))
		if !m.EnqueuedTime.Equal(at) {
			t.Errorf("enqueued at %v, want %v", m.EnqueuedTime, at)
		}
	})
}

func TestDuplicateWindowEnds(t *testing.T) {
	window := func() emulator.Config {
		return plain(func(q *emulator.Queue) { q.DuplicateWindow = 10 * time.Minute })
	}
	inBubble(t, window, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		id := "same"
		same := func(m *azservicebus.Message) { m.MessageID = &id }
		send(t, c, plainQueue, "1", same)
		time.Sleep(9 * time.Minute)
		send(t, c, plainQueue, "2", same)
		time.Sleep(2 * time.Minute)
		send(t, c, plainQueue, "3", same)
		if got := counts(t, s, plainQueue); got.Active != 2 || got.Duplicates != 1 {
			t.Errorf("counts: %+v", got)
		}
	})
}

func TestSessionLockExpires(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		send(t, c, sessionQueue, "m", inSession("s"))
		first := acceptSession(t, c, "s")
		m := receiveOne(t, first)
		time.Sleep(emulator.DefaultLockDuration - time.Second)
		must(t, first.RenewSessionLock(within(t), nil))
		time.Sleep(emulator.DefaultLockDuration + time.Second)
		again := receiveOne(t, acceptSession(t, c, "s"))
		if again.DeliveryCount != 2 {
			t.Errorf("delivery count %d, want 2: an expired session is a failed attempt", again.DeliveryCount)
		}
		if err := first.CompleteMessage(within(t), m, nil); err == nil {
			t.Error("completed a message of a session that someone else holds")
		}
	})
}

func TestAcceptNextTimesOut(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		start := time.Now()
		_, err := c.AcceptNextSessionForQueue(context.Background(), sessionQueue, nil)
		wantCode(t, err, azservicebus.CodeTimeout)
		if waited := time.Since(start); waited < time.Minute {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestExpiredTokenDetachesLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, guarded())
		token := sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour))
		c := connectWith(t, s, "Endpoint=sb://emulator.test;UseDevelopmentEmulator=true;SharedAccessSignature="+token)
		snd := newSender(t, c, plainQueue)
		must(t, snd.SendMessage(within(t), &azservicebus.Message{}, nil))
		time.Sleep(time.Hour - time.Minute)
		must(t, snd.SendMessage(within(t), &azservicebus.Message{}, nil))
		time.Sleep(2 * time.Minute)
		wantCode(t, snd.SendMessage(within(t), &azservicebus.Message{}, nil), azservicebus.CodeUnauthorizedAccess)
	})
}

func TestIdleConnectionStaysUp(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		r := newReceiver(t, c, plainQueue, nil)
		received := make(chan string)
		go func() { received <- string(receiveUntil(t, r).Body) }()
		time.Sleep(24 * time.Hour) // through heartbeats, token renewals
		send(t, c, plainQueue, "morning")
		if got := <-received; got != "morning" {
			t.Errorf("received %q", got)
		}
	})
}

// receiveUntil waits for one message for as long as it takes.
func receiveUntil(t *testing.T, r receiver) *azservicebus.ReceivedMessage {
	msgs, err := r.ReceiveMessages(context.Background(), 1, nil)
	if err != nil || len(msgs) != 1 {
		t.Errorf("received %d messages, %v", len(msgs), err)
		return &azservicebus.ReceivedMessage{}
	}
	return msgs[0]
}

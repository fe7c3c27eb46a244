package emulator_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/relay/emulator"
)

// faulty is a namespace whose first operation of one kind fails in a given way.
func faulty(op emulator.Op, f emulator.Fault) func() emulator.Config {
	return func() emulator.Config {
		cfg := standard()
		cfg.Fault = faultOnce(op, f)
		return cfg
	}
}

// faultOnce hits the first operation of its kind.
func faultOnce(op emulator.Op, f emulator.Fault) emulator.FaultFunc {
	var done atomic.Bool
	return func(_ context.Context, e emulator.Event) emulator.Fault {
		if e.Op == op && done.CompareAndSwap(false, true) {
			return f
		}
		return emulator.Fault{}
	}
}

func TestClientRetriesAfterFaults(t *testing.T) {
	tests := []struct {
		name   string
		op     emulator.Op
		fault  emulator.Fault
		stored int // messages in the queue after one send
	}{
		{"busy", emulator.OpSend, emulator.Fault{Condition: "com.microsoft:server-busy"}, 1},
		{"detached", emulator.OpSend, emulator.Fault{Condition: "amqp:link:detach-forced", Detach: true}, 1},
		{"dropped before", emulator.OpSend, emulator.Fault{Drop: emulator.DropBefore}, 1},
		{"dropped after", emulator.OpSend, emulator.Fault{Drop: emulator.DropAfter}, 2},
		{"attach refused", emulator.OpAttach, emulator.Fault{Condition: "com.microsoft:server-busy"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, faulty(tt.op, tt.fault), func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "x")
				if got := counts(t, s, plainQueue).Active; got != tt.stored {
					t.Errorf("%d messages stored, want %d", got, tt.stored)
				}
			})
		})
	}
}

func TestFaultsThatAreFinal(t *testing.T) {
	fault := emulator.Fault{Condition: "com.microsoft:entity-disabled", Description: "switched off"}
	inBubble(t, faulty(emulator.OpSend, fault), func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		err := newSender(t, c, plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
		wantCondition(t, err, fault.Condition)
		if got := counts(t, s, plainQueue).Active; got != 0 {
			t.Errorf("%d messages stored", got)
		}
	})
}

func TestSettlementAfterItsLinkWasDetached(t *testing.T) {
	for _, settle := range settlements() {
		t.Run(settle.name, func(t *testing.T) {
			fault := emulator.Fault{Condition: "amqp:link:detach-forced", Detach: true}
			inBubble(t, faulty(emulator.OpSettle, fault), func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "x")
				r := newReceiver(t, c, plainQueue, nil)
				must(t, settle.do(t, r, receiveOne(t, r)))
				if got := settle.count(counts(t, s, plainQueue)); got != 1 {
					t.Errorf("counts: %+v", counts(t, s, plainQueue))
				}
			})
		})
	}
}

type settlement struct {
	name  string
	do    func(*testing.T, *azservicebus.Receiver, *azservicebus.ReceivedMessage) error
	count func(emulator.Counts) int
}

func settlements() []settlement {
	reason := "because"
	return []settlement{
		{"complete", func(t *testing.T, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return r.CompleteMessage(within(t), m, nil)
		}, func(c emulator.Counts) int { return c.Completed }},
		{"dead-letter", func(t *testing.T, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return r.DeadLetterMessage(within(t), m, &azservicebus.DeadLetterOptions{Reason: &reason, ErrorDescription: &reason})
		}, func(c emulator.Counts) int { return c.DeadLettered }},
		{"defer", func(t *testing.T, r *azservicebus.Receiver, m *azservicebus.ReceivedMessage) error {
			return r.DeferMessage(within(t), m, nil)
		}, func(c emulator.Counts) int { return c.Deferred }},
	}
}

func TestSettlingByTokenAfterTheConnectionWasLost(t *testing.T) {
	for _, settle := range settlements() {
		t.Run(settle.name, func(t *testing.T) {
			inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "x")
				m := receiveOne(t, newReceiver(t, c, plainQueue, nil))
				s.DropConnections()
				byToken := &azservicebus.ReceivedMessage{LockToken: m.LockToken}
				must(t, settle.do(t, newReceiver(t, connect(t, s), plainQueue, nil), byToken))
				if got := settle.count(counts(t, s, plainQueue)); got != 1 {
					t.Errorf("counts: %+v", counts(t, s, plainQueue))
				}
			})
		})
	}
}

func TestLockSurvivesTheConnection(t *testing.T) {
	inBubble(t, standard, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		send(t, c, plainQueue, "x")
		receiveOne(t, newReceiver(t, c, plainQueue, nil))
		s.DropConnections()
		synctest.Wait()
		if got := counts(t, s, plainQueue); got.Locked != 1 || got.Active != 0 {
			t.Errorf("right after the loss: %+v", got)
		}
		time.Sleep(emulator.DefaultLockDuration)
		if got := counts(t, s, plainQueue); got.Active != 1 {
			t.Errorf("after the lock's time: %+v", got)
		}
	})
}

func TestDispositionLostWithTheConnection(t *testing.T) {
	for drop, completed := range map[emulator.Drop]int{emulator.DropBefore: 0, emulator.DropAfter: 1} {
		t.Run(fmt.Sprint(drop), func(t *testing.T) {
			inBubble(t, faulty(emulator.OpSettle, emulator.Fault{Drop: drop}), func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "x")
				r := newReceiver(t, c, plainQueue, nil)
				m := receiveOne(t, r)
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if err := r.CompleteMessage(ctx, m, nil); err == nil {
					t.Error("completing succeeded although no answer can have come")
				}
				if got := counts(t, s, plainQueue).Completed; got != completed {
					t.Errorf("%d completed, want %d", got, completed)
				}
			})
		})
	}
}

func TestManagementFault(t *testing.T) {
	fault := emulator.Fault{Condition: "com.microsoft:message-lock-lost", Status: 410}
	inBubble(t, faulty(emulator.OpRequest, fault), func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		send(t, c, plainQueue, "x")
		r := newReceiver(t, c, plainQueue, nil)
		wantCode(t, r.RenewMessageLock(within(t), receiveOne(t, r), nil), azservicebus.CodeLockLost)
	})
}

func TestSlowService(t *testing.T) {
	const pause = 3 * time.Second
	slow := func() emulator.Config {
		cfg := standard()
		cfg.Fault = func(ctx context.Context, e emulator.Event) emulator.Fault {
			if e.Op == emulator.OpSend {
				select {
				case <-time.After(pause):
				case <-ctx.Done():
				}
			}
			return emulator.Fault{}
		}
		return cfg
	}
	inBubble(t, slow, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
		start := time.Now()
		send(t, c, plainQueue, "x")
		if took := time.Since(start); took < pause {
			t.Errorf("sending took %v", took)
		}
	})
}

package servicebus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// answer sends a result as an agent would.
func (b *broker) answer(session, id string) {
	b.t.Helper()
	b.agent(func(a *servicebus.Agent) {
		b.check("SendResult", a.SendResult(b.ctx, result(results, session, id)))
	})
}

// expect receives the result of that id within the time.
func (b *broker) expect(p *servicebus.Portal, id string, within time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	token, correlation, err := p.ReceiveResult(ctx)
	b.check("ReceiveResult", err)
	if string(token) != "result "+id || correlation != "request-"+id {
		b.t.Errorf("got %q for %q, want the result %s", token, correlation, id)
	}
}

func TestPortalReceivesItsOwnResultsOnly(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.answer("theirs", "1")
		b.answer("ours", "2")
		b.portal("ours", func(p *servicebus.Portal) {
			b.expect(p, "2", time.Minute)
			if counts := b.counts(results); counts.Completed != 1 || counts.Active != 1 {
				t.Errorf("%+v, want ours completed and theirs left", counts)
			}
			ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
			defer cancel()
			if _, _, err := p.ReceiveResult(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ReceiveResult: %v, want the deadline's error", err)
			}
		})
	})
}

func TestSessionIsAcceptedOnceAndRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		var accepted, renewed atomic.Int32
		b.inject(func(_ context.Context, e emulator.Event) emulator.Fault {
			switch {
			case e.Op == emulator.OpAttach && e.Queue == results && e.Receiver:
				accepted.Add(1)
			case e.Op == emulator.OpRequest && e.Name == "com.microsoft:renew-session-lock":
				renewed.Add(1)
			}
			return emulator.Fault{}
		})
		b.portal("ours", func(p *servicebus.Portal) {
			go func() {
				time.Sleep(61 * time.Minute)
				b.answer("ours", "late")
			}()
			b.expect(p, "late", 2*time.Hour)
			b.answer("ours", "next")
			b.expect(p, "next", time.Minute)
		})
		if accepted.Load() != 1 {
			t.Errorf("the session was accepted %d times, want once", accepted.Load())
		}
		if got := renewed.Load(); got != 15 { // every 4 of 61 minutes
			t.Errorf("the lock was renewed %d times in an hour, want 15", got)
		}
	})
}

func TestLostSessionIsAcceptedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.portal("ours", func(p *servicebus.Portal) {
			go func() {
				time.Sleep(time.Minute)
				b.DropConnections()
				b.answer("ours", "1")
			}()
			b.expect(p, "1", 10*time.Minute)
			time.Sleep(10 * time.Minute) // nobody renews: the lock runs out between two calls
			b.answer("ours", "2")
			b.expect(p, "2", 10*time.Minute)
		})
	})
}

func TestBrokerDownForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.portal("ours", func(p *servicebus.Portal) {
			b.setDown(true)
			if err := p.SendRequest(b.ctx, "1", "ping", nil, time.Minute); err == nil {
				t.Error("SendRequest: no error although nobody answers")
			}
			go func() {
				time.Sleep(5 * time.Minute)
				b.setDown(false)
				b.answer("ours", "1")
			}()
			b.expect(p, "1", 10*time.Minute)
		})
	})
}

func TestPortalWithoutALogger(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.log = nil
		b.portal("ours", func(p *servicebus.Portal) {
			b.setDown(true)
			ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
			defer cancel()
			if _, _, err := p.ReceiveResult(ctx); err == nil {
				t.Error("no error although nobody answers")
			}
		})
	})
}

func TestBusySessionIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.answer("ours", "1")
		b.answer("ours", "2")
		b.portal("ours", func(p *servicebus.Portal) {
			b.portal("ours", func(other *servicebus.Portal) {
				b.expect(other, "1", time.Minute)
				ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
				defer cancel()
				if _, _, err := p.ReceiveResult(ctx); err == nil {
					t.Error("two portals hold one session")
				}
			})
			b.expect(p, "2", time.Minute)
		})
	})
}

func TestPoisonedResultDoesNotStopThePortal(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		session := "ours"
		b.raw(results, &amqp.Message{
			Data: [][]byte{[]byte("poison")}, Properties: &amqp.MessageProperties{GroupID: &session},
			ApplicationProperties: map[string]any{"DeadLetterReason": int32(5)},
		})
		b.answer(session, "1")
		b.portal(session, func(p *servicebus.Portal) { b.expect(p, "1", time.Minute) })
	})
}

func TestHopelessIsToldAtOnce(t *testing.T) {
	for name, row := range map[string]struct{ queue, key string }{
		"wrong key": {results, "d3Jvbmc="},
		"no queue":  {"nowhere", keyText},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				p, err := servicebus.DialPortal(b.ctx, servicebus.PortalConfig{
					ConnectionString: connectionString(row.key), RequestsQueue: requests, ResultsQueue: row.queue, Session: "s", NewConn: b.dial, Logger: b.log,
				})
				b.check("DialPortal", err)
				started := time.Now()
				if _, _, err := p.ReceiveResult(b.ctx); err == nil || time.Since(started) > time.Minute {
					t.Errorf("ReceiveResult: %v after %v, want an error soon", err, time.Since(started))
				}
				b.check("Close", p.Close(b.ctx))
				if _, _, err := p.ReceiveResult(b.ctx); err == nil {
					t.Error("ReceiveResult works after Close")
				}
			})
		})
	}
}

func TestReceiveResultTakesTurns(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.portal("ours", func(p *servicebus.Portal) {
			tokens := make(chan string, 2)
			for range 2 {
				go func() {
					token, _, err := p.ReceiveResult(b.ctx)
					if err != nil {
						t.Error(err)
					}
					tokens <- string(token)
				}()
			}
			synctest.Wait()
			b.answer("ours", "1")
			b.answer("ours", "2")
			if first, second := <-tokens, <-tokens; first == second {
				t.Errorf("both got %q", first)
			}
		})
	})
}

func TestLostSettlementOfAResult(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.answer("ours", "1")
		b.inject(once(operation(emulator.OpSettle, results), emulator.Fault{Drop: emulator.DropBefore}))
		b.portal("ours", func(p *servicebus.Portal) {
			b.expect(p, "1", time.Minute) // the portal has it, whatever became of the message
			b.answer("ours", "2")
			ctx, cancel := context.WithTimeout(b.ctx, 10*time.Minute)
			defer cancel()
			for {
				token, _, err := p.ReceiveResult(ctx)
				b.check("ReceiveResult", err)
				if string(token) == "result 2" {
					return
				}
			}
		})
	})
}

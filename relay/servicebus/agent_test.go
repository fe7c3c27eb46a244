package servicebus_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

func TestRequestTravels(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			got := b.receive(a)
			type fields struct {
				Body, ContentType, MessageID string
				Count                        uint32
			}
			want := fields{"token of one", "application/jwt", "one", 1}
			if diff := cmp.Diff(want, fields{string(got.Body), got.ContentType, got.MessageID, got.Count}); diff != "" {
				t.Error(diff)
			}
			if until := time.Until(got.LockedUntil()); until != 5*time.Minute {
				t.Errorf("locked for %v, want 5m", until)
			}
			b.check("Complete", a.Complete(b.ctx, got))
			if counts := b.counts(requests); counts.Completed != 1 || counts.Active+counts.Locked != 0 {
				t.Errorf("after Complete: %+v", counts)
			}
		})
	})
}

func TestAbandonedMessageComesAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			b.check("Abandon", a.Abandon(b.ctx, b.receive(a)))
			if again := b.receive(a); again.MessageID != "one" || again.Count != 2 {
				t.Errorf("got %q, delivery %d; want one, delivery 2", again.MessageID, again.Count)
			}
		})
	})
}

func TestRenewMovesTheLock(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			got := b.receive(a)
			time.Sleep(4 * time.Minute)
			b.check("Renew", a.Renew(b.ctx, got))
			if until := time.Until(got.LockedUntil()); until != 5*time.Minute {
				t.Errorf("locked for %v after Renew, want 5m", until)
			}
			time.Sleep(4 * time.Minute)
			b.check("Complete", a.Complete(b.ctx, got))
		})
	})
}

func TestNoLockLooksLongerThanItCanBe(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.setAhead(30 * time.Minute)
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			got := b.receive(a)
			if until := time.Until(got.LockedUntil()); until != 5*time.Minute {
				t.Errorf("locked for %v by a broker with a fast clock, want 5m", until)
			}
			time.Sleep(time.Minute)
			b.check("Renew", a.Renew(b.ctx, got))
			if until := time.Until(got.LockedUntil()); until != 5*time.Minute {
				t.Errorf("locked for %v after Renew, want 5m", until)
			}
		})
	})
}

func TestLostLockIsAnErrorAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			got := b.receive(a)
			time.Sleep(6 * time.Minute)
			started := time.Now()
			var asked atomic.Int32
			b.inject(func(_ context.Context, e emulator.Event) emulator.Fault {
				if e.Op == emulator.OpRequest {
					asked.Add(1)
				}
				return emulator.Fault{}
			})
			if err := a.Complete(b.ctx, got); err == nil {
				t.Error("a message whose lock was lost could be completed")
			}
			if asked.Load() != 0 {
				t.Error("the broker was asked a second time although its answer was final")
			}
			if err := a.Renew(b.ctx, got); err == nil {
				t.Error("a lock that was lost could be renewed")
			}
			if took := time.Since(started); took > time.Second {
				t.Errorf("the answers took %v", took)
			}
			if again := b.receive(a); again.Count != 2 {
				t.Errorf("delivery %d, want 2", again.Count)
			}
		})
	})
}

func TestForeignDelivery(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			if err := a.Complete(b.ctx, &writeback.Delivery{}); err == nil {
				t.Error("a delivery from elsewhere was settled")
			}
		})
	})
}

func TestHostileShapes(t *testing.T) {
	text := "text/plain"
	for name, row := range map[string]struct {
		message  *amqp.Message
		body, id string
		length   int
	}{
		"body is a value":      {message: &amqp.Message{Value: "a string", Properties: &amqp.MessageProperties{MessageID: "x"}}, id: "x"},
		"body in two sections": {message: &amqp.Message{Data: [][]byte{[]byte("a"), []byte("b")}, Properties: &amqp.MessageProperties{MessageID: "x"}}, id: "x"},
		"no properties":        {message: amqp.NewMessage([]byte("b")), length: 1},
		"id is a number":       {message: &amqp.Message{Data: [][]byte{[]byte("b")}, Properties: &amqp.MessageProperties{MessageID: uint64(7), ContentType: &text}}, length: 1},
		"exactly the limit":    {message: amqp.NewMessage(make([]byte, 64<<10)), length: 64 << 10},
		"far over the limit":   {message: amqp.NewMessage(make([]byte, 200<<10)), length: 64<<10 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				b.raw(requests, row.message)
				b.agent(func(a *servicebus.Agent) {
					got := b.receive(a)
					if len(got.Body) != row.length || row.id != "" && got.MessageID != row.id || got.Count != 1 {
						t.Errorf("got %d bytes, id %q, delivery %d; want %d bytes, id %q, delivery 1", len(got.Body), got.MessageID, got.Count, row.length, row.id)
					}
					b.check("Complete", a.Complete(b.ctx, got))
				})
			})
		})
	}
}

func TestPoisonIsSurvived(t *testing.T) {
	for _, property := range []string{"DeadLetterReason", "DeadLetterErrorDescription"} {
		t.Run(property, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				b.raw(requests, &amqp.Message{Data: [][]byte{[]byte("poison")}, ApplicationProperties: map[string]any{property: int64(1)}})
				b.request("good")
				b.agent(func(a *servicebus.Agent) {
					before := b.dialled()
					got := b.receive(a)
					if got.MessageID != "good" {
						t.Fatalf("got %s, want the good message", bodies(got))
					}
					b.check("Complete", a.Complete(b.ctx, got))
					if a.Poisoned() != 1 || b.dialled() != before+1 {
						t.Errorf("%d poisoned, %d connections; want 1 on the same connection", a.Poisoned(), b.dialled()-before)
					}
					b.nothing(a, time.Hour)
					if counts := b.counts(requests); counts.DeadLettered != 1 || a.Poisoned() != 3 {
						t.Errorf("%+v after an hour and %d deliveries, want it dead-lettered after 3", counts, a.Poisoned())
					}
				})
			})
		})
	}
}

func TestAgentStartsWithoutABroker(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.setDown(true)
		b.agent(func(a *servicebus.Agent) {
			if _, err := a.Receive(b.ctx); err == nil || !strings.Contains(err.Error(), `"writeback-requests" at localhost`) {
				t.Errorf("Receive: %v; want an error that names the queue and the host", err)
			}
			if up, _ := a.Connected(); up {
				t.Error("connected although nobody answers")
			}
			time.Sleep(time.Minute)
			b.setDown(false)
			b.receive(a)
			if up, since := a.Connected(); !up || time.Since(since) > time.Second {
				t.Errorf("connected %v since %v, want since just now", up, since)
			}
		})
	})
}

func TestQuietQueueStaysConnected(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			started := time.Now()
			b.nothing(a, 3*time.Hour)
			if up, since := a.Connected(); !up || since.Sub(started) > time.Second {
				t.Errorf("connected %v since %v, want without a break", up, since)
			}
			if b.dialled() != 1 {
				t.Errorf("%d connections, want 1", b.dialled())
			}
		})
	})
}

func TestLostConnectionIsReplacedUnderAWaitingReceive(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			got := make(chan *writeback.Delivery)
			go func() { got <- b.receive(a) }()
			synctest.Wait()
			b.DropConnections()
			b.request("one")
			if delivery := <-got; delivery.MessageID != "one" {
				t.Errorf("got %s", bodies(delivery))
			}
		})
	})
}

func TestSettlingAfterTheConnectionWasLost(t *testing.T) {
	for name, settle := range map[string]func(a *servicebus.Agent, ctx context.Context, d *writeback.Delivery) error{
		"complete": (*servicebus.Agent).Complete,
		"abandon":  (*servicebus.Agent).Abandon,
		"renew":    (*servicebus.Agent).Renew,
	} {
		for _, receiving := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, b *broker) {
					b.request("one")
					b.agent(func(a *servicebus.Agent) {
						got := b.receive(a)
						ctx, cancel := context.WithCancel(b.ctx)
						stopped := make(chan struct{})
						go func() {
							defer close(stopped)
							if receiving {
								_, _ = a.Receive(ctx)
							}
						}()
						synctest.Wait()
						b.DropConnections()
						started := time.Now()
						b.check(name, settleAs(settle, a, b.ctx, got))
						if took := time.Since(started); took > 10*time.Second {
							t.Errorf("took %v", took)
						}
						cancel()
						<-stopped
					})
				})
			})
		}
	}
}

func settleAs(f func(*servicebus.Agent, context.Context, *writeback.Delivery) error, a *servicebus.Agent, ctx context.Context, d *writeback.Delivery) error {
	return f(a, ctx, d)
}

func TestWedgedLinkIsReplaced(t *testing.T) {
	for _, condition := range []string{"com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled"} {
		t.Run(condition, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				b.request("one")
				b.agent(func(a *servicebus.Agent) {
					got := b.receive(a)
					b.inject(once(operation(emulator.OpSettle, requests), emulator.Fault{Condition: condition, Detach: true}))
					b.check("Complete", a.Complete(b.ctx, got))
					b.request("two")
					if second := b.receive(a); second.MessageID != "two" {
						t.Errorf("got %s, want the second message", bodies(second))
					}
				})
			})
		})
	}
}

func TestRefusedBySecretOrName(t *testing.T) {
	for name, row := range map[string]struct{ queue, key string }{
		"wrong key":  {requests, "d3Jvbmc="},
		"no queue":   {"nowhere", keyText},
		"no session": {results, keyText},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				a, err := servicebus.DialAgent(b.ctx, servicebus.AgentConfig{
					ConnectionString: connectionString(row.key), RequestsQueue: row.queue, NewConn: b.dial, Logger: b.log,
				})
				b.check("DialAgent", err)
				ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
				defer cancel()
				_, err = a.Receive(ctx)
				if err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Receive: %v, want a refusal", err)
				}
				if err != nil && strings.Contains(err.Error(), row.key) {
					t.Errorf("the error shows the key: %v", err)
				}
				if up, _ := a.Connected(); up {
					t.Error("connected although refused")
				}
				b.check("Close", a.Close(b.ctx))
				if _, err := a.Receive(b.ctx); err == nil {
					t.Error("Receive works after Close")
				}
			})
		})
	}
}

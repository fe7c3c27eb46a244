package servicebus_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// envelopeOf is what stands on the outside of a message.
type envelopeOf struct {
	Body, ID, Correlation, Session, Subject, ContentType string
	Life                                                 time.Duration
}

// sdk gives a plain SDK client, to look at messages as any other program would.
func (b *broker) sdk(f func(c *azservicebus.Client)) {
	b.t.Helper()
	client, err := azservicebus.NewClientFromConnectionString(b.ConnectionString("localhost", keyName), &azservicebus.ClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) { return b.Dial(ctx) },
	})
	b.check("client", err)
	f(client)
	b.check("close", client.Close(b.ctx))
}

func outside(m *azservicebus.ReceivedMessage) envelopeOf {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return envelopeOf{string(m.Body), m.MessageID, text(m.CorrelationID), text(m.SessionID), text(m.Subject), text(m.ContentType), *m.TimeToLive}
}

func TestResultOnTheOutside(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			b.check("SendResult", a.SendResult(b.ctx, result(results, "session-1", "r1")))
		})
		b.sdk(func(c *azservicebus.Client) {
			receiver, err := c.AcceptSessionForQueue(b.ctx, results, "session-1", nil)
			b.check("accept", err)
			messages, err := receiver.ReceiveMessages(b.ctx, 1, nil)
			b.check("receive", err)
			want := envelopeOf{Body: "result r1", ID: "r1", Correlation: "request-r1", Session: "session-1", ContentType: "application/jwt", Life: time.Hour}
			if diff := cmp.Diff(want, outside(messages[0])); diff != "" {
				t.Error(diff)
			}
		})
	})
}

func TestRequestOnTheOutside(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("q1")
		b.sdk(func(c *azservicebus.Client) {
			receiver, err := c.NewReceiverForQueue(requests, nil)
			b.check("receiver", err)
			messages, err := receiver.ReceiveMessages(b.ctx, 1, nil)
			b.check("receive", err)
			want := envelopeOf{Body: "token of q1", ID: "q1", Subject: "reset", ContentType: "application/jwt", Life: time.Hour}
			if diff := cmp.Diff(want, outside(messages[0])); diff != "" {
				t.Error(diff)
			}
		})
	})
}

func TestSendingAfterTheConnectionWasLost(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			for i := range 3 {
				b.check("SendResult", a.SendResult(b.ctx, result(results, "s", fmt.Sprint(i))))
				b.DropConnections()
			}
			if got := b.counts(results).Active; got != 3 {
				t.Errorf("%d results in the queue, want 3", got)
			}
		})
	})
}

func TestWedgedSenderIsReplaced(t *testing.T) {
	for _, condition := range []string{"com.microsoft:server-busy", "com.microsoft:timeout", "com.microsoft:operation-cancelled"} {
		t.Run(condition, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				b.agent(func(a *servicebus.Agent) {
					b.check("first", a.SendResult(b.ctx, result(results, "s", "1")))
					b.inject(once(operation(emulator.OpSend, results), emulator.Fault{Condition: condition, Detach: true}))
					if err := a.SendResult(b.ctx, result(results, "s", "2")); err == nil {
						t.Error("no error although the link was detached")
					}
					b.check("the next", a.SendResult(b.ctx, result(results, "s", "2")))
				})
			})
		})
	}
}

func TestRefusingResultsQueueDisturbsNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			b.nothing(a, time.Second)
			_, since := a.Connected()
			b.inject(func(_ context.Context, e emulator.Event) emulator.Fault {
				if e.Op == emulator.OpSend && e.Queue == refusing {
					return emulator.Fault{Condition: "amqp:resource-limit-exceeded", Description: "full"}
				}
				return emulator.Fault{}
			})
			for i := range 5 {
				if err := a.SendResult(b.ctx, result(refusing, "s", fmt.Sprint(i))); err == nil {
					t.Error("a refused result counts as sent")
				}
				b.check("the other queue", a.SendResult(b.ctx, result(results, "s", fmt.Sprint(i))))
			}
			if up, still := a.Connected(); !up || !still.Equal(since) {
				t.Error("the receiving connection was disturbed")
			}
			if got := b.dialled(); got != 2 {
				t.Errorf("%d connections, want one to receive and one to send", got)
			}
		})
	})
}

func TestSendIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			b.inject(func(ctx context.Context, e emulator.Event) emulator.Fault {
				if e.Op == emulator.OpSend {
					<-ctx.Done() // silence
				}
				return emulator.Fault{}
			})
			started := time.Now()
			if err := a.SendResult(b.ctx, result(results, "s", "1")); err == nil {
				t.Error("no error although the broker is silent")
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("gave up after %v", took)
			}
			b.inject(nil)
			b.check("the next", a.SendResult(b.ctx, result(results, "s", "1")))
		})
	})
}

func TestSeparateConnectionStringForResults(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		a, err := servicebus.DialAgent(b.ctx, servicebus.AgentConfig{
			ConnectionString: connectionString("d3Jvbmc="), ResultsConnectionString: b.connection(),
			RequestsQueue: requests, NewConn: b.dial, Logger: b.log,
		})
		b.check("DialAgent", err)
		b.check("SendResult", a.SendResult(b.ctx, result(results, "s", "1")))
		if _, err := a.Receive(b.ctx); err == nil {
			t.Error("Receive used the connection string of the results")
		}
		b.check("Close", a.Close(b.ctx))
		if err := a.SendResult(b.ctx, result(results, "s", "2")); err == nil {
			t.Error("SendResult works after Close")
		}
	})
}

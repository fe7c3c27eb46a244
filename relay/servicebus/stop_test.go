package servicebus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

func TestCancelledReceiveKeepsNoMessage(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(stopped *servicebus.Agent) {
			ctx, cancel := context.WithCancel(b.ctx)
			ended := make(chan error)
			go func() {
				_, err := stopped.Receive(ctx)
				ended <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("Receive: %v, want the context's error", err)
			}
			if up, _ := stopped.Connected(); !up {
				t.Error("being told to stop counts as trouble")
			}
			b.request("one")
			b.agent(func(other *servicebus.Agent) {
				if got := b.receive(other); got.Count != 1 {
					t.Errorf("delivery %d, want the first: the stopped agent must have let go of it", got.Count)
				}
			})
		})
	})
}

func TestAgentsCompete(t *testing.T) {
	const count = 20
	bubble(t, func(t *testing.T, b *broker) {
		for i := range count {
			b.request(fmt.Sprint(i))
		}
		seen := map[string]int{}
		b.agent(func(first *servicebus.Agent) {
			b.agent(func(second *servicebus.Agent) {
				for i := range count {
					agent := []*servicebus.Agent{first, second}[i%2]
					got := b.receive(agent)
					seen[got.MessageID]++
					b.check("Complete", agent.Complete(b.ctx, got))
				}
			})
		})
		if counts := b.counts(requests); len(seen) != count || counts.Completed != count {
			t.Errorf("%d different messages, %+v; want each of %d once", len(seen), counts, count)
		}
	})
}

func TestSilentBroker(t *testing.T) {
	silent := func(ctx context.Context, e emulator.Event) emulator.Fault {
		if e.Op == emulator.OpAttach {
			<-ctx.Done()
		}
		return emulator.Fault{}
	}
	for name, call := range map[string]func(b *broker, a *servicebus.Agent) error{
		"receive": func(b *broker, a *servicebus.Agent) error { _, err := a.Receive(b.ctx); return err },
		"purge":   func(b *broker, a *servicebus.Agent) error { _, err := a.PurgeSamples(b.ctx, time.Now()); return err },
		"send":    func(b *broker, a *servicebus.Agent) error { return a.SendResult(b.ctx, result(results, "s", "1")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *broker) {
				b.inject(silent)
				b.agent(func(a *servicebus.Agent) {
					started := time.Now()
					if err := call(b, a); err == nil {
						t.Error("no error although the broker is silent")
					}
					if took := time.Since(started); took > time.Minute {
						t.Errorf("gave up after %v", took)
					}
					b.inject(nil)
					b.request("one")
					// It works again as soon as the broker does; one call may still find out that the old connection is of no use.
					if _, err := a.Receive(b.ctx); err != nil {
						b.receive(a)
					}
				})
			})
		})
	}
}

func TestSettlementObeysItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("one")
		b.agent(func(a *servicebus.Agent) {
			got := b.receive(a)
			b.setDown(true)
			ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
			defer cancel()
			started := time.Now()
			for name, settle := range map[string]func(context.Context, *writeback.Delivery) error{"Complete": a.Complete, "Renew": a.Renew} {
				if err := settle(ctx, got); err == nil {
					t.Errorf("%s: no error although nobody answers", name)
				}
			}
			if took := time.Since(started); took > 3*time.Second {
				t.Errorf("took %v with a limit of 2s", took)
			}
		})
	})
}

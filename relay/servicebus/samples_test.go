package servicebus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/password-writeback/writeback/relay/servicebus"
)

// sample makes the agent put a message aside.
func (b *broker) sample(a *servicebus.Agent, id string) {
	b.t.Helper()
	b.request(id)
	b.check("DeadLetter", a.DeadLetter(b.ctx, b.receive(a), "envelope.bad_signature", "why"))
}

func TestOldSamplesAreRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			for i := range 3 {
				b.sample(a, fmt.Sprint("old", i))
			}
			time.Sleep(25 * time.Hour)
			b.sample(a, "young")
			removed, err := a.PurgeSamples(b.ctx, time.Now().Add(-24*time.Hour))
			b.check("PurgeSamples", err)
			if counts := b.counts(requests); removed != 3 || counts.DeadLettered != 1 {
				t.Errorf("removed %d, %d left; want 3 and 1", removed, counts.DeadLettered)
			}
			removed, err = a.PurgeSamples(b.ctx, time.Now().Add(time.Second))
			b.check("second PurgeSamples", err)
			if removed != 1 {
				t.Errorf("removed %d the second time, want the young one: the first run has let go of it", removed)
			}
		})
	})
}

func TestOtherDeadLettersStay(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			b.request("too often")
			for range 3 {
				b.check("Abandon", a.Abandon(b.ctx, b.receive(a)))
			}
			b.sample(a, "old")
			time.Sleep(48 * time.Hour)
			removed, err := a.PurgeSamples(b.ctx, time.Now())
			b.check("PurgeSamples", err)
			if counts := b.counts(requests); removed != 1 || counts.DeadLettered != 1 {
				t.Errorf("removed %d, %d left; want the sample gone and the other kept", removed, counts.DeadLettered)
			}
		})
	})
}

func TestPoisonAmongDeadLettersIsSurvived(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			b.raw(requests, &amqp.Message{Data: [][]byte{[]byte("poison")}, ApplicationProperties: map[string]any{"DeadLetterErrorDescription": true}})
			b.nothing(a, time.Hour) // its deliveries are used up
			b.sample(a, "old")
			time.Sleep(48 * time.Hour)
			removed, err := a.PurgeSamples(b.ctx, time.Now())
			b.check("PurgeSamples", err)
			if removed != 1 {
				t.Errorf("removed %d, want the sample behind the poison", removed)
			}
		})
	})
}

func TestPurgeWithoutABroker(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.setDown(true)
		b.agent(func(a *servicebus.Agent) {
			if _, err := a.PurgeSamples(b.ctx, time.Now()); err == nil {
				t.Error("no error although nobody answers")
			}
		})
	})
}

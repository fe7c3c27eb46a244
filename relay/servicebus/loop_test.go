package servicebus_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// desk answers every request once, however often it is delivered: a handler, an outbox and an open gate.
type desk struct {
	mu      sync.Mutex
	seen    map[string]uint64
	waiting map[uint64]writeback.PendingResult
	changed chan struct{}
}

func (d *desk) Handle(_ context.Context, delivery *writeback.Delivery) writeback.Disposition {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.seen[delivery.MessageID]; !known {
		sequence := uint64(len(d.seen) + 1)
		d.seen[delivery.MessageID] = sequence
		answer := result(results, "ours", delivery.MessageID)
		answer.Sequence = sequence
		d.waiting[sequence] = answer
		select {
		case d.changed <- struct{}{}:
		default:
		}
	}
	return writeback.Disposition{Reason: writeback.ReasonOK, Settlement: writeback.Complete}
}

func (d *desk) Pending(context.Context) ([]writeback.PendingResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Collect(maps.Values(d.waiting)), nil
}

func (d *desk) Delivered(_ context.Context, sequence uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, sequence)
	return nil
}

func (d *desk) Changed() <-chan struct{}   { return d.changed }
func (d *desk) Wait(context.Context) error { return nil }

// A broker that loses its connections again and again costs time, but no request and no answer.
func TestLoopOverAnUnreliableBroker(t *testing.T) {
	const count = 40
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			d := &desk{seen: map[string]uint64{}, waiting: map[uint64]writeback.PendingResult{}, changed: make(chan struct{}, 1)}
			loop, err := relay.New(relay.Config{Source: a, Sender: a, Handler: d, Outbox: d, Gate: d, Logger: b.log})
			b.check("New", err)
			ctx, stop := context.WithCancel(b.ctx)
			ended := make(chan error)
			go func() { ended <- loop.Run(ctx) }()
			go b.disturb(count)

			answered := map[string]bool{}
			b.portal("ours", func(p *servicebus.Portal) {
				for len(answered) < count {
					limited, cancel := context.WithTimeout(b.ctx, time.Hour)
					token, _, err := p.ReceiveResult(limited)
					cancel()
					b.check(fmt.Sprintf("ReceiveResult after %d answers", len(answered)), err)
					answered[string(token)] = true
				}
			})
			time.Sleep(time.Hour) // what could not be settled is delivered again, and settled then
			stop()
			b.check("Run", <-ended)
			if counts := b.counts(requests); counts.Completed != count || counts.DeadLettered != 0 {
				t.Errorf("%+v, want all %d requests completed", counts, count)
			}
			if stats := loop.Stats(); stats.OutboxPending != 0 || stats.InHand != 0 || stats.Received < count {
				t.Errorf("%+v", stats)
			}
		})
	})
}

// disturb sends requests, with a lost connection after every third.
func (b *broker) disturb(count int) {
	for i := range count {
		b.request(fmt.Sprint("request", i))
		if i%3 == 2 {
			b.DropConnections()
		}
		time.Sleep(time.Second)
	}
}

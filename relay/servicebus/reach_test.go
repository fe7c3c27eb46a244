package servicebus_test

import (
	"strings"
	"testing"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// TestReachTakesAndLeavesNothing: a waiting message is not locked, its deliveries are not counted, and no result is sent.
func TestReachTakesAndLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.request("waiting")
		b.agent(func(a *servicebus.Agent) {
			b.check("ReachRequests", a.ReachRequests(b.ctx))
			b.check("ReachResults", a.ReachResults(b.ctx, results))
			b.check("ReachResults again", a.ReachResults(b.ctx, results))
		})
		if counts := b.counts(results); counts != (emulator.Counts{}) {
			t.Errorf("results: %+v", counts)
		}
		b.agent(func(a *servicebus.Agent) {
			if delivery := b.receive(a); delivery.Count != 1 {
				t.Errorf("delivery %d, want the first", delivery.Count)
			}
		})
	})
}

func TestReachSaysWhatIsWrong(t *testing.T) {
	bubble(t, func(t *testing.T, b *broker) {
		b.agent(func(a *servicebus.Agent) {
			if err := a.ReachResults(b.ctx, "nowhere"); err == nil || !strings.Contains(err.Error(), `"nowhere"`) {
				t.Errorf("a queue that is not there: %v", err)
			}
			b.check("after that", a.ReachResults(b.ctx, results))
		})
		b.setDown(true)
		b.agent(func(a *servicebus.Agent) {
			if a.ReachRequests(b.ctx) == nil || a.ReachResults(b.ctx, results) == nil {
				t.Error("a broker that is away is reached")
			}
		})
	})
}

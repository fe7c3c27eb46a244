package servicebus_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

package relay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestSettlements(t *testing.T) {
	for _, row := range []struct {
		settlement writeback.Settlement
		want       string
	}{
		{writeback.Complete, "complete a"},
		{writeback.Abandon, "abandon a"},
		{writeback.Discard, "deadletter a"},
		{"", "abandon a"}, // a handler that decided nothing loses no message
	} {
		t.Run(string(row.settlement), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
					return writeback.Disposition{Reason: writeback.EnvelopeMalformed, Settlement: row.settlement}
				})
				b.source.put("a", time.Hour)
				b.start(c)
				if diff := cmp.Diff([]string{row.want}, b.source.done()); diff != "" {
					t.Error(diff)
				}
				if got := b.loop.Stats().Settled[row.settlement]; got != 1 {
					t.Errorf("counted %d, want 1", got)
				}
				b.end()
			})
		})
	}
}

func TestAtMostTenSamplesInAnyHour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition {
			return writeback.Disposition{Reason: writeback.EnvelopeBadSignature, Settlement: writeback.Discard}
		})
		b.start(c)
		flood := func(n int) (samples, removed int) {
			before := len(b.source.done())
			for i := range n {
				b.source.put(fmt.Sprint(i), time.Hour)
			}
			synctest.Wait()
			for _, action := range b.source.done()[before:] {
				if strings.HasPrefix(action, "deadletter") {
					samples++
				} else {
					removed++
				}
			}
			return samples, removed
		}
		if samples, removed := flood(4); samples != 4 || removed != 0 {
			t.Errorf("first 4: %d samples and %d removed, want 4 and 0", samples, removed)
		}
		time.Sleep(30 * time.Minute)
		if samples, removed := flood(20); samples != 6 || removed != 14 {
			t.Errorf("next 20: %d samples and %d removed, want 6 and 14", samples, removed)
		}
		time.Sleep(30 * time.Minute) // the first four are an hour old
		if samples, removed := flood(20); samples != 4 || removed != 16 {
			t.Errorf("an hour after the first: %d samples and %d removed, want 4 and 16", samples, removed)
		}
		stats := b.loop.Stats()
		if stats.Discarded != 44 || stats.Sampled != 14 {
			t.Errorf("counted %d discarded and %d samples, want 44 and 14", stats.Discarded, stats.Sampled)
		}
		want := map[string]string{"envelope.bad_signature": writeback.Lookup(writeback.EnvelopeBadSignature).Meaning}
		if diff := cmp.Diff(want, b.source.reasons); diff != "" {
			t.Errorf("what the samples say: %s", diff)
		}
		b.end()
	})
}

func TestSettlementFailureIsCountedAndTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.source.settleErr = errBroker
		b.source.put("a\nb"+strings.Repeat("x", 200), time.Hour)
		b.start(c)
		stats := b.loop.Stats()
		if stats.SettleFailures != 1 || stats.Settled[writeback.Complete] != 0 || stats.InHand != 0 {
			t.Errorf("failures %d, completed %d, in hand %d; want 1, 0, 0", stats.SettleFailures, stats.Settled[writeback.Complete], stats.InHand)
		}
		shown, _ := b.told(logrus.WarnLevel).Data["message_id"].(string)
		if contains(shown, "\n") || len(shown) > 70 || !strings.HasPrefix(shown, "a?bx") {
			t.Errorf("the log shows the untrusted id as %q", shown)
		}
		b.end()
	})
}

func TestSettlementIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.source.settling = make(chan struct{})
		c.SettleTimeout = 5 * time.Second
		b.source.put("a", time.Hour)
		b.start(c)
		time.Sleep(5*time.Second + time.Millisecond)
		if got := b.loop.Stats(); got.SettleFailures != 1 || got.InHand != 0 {
			t.Errorf("failures %d, in hand %d after the time-out; want 1 and 0", got.SettleFailures, got.InHand)
		}
		b.end()
	})
}

func TestPanicIsContained(t *testing.T) {
	const secret = "hunter2-in-the-panic"
	for name, blow := range map[string]func(){
		"value":   func() { panic("cannot use " + secret) },
		"error":   func() { panic(fmt.Errorf("cannot use %s", secret)) },
		"runtime": func() { _ = panicAtRuntime(secret) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, c := config(t, func(_ context.Context, d *writeback.Delivery) writeback.Disposition {
					if d.MessageID == "bad" {
						blow()
					}
					return completed()
				})
				b.source.put("bad", time.Hour)
				b.start(c)
				b.source.put("good", time.Hour)
				synctest.Wait()
				if diff := cmp.Diff([]string{"complete good"}, b.source.done()); diff != "" {
					t.Error(diff)
				}
				if got := b.loop.Stats().Panics; got != 1 {
					t.Errorf("counted %d panics, want 1", got)
				}
				entry := b.told(logrus.ErrorLevel)
				if stack, _ := entry.Data["stack"].(string); !contains(stack, "settle_test.go") {
					t.Errorf("the log does not show where it happened: %v", entry.Data)
				}
				if text := fmt.Sprint(entry.Message, entry.Data); contains(text, secret) || contains(text, "payload of") {
					t.Errorf("the log repeats what was in the message: %s", text)
				}
				b.end()
			})
		})
	}
}

func TestOldSamplesArePurgedAtStartAndHourly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		start := time.Now()
		b.start(c)
		time.Sleep(2*time.Hour + time.Minute)
		day := -24 * time.Hour
		want := []time.Time{start.Add(day), start.Add(time.Hour + day), start.Add(2*time.Hour + day)}
		if diff := cmp.Diff(want, b.source.purgedAt()); diff != "" {
			t.Error(diff)
		}
		b.end()
	})
}

func TestFailedPurgeIsRepeatedSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		b.source.purgeErr = errBroker
		b.start(c)
		time.Sleep(11 * time.Minute)
		if got := len(b.source.purgedAt()); got != 3 {
			t.Errorf("%d tries in 11 minutes, want 3", got)
		}
		b.end()
	})
}

// panicAtRuntime panics with an error of the runtime, whose text names the index.
func panicAtRuntime(text string) byte { return text[:len(text)-1][len(text)] }

// away is a queue that cannot be reached.
type away struct{ *source }

func (away) Connected() (bool, time.Time) { return false, time.Time{} }

func TestSamplesAreLeftAloneWhileTheQueueIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := config(t, func(context.Context, *writeback.Delivery) writeback.Disposition { return completed() })
		c.Source = away{b.source}
		b.start(c)
		time.Sleep(5 * time.Minute)
		if purged := b.source.purgedAt(); len(purged) != 0 {
			t.Errorf("looked for samples %d times on a queue that is away", len(purged))
		}
		b.end()
	})
}

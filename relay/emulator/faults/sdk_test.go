package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

const (
	queue    = "requests"
	sessions = "results"
)

// bench is a namespace in a bubble, where minutes pass in no time, and an unmodified SDK client.
type bench struct {
	*testing.T
	server *emulator.Server
	client *azservicebus.Client
}

// with runs a test against a namespace with faults.
func with(t *testing.T, test func(b *bench), rules ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, server: newServer(t)}
		b.server.SetFaults(newSet(t, rules...).Fault)
		b.client = b.connect()
		test(b)
	})
}

func newServer(t *testing.T) *emulator.Server {
	t.Helper()
	s, err := emulator.New(emulator.Config{
		Queues: []emulator.Queue{{Name: queue, DuplicateWindow: time.Hour}, {Name: sessions, RequiresSession: true}},
		Keys:   []emulator.AccessKey{{Name: "root", Key: secret.NewString("key"), Rights: emulator.Manage}},
	})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// connect makes a client that tries again once, after a second.
func (b *bench) connect() *azservicebus.Client {
	b.Helper()
	c, err := azservicebus.NewClientFromConnectionString(b.server.ConnectionString("emulator.test", "root"), &azservicebus.ClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
			return b.server.Dial(ctx)
		},
		RetryOptions: azservicebus.RetryOptions{MaxRetries: 1, RetryDelay: time.Second, MaxRetryDelay: time.Second},
	})
	must(b, err)
	b.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func (b *bench) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	b.Cleanup(cancel)
	return ctx
}

func (b *bench) send(id string) error {
	b.Helper()
	s, err := b.client.NewSender(queue, nil)
	must(b, err)
	defer s.Close(context.Background())
	return s.SendMessage(b.within(time.Minute), &azservicebus.Message{MessageID: &id}, nil)
}

func (b *bench) receiver(c *azservicebus.Client, mode azservicebus.ReceiveMode) *azservicebus.Receiver {
	b.Helper()
	r, err := c.NewReceiverForQueue(queue, &azservicebus.ReceiverOptions{ReceiveMode: mode})
	must(b, err)
	return r
}

// receive takes one message; nil when none comes within half a minute.
func (b *bench) receive(r *azservicebus.Receiver) *azservicebus.ReceivedMessage {
	b.Helper()
	for ctx := b.within(30 * time.Second); ; {
		msgs, err := r.ReceiveMessages(ctx, 1, nil)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			b.Fatal(err)
		case len(msgs) == 1:
			return msgs[0]
		}
	}
}

// counts are those when everything has come to rest: a client may notice a cut connection before the service has let go.
func (b *bench) counts() emulator.Counts {
	b.Helper()
	synctest.Wait()
	c, err := b.server.Counts(queue)
	must(b, err)
	return c
}

// settled receives a message and completes it within a second.
func (b *bench) settled() error {
	b.Helper()
	must(b, b.send("a"))
	r := b.receiver(b.client, azservicebus.ReceiveModePeekLock)
	return r.CompleteMessage(b.within(time.Second), b.receive(r), nil)
}

func TestDropOfASettlement(t *testing.T) {
	for when, completed := range map[string]int{"before": 0, "after": 1} {
		with(t, func(t *bench) {
			if err := t.settled(); err == nil {
				t.Error("completing succeeded although no answer can have come")
			}
			if got := t.counts(); got.Completed != completed || got.Locked != 1-completed {
				t.Errorf("%s: %+v", when, got)
			}
		}, "op=settle,drop="+when)
	}
}

func TestDetachedLinks(t *testing.T) {
	for _, op := range []string{"send", "settle"} {
		with(t, func(t *bench) {
			must(t, t.settled()) // the client gets over it
			if got := t.counts(); got.Completed != 1 {
				t.Errorf("%s: %+v", op, got)
			}
		}, "op="+op+",detach=detach-forced,nth=1")
	}
}

// TestDetachInsteadOfADelivery: the message is given back as if it had never been handed out.
func TestDetachInsteadOfADelivery(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		m := t.receive(t.receiver(t.client, azservicebus.ReceiveModePeekLock))
		if m == nil || m.DeliveryCount != 1 {
			t.Errorf("got %+v", m)
		}
	}, "op=deliver,detach=detach-forced,count=2")
}

// TestWedgedLink: the client takes these conditions for passing, and does not rebuild a link that was detached with one.
func TestWedgedLink(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		for range 3 {
			if msgs, err := r.ReceiveMessages(t.within(time.Minute), 1, nil); len(msgs) > 0 || err != nil {
				t.Fatalf("got %v, %v; want nothing and no error", msgs, err)
			}
		}
		if t.receive(t.receiver(t.client, azservicebus.ReceiveModePeekLock)) == nil {
			t.Error("a new receiver should get the message")
		}
	}, "op=deliver,detach=server-busy,nth=1")
}

func TestDropOfADelivery(t *testing.T) {
	for _, tt := range []struct {
		when string
		mode azservicebus.ReceiveMode
		want emulator.Counts
	}{
		{"before", azservicebus.ReceiveModePeekLock, emulator.Counts{Active: 1}},
		{"after", azservicebus.ReceiveModePeekLock, emulator.Counts{Locked: 1}},
		{"before", azservicebus.ReceiveModeReceiveAndDelete, emulator.Counts{Active: 1}},
		{"after", azservicebus.ReceiveModeReceiveAndDelete, emulator.Counts{Completed: 1}}, // and nobody has it
	} {
		with(t, func(t *bench) {
			must(t, t.send("a"))
			if msgs, _ := t.receiver(t.client, tt.mode).ReceiveMessages(t.within(time.Second), 5, nil); len(msgs) > 0 {
				t.Errorf("%+v: a message came", tt)
			}
			if got := t.counts(); got != tt.want {
				t.Errorf("%+v: %+v", tt, got)
			}
		}, "op=deliver,nth=1,drop="+tt.when)
	}
}

func TestRefusedSends(t *testing.T) {
	with(t, func(t *bench) {
		err := t.send("a")
		if err == nil {
			t.Error("the second attempt should have been refused, too")
		}
		if got := t.counts(); got.Active != 0 {
			t.Errorf("%+v", got)
		}
		must(t, t.send("b")) // refused once, then let through
	}, "op=send,refuse=server-busy,count=3")
}

func TestDelayedSends(t *testing.T) {
	with(t, func(t *bench) {
		start := time.Now()
		must(t, t.send("a"))
		if took := time.Since(start); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("sending took %v", took)
		}
	}, "op=send,delay=7s")
}

func TestThrottling(t *testing.T) {
	with(t, func(t *bench) {
		start := time.Now()
		for i := range 9 {
			must(t, t.send(fmt.Sprint(i)))
		}
		if got := t.counts().Active; got != 9 {
			t.Errorf("%d messages", got)
		}
		if took := time.Since(start); took < 1600*time.Millisecond {
			t.Errorf("nine sends took %v, though two had to be tried again", took)
		}
	}, "op=send,above=3/500ms,refuse=server-busy")
}

func TestRefusedAttach(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		_, err := t.receiver(t.client, azservicebus.ReceiveModePeekLock).ReceiveMessages(t.within(time.Minute), 1, nil)
		if err == nil {
			t.Error("the receiver should have been refused")
		}
	}, "op=attach,link=receiver,refuse=entity-disabled,description=switched off")
}

// TestAttachWithoutAnAnswer: a session whose receiver never hears that it got it is taken all the same, until its lock ends.
func TestAttachWithoutAnAnswer(t *testing.T) {
	for when, taken := range map[string]bool{"before": false, "after": true} {
		with(t, func(t *bench) {
			if _, err := t.client.AcceptSessionForQueue(t.within(time.Second), sessions, "s", nil); err == nil {
				t.Errorf("%s: the session was accepted", when)
			}
			_, err := t.connect().AcceptSessionForQueue(t.within(time.Second), sessions, "s", nil)
			if (err != nil) != taken {
				t.Errorf("%s: for the next one: %v", when, err)
			}
		}, "op=attach,queue="+sessions+",nth=1,silent="+when)
	}
}

// TestAttachCutOff: the client reports the loss, and the session is free by then.
func TestAttachCutOff(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		with(t, func(t *bench) {
			_, err := t.client.AcceptSessionForQueue(t.within(30*time.Second), sessions, "s", nil)
			var sb *azservicebus.Error
			if !errors.As(err, &sb) || sb.Code != azservicebus.CodeConnectionLost {
				t.Errorf("%s: got %v, want a lost connection", when, err)
			}
			synctest.Wait()
			if _, err := t.connect().AcceptSessionForQueue(t.within(30*time.Second), sessions, "s", nil); err != nil {
				t.Errorf("%s: for the next one: %v", when, err)
			}
		}, "op=attach,queue="+sessions+",nth=1,drop="+when)
	}
}

func TestRefusedRequest(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		m := t.receive(r)
		err := r.RenewMessageLock(t.within(time.Minute), m, nil)
		var sb *azservicebus.Error
		if !errors.As(err, &sb) || sb.Code != azservicebus.CodeLockLost {
			t.Errorf("got %v", err)
		}
		must(t, r.RenewMessageLock(t.within(time.Minute), m, nil))
	}, "op=request,name=com.microsoft:renew-lock,refuse=message-lock-lost,status=410,nth=1")
}

// TestSilentPeer: the connection stays open, nothing comes, and the client notices after a minute.
func TestSilentPeer(t *testing.T) {
	for when, stored := range map[string]int{"before": 0, "after": 1} {
		with(t, func(t *bench) {
			s, err := t.client.NewSender(queue, nil)
			must(t, err)
			ctx := t.within(10 * time.Second)
			if err := s.SendMessage(ctx, &azservicebus.Message{}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want nothing for ten seconds", when, err)
			}
			if got := t.counts().Active; got != stored {
				t.Errorf("%s: %d messages stored, want %d", when, got, stored)
			}
			must(t, t.send("others are served")) // on the same connection, which the client then gives up
			if got := t.counts().Active; got != stored+1 {
				t.Errorf("%s: %d messages stored, want %d", when, got, stored+1)
			}
		}, "op=send,nth=1,silent="+when)
	}
}

// TestSilenceWhileDelivering: what is under way into a dead connection comes back when its lock expires.
func TestSilenceWhileDelivering(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		ctx := t.within(10 * time.Second)
		if _, err := t.receiver(t.client, azservicebus.ReceiveModePeekLock).ReceiveMessages(ctx, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if got := t.counts(); got.Locked != 1 {
			t.Errorf("%+v", got)
		}
		time.Sleep(emulator.DefaultLockDuration)
		m := t.receive(t.receiver(t.connect(), azservicebus.ReceiveModePeekLock))
		if m == nil || m.DeliveryCount != 2 {
			t.Errorf("got %+v", m)
		}
	}, "op=deliver,nth=1,silent=after")
}

// TestDuplicateWhileLocked: two receivers hold the same message at once.
func TestDuplicateWhileLocked(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		first := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		second := t.receiver(t.connect(), azservicebus.ReceiveModePeekLock)
		m, again := t.receive(first), t.receive(second)
		if m == nil || again == nil || again.MessageID != "a" || *again.SequenceNumber != *m.SequenceNumber || again.LockToken == m.LockToken {
			t.Fatalf("got %+v and %+v, want the same message twice", m, again)
		}
		must(t, first.CompleteMessage(t.Context(), m, nil))
		must(t, second.CompleteMessage(t.Context(), again, nil))
		if third := t.receive(first); third != nil {
			t.Errorf("a copy was copied: %+v", third)
		}
	}, "op=deliver,duplicate=1")
}

// TestDuplicateAlthoughSettled: a message that was completed, and its completion confirmed, comes again.
func TestDuplicateAlthoughSettled(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		first := t.receive(r)
		must(t, r.CompleteMessage(t.Context(), first, nil))
		for range 2 {
			again := t.receive(r)
			if again == nil || again.MessageID != "a" || *again.SequenceNumber != *first.SequenceNumber || again.DeliveryCount != 1 {
				t.Fatalf("got %+v, want the same message again", again)
			}
			must(t, r.CompleteMessage(t.Context(), again, nil))
		}
		if got := t.counts(); got != (emulator.Counts{Completed: 3}) {
			t.Errorf("%+v", got)
		}
	}, "op=settle,duplicate=2")
}

func TestDuplicateOfWhatIsRemovedOnReceiving(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModeReceiveAndDelete)
		for i := range 2 {
			if m := t.receive(r); m == nil || m.MessageID != "a" {
				t.Fatalf("%d: got %+v", i+1, m)
			}
		}
	}, "op=deliver,duplicate=1")
}

func TestFaultsAreSwitchedWhileRunning(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		t.server.SetFaults(newSet(t, "op=send,refuse=entity-disabled").Fault)
		if err := t.send("b"); err == nil {
			t.Error("the fault is not switched on")
		}
		t.server.SetFaults(nil)
		must(t, t.send("c"))
	})
}

// TestClockJump: by a clock that is set ahead locks end early, and receivers that wait get the message at once.
func TestClockJump(t *testing.T) {
	with(t, func(t *bench) {
		const skew = 3 * time.Minute
		t.server.SetClockSkew(skew)
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		m := t.receive(r)
		if ahead := time.Until(*m.LockedUntil) - emulator.DefaultLockDuration; ahead < skew-time.Second || ahead > skew {
			t.Errorf("by our clock the lock ends %v late, want %v", ahead, skew)
		}
		time.AfterFunc(time.Second, func() { t.server.SetClockSkew(skew + emulator.DefaultLockDuration) })
		start := time.Now()
		if again := t.receive(r); again == nil || again.DeliveryCount != 2 || time.Since(start) > 2*time.Second {
			t.Errorf("got %+v after %v, want the message when the clock jumps", again, time.Since(start))
		}
	})
}

// TestClockJumpForDeadLetters: it is their clock, too.
func TestClockJumpForDeadLetters(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		must(t, r.DeadLetterMessage(t.within(time.Second), t.receive(r), nil))
		dead, err := t.client.NewReceiverForQueue(queue, &azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter})
		must(t, err)
		if t.receive(dead) == nil {
			t.Fatal("there is no dead letter")
		}
		time.AfterFunc(time.Second, func() { t.server.SetClockSkew(emulator.DefaultLockDuration) })
		if t.receive(dead) == nil {
			t.Error("its lock should have ended when the clock jumped")
		}
	})
}

// TestClockSetBack: locks run longer, and a renewal is short by our clock.
func TestClockSetBack(t *testing.T) {
	with(t, func(t *bench) {
		must(t, t.send("a"))
		r := t.receiver(t.client, azservicebus.ReceiveModePeekLock)
		m := t.receive(r)
		t.server.SetClockSkew(-time.Hour)
		time.Sleep(emulator.DefaultLockDuration + time.Minute)
		if got := t.counts(); got.Locked != 1 {
			t.Errorf("%+v", got)
		}
		must(t, r.RenewMessageLock(t.within(time.Second), m, nil))
		if left := time.Until(*m.LockedUntil); left > emulator.DefaultLockDuration-time.Hour {
			t.Errorf("by our clock the lock is renewed for %v", left)
		}
		must(t, r.CompleteMessage(t.within(time.Second), m, nil))
	})
}

// TestClockAhead: to a service that is ahead by more than a token's life, all tokens have expired.
func TestClockAhead(t *testing.T) {
	with(t, func(t *bench) {
		t.server.SetClockSkew(3 * time.Hour)
		err := t.send("a")
		var sb *azservicebus.Error
		if !errors.As(err, &sb) || sb.Code != azservicebus.CodeUnauthorizedAccess {
			t.Errorf("got %v, want a refused token", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package emulator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/go-amqp"
	"github.com/google/go-cmp/cmp"
)

func acceptSession(t testing.TB, c *azservicebus.Client, id string) *azservicebus.SessionReceiver {
	t.Helper()
	r, err := c.AcceptSessionForQueue(within(t), sessionQueue, id, nil)
	if err != nil {
		t.Fatalf("accept session %q: %v", id, err)
	}
	return r
}

// wantCondition fails unless err holds that AMQP condition.
func wantCondition(t testing.TB, err error, condition string) {
	t.Helper()
	var e *amqp.Error
	var l *amqp.LinkError
	if errors.As(err, &l) && l.RemoteErr != nil {
		e = l.RemoteErr
	}
	if e == nil && !errors.As(err, &e) {
		t.Fatalf("error %v, want condition %s", err, condition)
	}
	if string(e.Condition) != condition {
		t.Fatalf("condition %s, want %s", e.Condition, condition)
	}
}

func TestSessionsKeepApartAndInOrder(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	for _, m := range []struct{ session, body string }{{"a", "a1"}, {"b", "b1"}, {"a", "a2"}, {"b", "b2"}} {
		send(t, c, sessionQueue, m.body, inSession(m.session))
	}
	for _, id := range []string{"b", "a"} {
		r := acceptSession(t, c, id)
		msgs := receive(t, r, 2)
		if diff := cmp.Diff([]string{id + "1", id + "2"}, bodies(msgs)); diff != "" {
			t.Errorf("session %s (-want +got):\n%s", id, diff)
		}
		for _, m := range msgs {
			if *m.SessionID != id {
				t.Errorf("message of session %q in session %q", *m.SessionID, id)
			}
			must(t, r.CompleteMessage(within(t), m, nil))
		}
	}
}

func TestSessionAcceptedBeforeItsFirstMessage(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	r := acceptSession(t, c, "future")
	if left := time.Until(r.LockedUntil()); left <= 0 || left > 5*time.Minute {
		t.Errorf("session locked for %v", left)
	}
	send(t, c, sessionQueue, "answer", inSession("future"))
	if m := receiveOne(t, r); string(m.Body) != "answer" {
		t.Errorf("received %q", m.Body)
	}
}

func TestSessionHasOneReceiver(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	first := acceptSession(t, c, "one")
	_, err := c.AcceptSessionForQueue(within(t), sessionQueue, "one", nil)
	wantCondition(t, err, "com.microsoft:session-cannot-be-locked")
	must(t, first.Close(within(t)))
	acceptSession(t, c, "one")
}

func TestClosingASessionFreesItsMessages(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, sessionQueue, "m", inSession("s"))
	first := acceptSession(t, c, "s")
	receiveOne(t, first)
	must(t, first.Close(within(t)))
	m := receiveOne(t, acceptSession(t, c, "s"))
	if m.DeliveryCount != 1 {
		t.Errorf("delivery count %d: closing a session is no failed attempt", m.DeliveryCount)
	}
}

func TestLostConnectionFreesItsSession(t *testing.T) {
	s := newServer(t, standard())
	acceptSession(t, connect(t, s), "s")
	s.DropConnections()
	acceptSession(t, connect(t, s), "s")
}

func TestAcceptNextSession(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, sessionQueue, "x", inSession("held"))
	acceptSession(t, c, "held")
	send(t, c, sessionQueue, "y", inSession("free"))
	r, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
	must(t, err)
	if r.SessionID() != "free" {
		t.Errorf("accepted session %q", r.SessionID())
	}
}

func TestAcceptNextWaitsForAMessage(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	accepted := make(chan string, 1)
	go func() {
		r, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
		if err != nil {
			accepted <- err.Error()
			return
		}
		accepted <- r.SessionID()
	}()
	send(t, connect(t, s), sessionQueue, "x", inSession("late"))
	if got := <-accepted; got != "late" {
		t.Errorf("accepted %q", got)
	}
}

func TestGivingUpAcceptNextLeavesTheSessionToOthers(t *testing.T) {
	s := newServer(t, standard())
	impatient := connect(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := impatient.AcceptNextSessionForQueue(ctx, sessionQueue, nil); err == nil {
		t.Fatal("accepted a session where there is none")
	}
	must(t, impatient.Close(within(t)))
	c := connect(t, s)
	send(t, c, sessionQueue, "x", inSession("s"))
	r, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
	must(t, err)
	if m := receiveOne(t, r); string(m.Body) != "x" {
		t.Errorf("received %q", m.Body)
	}
}

func TestSessionStateAndRenewal(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	r := acceptSession(t, c, "s")
	if got, err := r.GetSessionState(within(t), nil); err != nil || got != nil {
		t.Errorf("state of a new session: %q, %v", got, err)
	}
	must(t, r.SetSessionState(within(t), []byte("half way"), nil))
	before := r.LockedUntil()
	time.Sleep(2 * time.Millisecond) // the wire's time has a resolution of a millisecond
	must(t, r.RenewSessionLock(within(t), nil))
	if !r.LockedUntil().After(before) {
		t.Errorf("session lock renewed from %v to %v", before, r.LockedUntil())
	}
	must(t, r.Close(within(t)))
	got, err := acceptSession(t, c, "s").GetSessionState(within(t), nil)
	if err != nil || string(got) != "half way" {
		t.Errorf("state after closing: %q, %v", got, err)
	}
}

func TestSessionQueueRefusals(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	err := newSender(t, c, sessionQueue).SendMessage(within(t), &azservicebus.Message{Body: []byte("x")}, nil)
	wantCondition(t, err, "amqp:not-allowed")
	_, err = newReceiver(t, c, sessionQueue, nil).ReceiveMessages(within(t), 1, nil)
	wantCondition(t, err, "amqp:not-allowed")
	_, err = c.AcceptSessionForQueue(within(t), plainQueue, "s", nil)
	wantCondition(t, err, "amqp:not-allowed")
}

func TestListingSessionsWithTheSDK(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	pager := func() (ids []string) {
		for p := c.NewListSessionsForQueuePager(sessionQueue, nil); p.More(); {
			page, err := p.NextPage(within(t))
			must(t, err)
			ids = append(ids, page.Sessions...)
		}
		return ids
	}
	if got := pager(); len(got) != 0 {
		t.Errorf("sessions of an empty queue: %v", got)
	}
	send(t, c, sessionQueue, "x", inSession("b"))
	send(t, c, sessionQueue, "x", inSession("a"))
	if diff := cmp.Diff([]string{"a", "b"}, pager()); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
}

package emulator_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
)

func TestSendReceiveCompleteOverTCP(t *testing.T) {
	s := newServer(t, standard())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c, err := azservicebus.NewClientFromConnectionString(s.ConnectionString(l.Addr().String(), "root"), nil)
	must(t, err)

	send(t, c, plainQueue, "hello")
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	if string(m.Body) != "hello" || m.DeliveryCount != 1 || m.MessageID == "" || m.LockedUntil == nil {
		t.Errorf("received %q, delivery %d, id %q, locked until %v", m.Body, m.DeliveryCount, m.MessageID, m.LockedUntil)
	}
	must(t, r.CompleteMessage(within(t), m, nil))
	if got := counts(t, s, plainQueue); got.Completed != 1 || got.Active+got.Locked != 0 {
		t.Errorf("counts after completing: %+v", got)
	}
	must(t, c.Close(within(t)))
	stop()
	must(t, <-served)
}

func TestMessageArrivesAsSent(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	ptr := func(s string) *string { return &s }
	ttl := time.Hour
	sent := &azservicebus.Message{
		Body: []byte{0, 1, 0xff}, MessageID: ptr("id-1"), ContentType: ptr("application/jwt"), Subject: ptr("reset"),
		CorrelationID: ptr("corr"), ReplyTo: ptr("back"), ReplyToSessionID: ptr("back-session"), To: ptr("you"),
		PartitionKey: ptr("part"), TimeToLive: &ttl,
		ApplicationProperties: map[string]any{
			"text": "täxt", "int": int64(-7), "uint": uint32(300), "float": 1.5, "bool": true, "null": nil,
			"time": time.UnixMilli(1700000000123).UTC(), "bytes": []byte{1, 2},
		},
	}
	snd := newSender(t, c, plainQueue)
	must(t, snd.SendMessage(within(t), sent, nil))
	m := receiveOne(t, newReceiver(t, c, plainQueue, nil))
	got := &azservicebus.Message{
		Body: m.Body, MessageID: &m.MessageID, ContentType: m.ContentType, Subject: m.Subject,
		CorrelationID: m.CorrelationID, ReplyTo: m.ReplyTo, ReplyToSessionID: m.ReplyToSessionID, To: m.To,
		PartitionKey: m.PartitionKey, TimeToLive: m.TimeToLive, ApplicationProperties: m.ApplicationProperties,
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("message changed on the way (-sent +received):\n%s", diff)
	}
	if m.EnqueuedTime == nil || m.ExpiresAt == nil || m.ExpiresAt.Sub(*m.EnqueuedTime) != ttl || *m.SequenceNumber != 1 {
		t.Errorf("enqueued %v, expires %v, sequence %v", m.EnqueuedTime, m.ExpiresAt, m.SequenceNumber)
	}
}

func TestOrderIsKept(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
		must(t, snd.SendMessage(within(t), &azservicebus.Message{Body: []byte(want[i])}, nil))
	}
	if diff := cmp.Diff(want, bodies(receive(t, newReceiver(t, c, plainQueue, nil), 50))); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestBatch(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	b, err := snd.NewMessageBatch(within(t), nil)
	must(t, err)
	for i := range 3 {
		must(t, b.AddMessage(&azservicebus.Message{Body: fmt.Append(nil, i), ApplicationProperties: map[string]any{"n": int64(i)}}, nil))
	}
	must(t, snd.SendMessageBatch(within(t), b, nil))
	if diff := cmp.Diff([]string{"0", "1", "2"}, bodies(receive(t, newReceiver(t, c, plainQueue, nil), 3))); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
}

func TestMultiFrameMessage(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.MaxMessageSize = 1 << 20 }))
	c := connect(t, s)
	body := strings.Repeat("0123456789abcdef", 60<<10) // 960 KiB, fifteen frames
	send(t, c, plainQueue, body)
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	if string(m.Body) != body {
		t.Errorf("received %d bytes, want the %d sent", len(m.Body), len(body))
	}
	must(t, r.CompleteMessage(within(t), m, nil))
}

func TestTooLargeMessageIsRefused(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.MaxMessageSize = 1000 }))
	c := connect(t, s)
	err := newSender(t, c, plainQueue).SendMessage(within(t), &azservicebus.Message{Body: make([]byte, 2000)}, nil)
	if err == nil {
		t.Fatal("a message above the limit was accepted")
	}
	send(t, c, plainQueue, "small")
	if got := counts(t, s, plainQueue).Active; got != 1 {
		t.Errorf("%d messages in the queue, want the small one", got)
	}
}

func TestReceiveAndDelete(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, plainQueue, "once")
	r := newReceiver(t, c, plainQueue, &azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete})
	m := receiveOne(t, r)
	if string(m.Body) != "once" || m.LockedUntil != nil {
		t.Errorf("received %q, locked until %v", m.Body, m.LockedUntil)
	}
	if got := counts(t, s, plainQueue); got.Active+got.Locked != 0 || got.Completed != 1 {
		t.Errorf("counts: %+v", got)
	}
}

func TestAbandonCountsAndKeepsProperties(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, plainQueue, "again")
	send(t, c, plainQueue, "later")
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	must(t, r.AbandonMessage(within(t), m, &azservicebus.AbandonMessageOptions{PropertiesToModify: map[string]any{"why": "busy"}}))
	m = receiveOne(t, r)
	if string(m.Body) != "again" || m.DeliveryCount != 2 || m.ApplicationProperties["why"] != "busy" {
		t.Errorf("after abandoning: %q, delivery %d, properties %v", m.Body, m.DeliveryCount, m.ApplicationProperties)
	}
}

func TestDeferAndReceiveDeferred(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, plainQueue, "aside")
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	must(t, r.DeferMessage(within(t), m, nil))
	if got := counts(t, s, plainQueue); got.Deferred != 1 || got.Active != 0 {
		t.Fatalf("counts after deferring: %+v", got)
	}
	got, err := r.ReceiveDeferredMessages(within(t), []int64{*m.SequenceNumber}, nil)
	must(t, err)
	if len(got) != 1 || string(got[0].Body) != "aside" || got[0].State != azservicebus.MessageStateDeferred {
		t.Fatalf("deferred message: %+v", got)
	}
	must(t, r.CompleteMessage(within(t), got[0], nil))
	if got := counts(t, s, plainQueue); got.Deferred+got.Locked != 0 {
		t.Errorf("counts after completing: %+v", got)
	}
}

func TestDeadLetterWithReason(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, plainQueue, "bad")
	r := newReceiver(t, c, plainQueue, nil)
	reason, text := "envelope.malformed", "not a token"
	must(t, r.DeadLetterMessage(within(t), receiveOne(t, r), &azservicebus.DeadLetterOptions{
		Reason: &reason, ErrorDescription: &text, PropertiesToModify: map[string]any{"n": int64(4)},
	}))
	if got := counts(t, s, plainQueue); got.DeadLettered != 1 || got.Active+got.Locked != 0 {
		t.Fatalf("counts: %+v", got)
	}
	dlq := deadLetters(t, c, plainQueue)
	m := receiveOne(t, dlq)
	if *m.DeadLetterReason != reason || *m.DeadLetterErrorDescription != text || m.ApplicationProperties["n"] != int64(4) {
		t.Errorf("dead letter: reason %v, description %v, properties %v", m.DeadLetterReason, m.DeadLetterErrorDescription, m.ApplicationProperties)
	}
	must(t, dlq.CompleteMessage(within(t), m, nil))
	if got := counts(t, s, plainQueue).DeadLettered; got != 0 {
		t.Errorf("%d dead letters left", got)
	}
}

func TestMaxDeliveryCount(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.MaxDeliveryCount = 3 }))
	c := connect(t, s)
	send(t, c, plainQueue, "poison")
	r := newReceiver(t, c, plainQueue, nil)
	for i := range uint32(3) {
		m := receiveOne(t, r)
		if m.DeliveryCount != i+1 {
			t.Errorf("delivery count %d, want %d", m.DeliveryCount, i+1)
		}
		must(t, r.AbandonMessage(within(t), m, nil))
	}
	dlq := deadLetters(t, c, plainQueue)
	m := receiveOne(t, dlq)
	if *m.DeadLetterReason != "MaxDeliveryCountExceeded" {
		t.Errorf("reason %q", *m.DeadLetterReason)
	}
	// In the dead-letter queue nothing counts any more.
	before := m.DeliveryCount
	must(t, dlq.AbandonMessage(within(t), m, nil))
	if m := receiveOne(t, dlq); m.DeliveryCount != before {
		t.Errorf("delivery count in the dead-letter queue went from %d to %d", before, m.DeliveryCount)
	}
}

func TestRenewLock(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	send(t, c, plainQueue, "slow")
	r := newReceiver(t, c, plainQueue, nil)
	m := receiveOne(t, r)
	first := *m.LockedUntil
	time.Sleep(2 * time.Millisecond) // the wire's time has a resolution of a millisecond
	must(t, r.RenewMessageLock(within(t), m, nil))
	if !m.LockedUntil.After(first) {
		t.Errorf("lock renewed from %v to %v", first, m.LockedUntil)
	}
}

func TestPeekTouchesNothing(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	for _, b := range []string{"a", "b", "c"} {
		send(t, c, plainQueue, b)
	}
	r := newReceiver(t, c, plainQueue, nil)
	got, err := r.PeekMessages(within(t), 2, nil)
	must(t, err)
	if diff := cmp.Diff([]string{"a", "b"}, bodies(got)); diff != "" {
		t.Errorf("first peek (-want +got):\n%s", diff)
	}
	got, err = r.PeekMessages(within(t), 5, nil) // goes on where the last ended
	must(t, err)
	if diff := cmp.Diff([]string{"c"}, bodies(got)); diff != "" {
		t.Errorf("second peek (-want +got):\n%s", diff)
	}
	if got := counts(t, s, plainQueue); got.Active != 3 {
		t.Errorf("counts: %+v", got)
	}
}

func TestScheduleAndCancel(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	seqs, err := snd.ScheduleMessages(within(t), []*azservicebus.Message{{Body: []byte("x")}, {Body: []byte("y")}}, time.Now().Add(time.Hour), nil)
	must(t, err)
	if got := counts(t, s, plainQueue); len(seqs) != 2 || got.Scheduled != 2 || got.Active != 0 {
		t.Fatalf("sequence numbers %v, counts %+v", seqs, got)
	}
	must(t, snd.CancelScheduledMessages(within(t), seqs[:1], nil))
	if got := counts(t, s, plainQueue).Scheduled; got != 1 {
		t.Errorf("%d scheduled after cancelling one of two", got)
	}
	if err := snd.CancelScheduledMessages(within(t), seqs[:1], nil); err == nil {
		t.Error("cancelling twice succeeded")
	}
}

func TestDuplicateDetection(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.DuplicateWindow = time.Minute }))
	c := connect(t, s)
	id := func(id string) func(*azservicebus.Message) {
		return func(m *azservicebus.Message) { m.MessageID = &id }
	}
	send(t, c, plainQueue, "first", id("a"))
	send(t, c, plainQueue, "second", id("a"))
	send(t, c, plainQueue, "other", id("b"))
	if got := counts(t, s, plainQueue); got.Active != 2 || got.Duplicates != 1 {
		t.Errorf("counts: %+v", got)
	}
}

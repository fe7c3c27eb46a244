package emulator_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
)

// receiveGuarded receives and turns the SDK's panic into an error, as a program has to that wants to live.
func receiveGuarded(ctx context.Context, r *azservicebus.Receiver) (msgs []*azservicebus.ReceivedMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the SDK panicked: %v", p)
		}
	}()
	return r.ReceiveMessages(ctx, 1, nil)
}

// The emulator passes application properties on as they came, so that what anyone with the right to send can do to a
// receiver built on the SDK can be tested: a property that should be text and is none makes the SDK panic.
func TestHostilePropertyReachesTheReceiver(t *testing.T) {
	for _, name := range []string{"DeadLetterReason", "DeadLetterErrorDescription"} {
		t.Run(name, func(t *testing.T) {
			cfg := func() emulator.Config { return plain(func(q *emulator.Queue) { q.MaxDeliveryCount = 2 }) }
			inBubble(t, cfg, func(t *testing.T, s *emulator.Server, c *azservicebus.Client) {
				send(t, c, plainQueue, "poison", func(m *azservicebus.Message) {
					m.ApplicationProperties = map[string]any{name: int64(1)}
				})
				send(t, c, plainQueue, "good")
				r := newReceiver(t, c, plainQueue, nil)
				if msgs, err := receiveGuarded(within(t), r); err == nil {
					t.Fatalf("received %v without a panic: the property did not arrive as it was sent", bodies(msgs))
				}
				m := receiveOne(t, r) // the same receiver goes on
				if diff := cmp.Diff("good", string(m.Body)); diff != "" {
					t.Error(diff)
				}
				must(t, r.CompleteMessage(within(t), m, nil))

				time.Sleep(emulator.DefaultLockDuration)
				if _, err := receiveGuarded(within(t), r); err == nil {
					t.Fatal("the second delivery did not panic")
				}
				time.Sleep(emulator.DefaultLockDuration)
				if got := counts(t, s, plainQueue); got.DeadLettered != 1 || got.Active+got.Locked != 0 {
					t.Errorf("the message leaves by delivery count: %+v", got)
				}
			})
		})
	}
}

func TestSenderCannotForgeTheServicesAnnotations(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	m := &azservicebus.AMQPAnnotatedMessage{
		Body: azservicebus.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("x")}},
		MessageAnnotations: map[any]any{
			"x-opt-sequence-number": "not a number", "x-opt-enqueued-time": int64(0), "x-opt-locked-until": "for ever",
			"x-opt-message-state": int32(1), "x-opt-mine": "kept",
		},
	}
	must(t, snd.SendAMQPAnnotatedMessage(within(t), m, nil))
	got := receiveOne(t, newReceiver(t, c, plainQueue, nil))
	if *got.SequenceNumber != 1 || got.State != azservicebus.MessageStateActive || got.EnqueuedTime.IsZero() {
		t.Errorf("sequence %d, state %v, enqueued %v", *got.SequenceNumber, got.State, got.EnqueuedTime)
	}
	if v := got.RawAMQPMessage.MessageAnnotations["x-opt-mine"]; v != "kept" {
		t.Errorf("the sender's own annotation is %v", v)
	}
}

func TestBodiesOtherThanOneDataSectionPassUnchanged(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	snd, r := newSender(t, c, plainQueue), newReceiver(t, c, plainQueue, nil)
	for name, body := range map[string]azservicebus.AMQPAnnotatedMessageBody{
		"value":        {Value: "text"},
		"two sections": {Data: [][]byte{[]byte("one"), []byte("two")}},
		"sequence":     {Sequence: [][]any{{"a", int64(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, snd.SendAMQPAnnotatedMessage(within(t), &azservicebus.AMQPAnnotatedMessage{Body: body}, nil))
			got := receiveOne(t, r)
			if diff := cmp.Diff(body, got.RawAMQPMessage.Body); diff != "" {
				t.Errorf("body changed (-sent +received):\n%s", diff)
			}
			must(t, r.CompleteMessage(within(t), got, nil))
		})
	}
}

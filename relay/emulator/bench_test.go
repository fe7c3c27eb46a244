package emulator_test

import (
	"context"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// BenchmarkSendReceiveComplete is the way of a message through the unmodified SDK and back: sent, received with the
// credit of 32, completed. Most of the time is the SDK's.
func BenchmarkSendReceiveComplete(b *testing.B) {
	s := newServer(b, standard())
	c := connect(b, s)
	snd, r := newSender(b, c, plainQueue), newReceiver(b, c, plainQueue, nil)
	ctx := context.Background()
	b.ReportAllocs()
	sent := make(chan error, 1)
	b.ResetTimer()
	go func() {
		for range b.N {
			if err := snd.SendMessage(ctx, &azservicebus.Message{Body: make([]byte, 1000)}, nil); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for done := 0; done < b.N; {
		msgs, err := r.ReceiveMessages(ctx, 32, nil)
		must(b, err)
		for _, m := range msgs {
			must(b, r.CompleteMessage(ctx, m, nil))
			done++
		}
	}
	must(b, <-sent)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkWaitingMessages stores messages that nobody receives: what one costs is memory.
func BenchmarkWaitingMessages(b *testing.B) {
	s := newServer(b, standard())
	c := connect(b, s)
	snd := newSender(b, c, plainQueue)
	b.ReportAllocs()
	for b.Loop() {
		must(b, snd.SendMessage(context.Background(), &azservicebus.Message{Body: make([]byte, 1000)}, nil))
	}
}

package requester_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// accepts counts how often a session of the results queue is accepted: each time costs the namespace ten operations.
func (b bus) accepts() *atomic.Int64 {
	var count atomic.Int64
	b.SetFaults(func(_ context.Context, e emulator.Event) emulator.Fault {
		if e.Op == emulator.OpAttach && e.Receiver && e.Queue == resultsQueue {
			count.Add(1)
		}
		return emulator.Fault{}
	})
	return &count
}

// serveInBackground lets the agent work until the test ends.
func (b bus) serveInBackground(t *testing.T, n *network, decide func(*writeback.Request) []writeback.Outcome) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.serveAs(ctx, t, n, decide) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (b bus) dial(ctx context.Context, t *testing.T, n *network) *requester.Client {
	t.Helper()
	client, err := requester.Dial(ctx, b.dialConfig(n))
	must(t, err)
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func yes(*writeback.Request) []writeback.Outcome {
	return []writeback.Outcome{writeback.Answer(writeback.ReasonOK, writeback.Detail{})}
}

func TestTwoHundredCallersShareOneSession(t *testing.T) {
	n, b := newNetwork(t), newBus(t)
	accepted := b.accepts()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b.serveInBackground(t, n, yes)
	client := b.dial(ctx, t, n)
	const callers = 200
	var seen sync.Map
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			result, err := client.Unlock(ctx, requester.UnlockRequest{User: reset.User})
			if err != nil || result.Outcome.Verdict != requester.Written {
				t.Errorf("%+v, %v", result, err)
			}
			if _, twice := seen.LoadOrStore(result.RequestID, true); twice {
				t.Errorf("%s was answered twice", result.RequestID)
			}
		})
	}
	all.Wait()
	if got := accepted.Load(); got != 1 {
		t.Errorf("the session was accepted %d times for %d callers, want once", got, callers)
	}
	if stats := client.Stats(); stats != (requester.Stats{Results: callers}) {
		t.Errorf("%+v", stats)
	}
}

func TestALostSessionIsAcceptedAgainForWhoeverWaits(t *testing.T) {
	n, b := newNetwork(t), newBus(t)
	accepted := b.accepts()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	asked, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once // the request may come again: its message could not be completed
	b.serveInBackground(t, n, func(request *writeback.Request) []writeback.Outcome {
		if request.Operation == writeback.OpReset {
			once.Do(func() { close(asked) })
			<-goOn
		}
		return yes(request)
	})
	client := b.dial(ctx, t, n)
	_, err := client.Unlock(ctx, requester.UnlockRequest{User: reset.User})
	must(t, err)
	done := ask(func() (requester.Result, error) { return client.Reset(ctx, reset) })
	<-asked
	b.DropConnections()
	close(goOn)
	if reply := <-done; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
		t.Fatalf("the caller that waited: %+v", reply)
	}
	again := accepted.Load()
	if again < 2 {
		t.Errorf("the session was accepted %d times, want once more", again)
	}
	_, err = client.Unlock(ctx, requester.UnlockRequest{User: reset.User})
	must(t, err)
	if got := accepted.Load(); got != again {
		t.Errorf("the session was accepted %d times more for one request", got-again)
	}
}

func TestCarryTakesATokenThereAndAResultBack(t *testing.T) {
	n, b := newNetwork(t), newBus(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b.serveInBackground(t, n, yes)
	portal := n.client()
	defer portal.Close(ctx)
	prepared, err := portal.PrepareReset(reset)
	must(t, err)
	config := requester.CarryConfig{
		ConnectionString: b.connection, ResultsConnectionString: b.connection, RequestsQueue: requestsQueue, ResultsQueue: resultsQueue, NewConn: b.Dial,
	}
	b.leave(ctx, t, prepared.Claims, "e30.e30.AAAA", "another-request-of-the-session")
	b.leave(ctx, t, prepared.Claims, "noise", prepared.Claims.ID)
	result, err := requester.Carry(ctx, config, prepared.Token)
	must(t, err)
	if got := n.verify(t, result, prepared); got.Outcome.Verdict != requester.Written {
		t.Errorf("%+v", got)
	}
	if _, err := requester.Carry(ctx, config, []byte("noise")); writeback.ReasonOf(err) != writeback.EnvelopeMalformed {
		t.Errorf("noise: %v", err)
	}
}

// Nobody is there to answer: the token itself says how long that takes to be sure of, however long the caller would wait.
func TestCarryWaitsAsLongAsAnAnswerMayCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, b := newNetwork(t), newBus(t)
		portal := n.client()
		defer portal.Close(t.Context())
		prepared, err := portal.PrepareReset(reset)
		must(t, err)
		started, want := time.Now(), time.Until(prepared.Claims.ExpiresAt)+75*time.Second
		_, err = requester.Carry(t.Context(), requester.CarryConfig{
			ConnectionString: b.connection, RequestsQueue: requestsQueue, ResultsQueue: resultsQueue, NewConn: b.Dial,
		}, prepared.Token)
		if waited := time.Since(started); !errors.Is(err, requester.ErrNoAnswer) || waited < want || waited > want+5*time.Second { // a good-bye
			t.Errorf("after %s, want %s: %v", waited, want, err)
		}
	})
}

// leave puts something that is no answer into the reply session of a request.
func (b bus) leave(ctx context.Context, t *testing.T, claims writeback.Claims, text, correlationID string) {
	t.Helper()
	queue, err := servicebus.DialAgent(ctx, servicebus.AgentConfig{
		ConnectionString: b.connection, RequestsQueue: requestsQueue, Logger: b.log, NewConn: b.Dial,
	})
	must(t, err)
	defer queue.Close(ctx)
	must(t, queue.SendResult(ctx, writeback.PendingResult{
		Request: writeback.RequestKey{Issuer: claims.Issuer, ID: correlationID}, MessageID: envelope.NewID(), Queue: resultsQueue,
		Session: claims.ReplySession, Token: []byte(text), Expires: time.Now().Add(time.Minute),
	}))
}

package requester_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
	"github.com/password-writeback/writeback/relay/servicebus"
)

const (
	requestsQueue = "requests"
	resultsQueue  = "results"
)

// bus is an emulated Service Bus, reached by pipes, and an agent that says yes to everything.
type bus struct {
	*emulator.Server
	connection requester.Secret
	log        logrus.FieldLogger
}

func newBus(t testing.TB) bus {
	t.Helper()
	server, err := emulator.New(emulator.Config{
		Queues: []emulator.Queue{{Name: requestsQueue}, {Name: resultsQueue, RequiresSession: true}},
		Keys:   []emulator.AccessKey{{Name: "all", Key: secret.NewString("a2V5LW9mLXRoZS10ZXN0cw=="), Rights: emulator.Manage}},
	})
	must(t, err)
	t.Cleanup(func() { server.Close() })
	log, _ := logtest.NewNullLogger()
	return bus{Server: server, connection: secret.NewString(server.ConnectionString("127.0.0.1:5672", "all")), log: log}
}

// serve answers requests with yes until ctx ends.
func (b bus) serve(ctx context.Context, t testing.TB, n *network) {
	b.serveAs(ctx, t, n, func(*writeback.Request) []writeback.Outcome {
		return []writeback.Outcome{writeback.Answer(writeback.ReasonOK, writeback.Detail{})}
	})
}

// serveAs answers each request with the outcomes the agent decides on, one result after the other, until ctx ends.
func (b bus) serveAs(ctx context.Context, t testing.TB, n *network, decide func(*writeback.Request) []writeback.Outcome) {
	queue, err := servicebus.DialAgent(ctx, servicebus.AgentConfig{
		ConnectionString: b.connection, RequestsQueue: requestsQueue, Logger: b.log, NewConn: b.Dial,
	})
	must(t, err)
	defer queue.Close(context.WithoutCancel(ctx))
	var settling sync.WaitGroup // a message whose connection was lost takes a while to be given up
	defer settling.Wait()
	for ctx.Err() == nil {
		delivery, err := queue.Receive(ctx)
		if err != nil {
			continue
		}
		for _, result := range b.results(t, n, delivery.Body, decide) {
			for ctx.Err() == nil && queue.SendResult(ctx, result) != nil { // as the outbox does
				time.Sleep(10 * time.Millisecond)
			}
		}
		settling.Go(func() { _ = queue.Complete(ctx, delivery) })
	}
}

func (b bus) results(t testing.TB, n *network, token []byte, decide func(*writeback.Request) []writeback.Outcome) []writeback.PendingResult {
	verified, err := n.opener.Verify(token)
	if err != nil {
		return nil
	}
	request, err := n.opener.Decrypt(verified)
	if err != nil {
		t.Error(err)
		return nil
	}
	var results []writeback.PendingResult
	for _, outcome := range decide(request) {
		token, err := n.signer.Sign(writeback.Result{
			Audience: request.Issuer, RequestID: request.ID, RequestDigest: request.Digest, Outcome: outcome,
		})
		if err != nil {
			t.Error(err)
		}
		results = append(results, writeback.PendingResult{
			Request: request.Key(), MessageID: envelope.NewID(), Queue: resultsQueue, Session: request.ReplySession, Token: token, Expires: time.Now().Add(time.Minute),
		})
	}
	return results
}

func (b bus) dialConfig(n *network) requester.DialConfig {
	return requester.DialConfig{
		Issuer: issuer, Group: group, SigningKey: n.config.SigningKey, Agents: n.config.Agents,
		ConnectionString: b.connection, RequestsQueue: requestsQueue, ResultsQueue: resultsQueue, NewConn: b.Dial,
	}
}

func TestTwoPortalProcessesOnOneQueueGetTheirOwnAnswers(t *testing.T) {
	n, b := newNetwork(t), newBus(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	go func() { defer close(done); b.serve(ctx, t, n) }()
	t.Cleanup(func() { cancel(); <-done })
	var replies []<-chan reply
	for range 2 {
		client, err := requester.Dial(ctx, b.dialConfig(n))
		must(t, err)
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		for range 5 {
			replies = append(replies, ask(func() (requester.Result, error) { return client.Reset(ctx, reset) }))
		}
	}
	seen := make(map[string]bool)
	for _, pending := range replies {
		reply := <-pending
		if reply.err != nil || reply.result.Outcome.Verdict != requester.Written || seen[reply.result.RequestID] {
			t.Errorf("%+v", reply)
		}
		seen[reply.result.RequestID] = true
	}
}

func TestDialRefusesItsConfiguration(t *testing.T) {
	n, b := newNetwork(t), newBus(t)
	for name, spoil := range map[string]func(*requester.DialConfig){
		"no connection string": func(c *requester.DialConfig) { c.ConnectionString = requester.Secret{} },
		"no requests queue":    func(c *requester.DialConfig) { c.RequestsQueue = "" },
		"no results queue":     func(c *requester.DialConfig) { c.ResultsQueue = "" },
		"no agents":            func(c *requester.DialConfig) { c.Agents = nil },
		"no key":               func(c *requester.DialConfig) { c.SigningKey = requester.PrivateKey{} },
	} {
		config := b.dialConfig(n)
		spoil(&config)
		client, err := requester.Dial(t.Context(), config)
		var fault *requester.Error
		if client != nil || !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

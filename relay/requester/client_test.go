package requester_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

const (
	issuer = "portal"
	group  = "corp"
	agent  = "corp/a1"
)

// message is one message in the requests queue.
type message struct {
	id, subject string
	token       []byte
	ttl         time.Duration
}

// network is a queue in memory, and the agent behind it: a real opener and signer with a scripted opinion.
type network struct {
	tb       testing.TB
	opener   *envelope.Opener
	signer   *envelope.ResultSigner
	stranger *envelope.ResultSigner // signs with a key nobody pinned
	config   requester.Config

	mu      sync.Mutex
	sent    []message
	sendErr error
	answers chan received
	closed  chan struct{}
}

// received is what ReceiveResult returns next.
type received struct {
	token []byte
	err   error
}

func (n *network) SendRequest(_ context.Context, messageID, subject string, token []byte, ttl time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, message{id: messageID, subject: subject, token: token, ttl: ttl})
	return n.sendErr
}

func (n *network) ReceiveResult(ctx context.Context) ([]byte, string, error) {
	select {
	case answer := <-n.answers:
		return answer.token, "a hint nobody believes", answer.err
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

func (n *network) Close(context.Context) error {
	close(n.closed)
	return nil
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newNetwork(tb testing.TB) *network {
	tb.Helper()
	portalKey, err := envelope.GenerateSigningKey()
	must(tb, err)
	sealing, err := envelope.GenerateSealingKey()
	must(tb, err)
	signing, err := envelope.GenerateSigningKey()
	must(tb, err)
	unpinned, err := envelope.GenerateSigningKey()
	must(tb, err)
	n := &network{tb: tb, answers: make(chan received, 64), closed: make(chan struct{})}
	n.opener, err = envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {portalKey.Public()}}, SealingKeys: []envelope.PrivateKey{sealing},
	})
	must(tb, err)
	n.signer, err = envelope.NewResultSigner(agent, signing)
	must(tb, err)
	n.stranger, err = envelope.NewResultSigner(agent, unpinned)
	must(tb, err)
	n.config = requester.Config{
		Issuer: issuer, Group: group, SigningKey: portalKey, Agents: exported(tb, sealing, signing),
		Transport: n, Session: requester.NewSession(),
	}
	return n
}

// exported passes keys through their exported form, as an administrator would.
func exported(tb testing.TB, keys ...envelope.PrivateKey) []envelope.PublicKey {
	tb.Helper()
	var public []envelope.PublicKey
	for _, key := range keys {
		public = append(public, key.Public())
	}
	set, err := envelope.EncodePublicKeys(public, agent)
	must(tb, err)
	parsed, err := envelope.ParsePublicKeys(set)
	must(tb, err)
	return parsed
}

func (n *network) client() *requester.Client {
	n.tb.Helper()
	client, err := requester.New(n.config)
	must(n.tb, err)
	return client
}

// request opens the i-th message sent.
func (n *network) request(i int) *writeback.Request {
	n.tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if i >= len(n.sent) {
		n.tb.Fatalf("only %d requests were sent", len(n.sent))
	}
	verified, err := n.opener.Verify(n.sent[i].token)
	must(n.tb, err)
	request, err := n.opener.Decrypt(verified)
	must(n.tb, err)
	return request
}

// answer signs a result for a request; edit spoils it.
func (n *network) answer(signer *envelope.ResultSigner, claims writeback.Claims, verdict writeback.Verdict, edit func(*writeback.Result)) {
	n.tb.Helper()
	result := writeback.Result{
		Audience: claims.Issuer, RequestID: claims.ID, RequestDigest: claims.Digest,
		Outcome: writeback.Outcome{Verdict: verdict, Reason: writeback.ReasonOK},
	}
	if edit != nil {
		edit(&result)
	}
	token, err := signer.Sign(result)
	must(n.tb, err)
	n.answers <- received{token: token}
}

var reset = requester.ResetRequest{
	User:     requester.Subject{Kind: requester.BySID, Value: "S-1-5-21-1"},
	Password: secret.NewString("Grüße-42"), MustChange: true,
	By: requester.Verification{Actor: requester.Actor{Kind: requester.ActorAdmin, ID: "op-1"}, Methods: []string{"otp"}},
}

// reply is what a caller got.
type reply struct {
	result requester.Result
	err    error
}

// ask calls in the background.
func ask(call func() (requester.Result, error)) <-chan reply {
	done := make(chan reply, 1)
	go func() {
		result, err := call()
		done <- reply{result, err}
	}()
	return done
}

// bubble runs a test on a fake clock with a client that is closed at the end.
func bubble(t *testing.T, f func(*testing.T, *network, *requester.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		client := n.client()
		f(t, n, client)
		must(t, client.Close(t.Context()))
		<-n.closed
	})
}

func TestAResetGoesOutAsAskedAndItsAnswerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		got := n.request(0)
		if got.Operation != writeback.OpReset || got.Subject != reset.User || !got.Password.Equal(reset.Password) ||
			!got.MustChange || !got.Unlock || got.Actor.ID != "op-1" || got.ReplySession != n.config.Session {
			t.Errorf("sent %+v", got)
		}
		if sent := n.sent[0]; sent.id != got.ID || sent.subject != "reset" || sent.ttl < 10*time.Minute || sent.ttl > 12*time.Minute {
			t.Errorf("message id %q, subject %q, ttl %s", sent.id, sent.subject, sent.ttl)
		}
		n.answer(n.signer, got.Claims, writeback.Written, nil)
		if reply := <-done; reply.err != nil || reply.result.Outcome.Verdict != requester.Written || reply.result.Agent != agent {
			t.Errorf("%+v", reply)
		}
	})
}

func TestUnlockAndPing(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		unlock := ask(func() (requester.Result, error) {
			return client.Unlock(t.Context(), requester.UnlockRequest{User: reset.User})
		})
		synctest.Wait()
		request := n.request(0)
		if request.Operation != writeback.OpUnlock || request.Actor.Kind != writeback.ActorSelf || !request.Password.Empty() {
			t.Errorf("unlock sent %+v", request)
		}
		n.answer(n.signer, request.Claims, writeback.Written, nil)
		must(t, (<-unlock).err)
		ping := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		n.answer(n.signer, n.request(1).Claims, writeback.OK, nil)
		if reply := <-ping; reply.err != nil || reply.result.Outcome.Verdict != requester.OK {
			t.Errorf("ping %+v", reply)
		}
	})
}

func TestKeepLocked(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		locked := reset
		locked.KeepLocked = true
		prepared, err := client.PrepareReset(locked)
		must(t, err)
		verified, err := n.opener.Verify(prepared.Token)
		must(t, err)
		request, err := n.opener.Decrypt(verified)
		must(t, err)
		if request.Unlock {
			t.Error("a reset that keeps the lock unlocks")
		}
	})
}

func TestManyCallersWaitOnOneSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		const callers = 20
		replies := make(map[string]<-chan reply)
		var claims []writeback.Claims
		for i := range callers {
			done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
			synctest.Wait()
			claims = append(claims, n.request(i).Claims)
			replies[claims[i].ID] = done
		}
		for i := range claims { // answered in the opposite order
			n.answer(n.signer, claims[callers-1-i], writeback.OK, nil)
		}
		for id, done := range replies {
			if reply := <-done; reply.err != nil || reply.result.RequestID != id {
				t.Errorf("%s got the answer of %s, %v", id, reply.result.RequestID, reply.err)
			}
		}
		if stats := client.Stats(); stats != (requester.Stats{Results: callers}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestLiesAreCountedAndIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answers <- received{token: []byte("noise")}
		n.answer(n.stranger, claims, writeback.Written, nil)
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.Audience = "other-portal" })
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.RequestDigest[0] ^= 1 })
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.RequestID = envelope.NewID() })
		synctest.Wait()
		select {
		case reply := <-done:
			t.Fatalf("a lie was believed: %+v", reply)
		default:
		}
		n.answer(n.signer, claims, writeback.NotWritten, func(r *writeback.Result) { r.Outcome.Reason = writeback.PasswordInHistory })
		if reply := <-done; reply.err != nil || reply.result.Outcome.Reason != writeback.PasswordInHistory {
			t.Errorf("%+v", reply)
		}
		if stats := client.Stats(); stats != (requester.Stats{Results: 1, Unverifiable: 3, Unmatched: 2}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestSilenceIsNoAnswerNeverFailure(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		start := time.Now()
		_, err := client.Reset(t.Context(), reset)
		var exchange *requester.ExchangeError
		if !errors.Is(err, requester.ErrNoAnswer) || !errors.As(err, &exchange) || exchange.RequestID != n.request(0).ID {
			t.Fatalf("%v", err)
		}
		if waited := time.Since(start); waited < 90*time.Second || waited > 3*time.Minute {
			t.Errorf("waited %s", waited)
		}
		// The answer comes late, and is still to be had.
		late := ask(func() (requester.Result, error) { return client.Await(t.Context(), exchange.RequestID) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.Written, nil)
		if reply := <-late; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("late: %+v", reply)
		}
		if _, err := client.Await(t.Context(), exchange.RequestID); !errors.Is(err, requester.ErrForgotten) {
			t.Errorf("after all is known: %v", err)
		}
	})
}

func TestTheCallersContextEndsTheWait(t *testing.T) {
	bubble(t, func(t *testing.T, _ *network, client *requester.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := client.Reset(ctx, reset); !errors.Is(err, requester.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestAnUnknownOutcomeIsRevisedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, nil)
		first := <-done
		if first.result.Outcome.Verdict != requester.Unknown {
			t.Fatalf("%+v", first)
		}
		early := ask(func() (requester.Result, error) { return client.Await(t.Context(), claims.ID) })
		synctest.Wait()
		time.Sleep(50 * time.Minute)
		n.answer(n.signer, claims, writeback.Written, nil)
		if reply := <-early; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v", reply)
		}
	})
}

func TestARevisionThatNobodyAwaitedYetIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, nil)
		<-done
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := client.Await(ctx, claims.ID); !errors.Is(err, requester.ErrNoAnswer) {
			t.Errorf("still unknown: %v", err)
		}
		waiting := ask(func() (requester.Result, error) { return client.Await(t.Context(), claims.ID) })
		synctest.Wait()
		n.answer(n.signer, claims, writeback.Written, nil)
		if reply := <-waiting; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v", reply)
		}
	})
}

func TestATokenSentAgainGetsItsNextAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		prepared, err := client.PrepareReset(reset)
		must(t, err)
		first := ask(func() (requester.Result, error) { return client.Exchange(t.Context(), prepared.Token) })
		synctest.Wait()
		n.answer(n.signer, prepared.Claims, writeback.Written, nil)
		must(t, (<-first).err)
		second := ask(func() (requester.Result, error) { return client.ExchangeAs(t.Context(), "fresh", prepared.Token) })
		synctest.Wait()
		n.answer(n.signer, prepared.Claims, writeback.Written, func(r *writeback.Result) { r.Outcome.Replayed = true })
		if reply := <-second; reply.err != nil || !reply.result.Outcome.Replayed {
			t.Errorf("%+v", reply)
		}
		if n.sent[0].id != prepared.Claims.ID || n.sent[1].id != "fresh" || string(n.sent[0].token) != string(n.sent[1].token) {
			t.Errorf("message ids %q and %q", n.sent[0].id, n.sent[1].id)
		}
	})
}

func TestADuplicatedAnswerCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		id := envelope.NewID()
		same := func(r *writeback.Result) { r.ID = id }
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, same)
		n.answer(n.signer, claims, writeback.Unknown, same)
		<-done
		synctest.Wait()
		if stats := client.Stats(); stats != (requester.Stats{Results: 1, Repeated: 1}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestReceivingGoesOnAfterTrouble(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		trouble := errors.New("link detached")
		for range 5 {
			n.answers <- received{err: trouble}
		}
		done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.OK, nil)
		if reply := <-done; reply.err != nil {
			t.Errorf("%+v", reply)
		}
		if stats := client.Stats(); stats.ReceiveFails != 5 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestNoAnswerNamesTheTroubleOfReceiving(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		trouble := errors.New("unauthorized to listen")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 64 {
			n.answers <- received{err: trouble}
		}
		if _, err := client.Ping(ctx); !errors.Is(err, requester.ErrNoAnswer) || !errors.Is(err, trouble) {
			t.Errorf("%v", err)
		}
	})
}

func TestASendThatIsNotConfirmedLeavesTheOutcomeUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		n.sendErr = errors.New("connection reset")
		_, err := client.Reset(t.Context(), reset)
		var exchange *requester.ExchangeError
		if !errors.Is(err, requester.ErrNotConfirmed) || !errors.Is(err, n.sendErr) || !errors.As(err, &exchange) {
			t.Fatalf("%v", err)
		}
		late := ask(func() (requester.Result, error) { return client.Await(t.Context(), exchange.RequestID) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.Written, nil)
		must(t, (<-late).err)
	})
}

func TestCloseReleasesWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		client := n.client()
		done := ask(func() (requester.Result, error) { return client.Ping(context.Background()) })
		synctest.Wait()
		must(t, client.Close(t.Context()))
		if reply := <-done; !errors.Is(reply.err, requester.ErrNoAnswer) || !errors.Is(reply.err, requester.ErrClosed) {
			t.Errorf("%v", reply.err)
		}
		if _, err := client.Ping(t.Context()); !errors.Is(err, requester.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		must(t, client.Close(t.Context()))
	})
}

func TestWhatCannotBeMadeIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		for name, request := range map[string]requester.ResetRequest{
			"nobody":         {Password: reset.Password},
			"not UTF-8":      {User: reset.User, Password: secret.NewString("\xff")},
			"admin no id":    {User: reset.User, Password: reset.Password, By: requester.Verification{Actor: requester.Actor{Kind: requester.ActorAdmin}}},
			"method twice":   {User: reset.User, Password: reset.Password, By: requester.Verification{Methods: []string{"otp", "otp"}}},
			"id with a line": {User: requester.Subject{Kind: requester.ByUPN, Value: "a\nb"}, Password: reset.Password},
		} {
			var fault *requester.Error
			if _, err := client.Reset(t.Context(), request); !errors.As(err, &fault) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := client.Exchange(t.Context(), []byte("noise")); err == nil || len(n.sent) != 0 {
			t.Errorf("noise: %v; %d sent", err, len(n.sent))
		}
	})
}

func TestNewRefusesItsConfiguration(t *testing.T) {
	n := newNetwork(t)
	unnamed, err := envelope.GenerateSealingKey()
	must(t, err)
	for name, spoil := range map[string]func(*requester.Config){
		"no transport":       func(c *requester.Config) { c.Transport = nil },
		"no session":         func(c *requester.Config) { c.Session = "" },
		"no issuer":          func(c *requester.Config) { c.Issuer = "" },
		"another group":      func(c *requester.Config) { c.Group = "other" },
		"no agents":          func(c *requester.Config) { c.Agents = nil },
		"an unnamed agent":   func(c *requester.Config) { c.Agents = append(c.Agents, unnamed.Public()) },
		"no signing agent":   func(c *requester.Config) { c.Agents = c.Agents[:1] },
		"no sealing agent":   func(c *requester.Config) { c.Agents = c.Agents[1:] },
		"no key":             func(c *requester.Config) { c.SigningKey = requester.PrivateKey{} },
		"a life of an hour":  func(c *requester.Config) { c.Life = time.Hour },
		"a sealing key only": func(c *requester.Config) { c.SigningKey = unnamed },
	} {
		config := n.config
		config.Agents = append([]requester.PublicKey(nil), config.Agents...)
		spoil(&config)
		_, err := requester.New(config)
		var fault *requester.Error
		if !errors.As(err, &fault) || fault.Remedy() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

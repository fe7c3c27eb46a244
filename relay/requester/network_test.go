package requester_test

import (
	"context"
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

// verify checks a result token as the portal does that made the request.
func (n *network) verify(t *testing.T, token []byte, asked requester.Prepared) requester.Result {
	t.Helper()
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
		Issuer: issuer, Agents: map[string][]envelope.PublicKey{agent: n.config.Agents[1:]},
	})
	must(t, err)
	verified, err := verifier.Verify(token)
	must(t, err)
	result, err := verified.For(asked.Claims.ID, asked.Claims.Digest)
	must(t, err)
	return result
}

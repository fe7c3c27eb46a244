package emulator_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

const (
	plainQueue   = "requests"
	sessionQueue = "results"
)

// namespaceKey is good for everything.
func namespaceKey() emulator.AccessKey {
	return emulator.AccessKey{Name: "root", Key: secret.NewString("namespace-key"), Rights: emulator.Manage}
}

// standard is a namespace with a plain and a session queue.
func standard() emulator.Config {
	return emulator.Config{
		Queues: []emulator.Queue{{Name: plainQueue}, {Name: sessionQueue, RequiresSession: true}},
		Keys:   []emulator.AccessKey{namespaceKey()},
	}
}

// plain is a namespace with one queue, described by change.
func plain(change func(*emulator.Queue)) emulator.Config {
	cfg := standard()
	change(&cfg.Queues[0])
	return cfg
}

func newServer(t testing.TB, cfg emulator.Config) *emulator.Server {
	t.Helper()
	s, err := emulator.New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// connect makes an unmodified SDK client over net.Pipe, with quick retries.
func connect(t testing.TB, s *emulator.Server) *azservicebus.Client {
	t.Helper()
	return connectWith(t, s, s.ConnectionString("emulator.test", "root"))
}

func connectWith(t testing.TB, s *emulator.Server, cs string) *azservicebus.Client {
	t.Helper()
	c, err := azservicebus.NewClientFromConnectionString(cs, &azservicebus.ClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) { return s.Dial(ctx) },
		RetryOptions:     azservicebus.RetryOptions{MaxRetries: 1, RetryDelay: 10 * time.Millisecond, MaxRetryDelay: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatalf("client: %v", err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// within bounds a whole test: nothing here takes seconds unless it hangs.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newSender(t testing.TB, c *azservicebus.Client, queue string) *azservicebus.Sender {
	t.Helper()
	s, err := c.NewSender(queue, nil)
	if err != nil {
		t.Fatalf("sender: %v", err)
	}
	return s
}

func newReceiver(t testing.TB, c *azservicebus.Client, queue string, opts *azservicebus.ReceiverOptions) *azservicebus.Receiver {
	t.Helper()
	r, err := c.NewReceiverForQueue(queue, opts)
	if err != nil {
		t.Fatalf("receiver: %v", err)
	}
	return r
}

func deadLetters(t testing.TB, c *azservicebus.Client, queue string) *azservicebus.Receiver {
	t.Helper()
	return newReceiver(t, c, queue, &azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter})
}

// send sends one message with the given body, changed by the options.
func send(t testing.TB, c *azservicebus.Client, queue, body string, change ...func(*azservicebus.Message)) {
	t.Helper()
	m := &azservicebus.Message{Body: []byte(body)}
	for _, f := range change {
		f(m)
	}
	s := newSender(t, c, queue)
	defer s.Close(context.Background())
	if err := s.SendMessage(within(t), m, nil); err != nil {
		t.Fatalf("send %q: %v", body, err)
	}
}

func inSession(id string) func(*azservicebus.Message) {
	return func(m *azservicebus.Message) { m.SessionID = &id }
}

// receiver is what the SDK's two kinds of receivers have in common.
type receiver interface {
	ReceiveMessages(context.Context, int, *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
}

// receive takes exactly n messages.
func receive(t testing.TB, r receiver, n int) []*azservicebus.ReceivedMessage {
	t.Helper()
	var got []*azservicebus.ReceivedMessage
	for ctx := within(t); len(got) < n; {
		msgs, err := r.ReceiveMessages(ctx, n-len(got), nil)
		if err != nil {
			t.Fatalf("receive %d of %d: %v", len(got)+1, n, err)
		}
		got = append(got, msgs...)
	}
	return got
}

func receiveOne(t testing.TB, r receiver) *azservicebus.ReceivedMessage {
	t.Helper()
	return receive(t, r, 1)[0]
}

func bodies(msgs []*azservicebus.ReceivedMessage) []string {
	var out []string
	for _, m := range msgs {
		out = append(out, string(m.Body))
	}
	return out
}

func counts(t testing.TB, s *emulator.Server, queue string) emulator.Counts {
	t.Helper()
	c, err := s.Counts(queue)
	if err != nil {
		t.Fatalf("Counts: %v", err)
	}
	return c
}

// wantCode fails unless err is an SDK error with the code.
func wantCode(t testing.TB, err error, code azservicebus.Code) {
	t.Helper()
	var sb *azservicebus.Error
	if !errors.As(err, &sb) || sb.Code != code {
		t.Fatalf("error %v, want code %s", err, code)
	}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sign makes a SharedAccessSignature as the SDK does.
func sign(resource, name, key string, expires time.Time) string {
	sr, se := strings.ToLower(url.QueryEscape(resource)), strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sr + "\n" + se))
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return "SharedAccessSignature sr=" + sr + "&sig=" + sig + "&se=" + se + "&skn=" + name
}

package emulator_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

var update = flag.Bool("update", false, "write the golden files")

// page is a writer that connections may write to at once; each Write must be one whole line.
type page struct {
	t  testing.TB
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Count(b, []byte("\n")) != 1 || !bytes.HasSuffix(b, []byte("\n")) {
		p.t.Errorf("not one line: %q", b)
	}
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// await returns when the page holds text.
func (p *page) await(text string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(p.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%q does not come:\n%s", text, p.String())
		}
	}
}

// traced is the standard namespace with a trace.
func traced(t testing.TB) (emulator.Config, *page) {
	cfg, p := standard(), &page{t: t}
	cfg.Trace = p
	return cfg, p
}

// normal takes out of a trace what differs from run to run: times, random names, and the version of the client.
func normal(log string) string {
	for _, r := range [][2]string{
		{`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`, "TIME"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UUID"},
		{`(container|name)=[A-Za-z0-9_-]{40,}`, "$1=RANDOM"},
		{`tag=[0-9a-f]{32}`, "tag=LOCK"},
		{`tag=[0-9a-f]{16}`, "tag=TAG"},
		{`agent="[^"]*"`, "agent=CLIENT"},
		{`token\(\d+ bytes\)`, "token(N bytes)"},
		{`bytes=\d+`, "bytes=N"},
		{`(?m) ended error="context canceled"$`, " ended"}, // Close can be quicker than the peer's own end
	} {
		log = regexp.MustCompile(r[0]).ReplaceAllString(log, r[1])
	}
	return log
}

// TestTraceOfAConversation compares what the SDK and the service say to one another with what they said when the
// golden file was read by a person. go test -run TestTraceOfAConversation -update writes it.
func TestTraceOfAConversation(t *testing.T) {
	cfg, log := traced(t)
	s := newServer(t, cfg)
	p := authorised(t, s)
	p.sender(0, plainQueue)
	p.transfer(0, 1, encoded(t, amqp.Map{{Key: "password", Value: "hush-property"}}, "hush-body"))
	expect[*amqp.Disposition](p)
	p.receiver(1, plainQueue)
	p.credit(1, 0, 1, 5000, false)
	got := expect[*amqp.Transfer](p)
	p.say(&amqp.Disposition{Role: amqp.RoleReceiver, First: *got.DeliveryID, State: amqp.Accepted{}})
	expect[*amqp.Disposition](p)
	p.request(plainQueue+"/$management", amqp.Map{{Key: "operation", Value: "com.microsoft:peek-message"}},
		amqp.Map{{Key: "from-sequence-number", Value: int64(1)}, {Key: "message-count", Value: int32(1)}})
	p.wantRefusal(p.receiver(2, "nowhere"), "amqp:not-found")
	p.say(nil) // a heartbeat
	p.say(&amqp.Close{})
	expect[*amqp.Close](p)
	must(t, s.Close())
	golden(t, "trace.golden", normal(log.String()))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestTraceOfTheSDK: all that it does is shown, and no line is without a time and a direction or an event.
func TestTraceOfTheSDK(t *testing.T) {
	cfg, log := traced(t)
	s := newServer(t, cfg)
	c := connect(t, s)
	const hush = "hush-hush"
	send(t, c, sessionQueue, hush, inSession("s1"), func(m *azservicebus.Message) {
		m.ApplicationProperties = map[string]any{"p": hush}
		id := "m1"
		m.MessageID = &id
	})
	r, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
	must(t, err)
	must(t, r.SetSessionState(within(t), []byte(hush), nil))
	must(t, r.AbandonMessage(within(t), receiveOne(t, r), nil))
	must(t, r.CompleteMessage(within(t), receiveOne(t, r), nil))
	must(t, c.Close(within(t)))
	must(t, s.Close())
	text := log.String()
	line := regexp.MustCompile(`^\S+Z conn=\d+ (connected peer=\S+|ended( error="context canceled")?|(<-|->) (header (AMQP|SASL)|heartbeat|ch=\d+ [a-z-]+( .+)?))$`)
	for l := range strings.Lines(text) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("a line of another form: %s", l)
		}
	}
	for _, want := range []string{
		"operation=put-token type=servicebus.windows.net:sastoken name=amqp://emulator.test/results token(", "status=202",
		"message=m1 session=s1", "session=any", " session=s1", "modified", "accepted", "operation=com.microsoft:set-session-state", "status=200",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the trace does not show %q", want)
		}
	}
	for _, secret := range []string{hush, "sig=", "SharedAccessSignature", "namespace-key"} {
		if strings.Contains(text, secret) {
			t.Errorf("the trace shows %q", secret)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestTraceOfMisplacedTokens: a client that puts its token where none belongs does not bring it into the trace.
func TestTraceOfMisplacedTokens(t *testing.T) {
	cfg, log := traced(t)
	s := newServer(t, cfg)
	p := opened(t, s)
	token := sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour))
	p.wantRefusal(p.receiver(1, token), "amqp:not-found")
	p.request("$cbs", amqp.Map{{Key: "operation", Value: token}, {Key: "name", Value: token}, {Key: "type", Value: token}}, token)
	p.say(&amqp.Close{Error: amqp.Errorf("amqp:internal-error", "refused: %s", token)})
	expect[*amqp.Close](p)
	must(t, s.Close())
	if text := log.String(); strings.Contains(text, "sig=") || strings.Count(text, "token(") < 5 {
		t.Errorf("shown, or not noted:\n%s", text)
	}
}

func TestTraceOfWhatCannotBeRead(t *testing.T) {
	cfg, log := traced(t)
	s := newServer(t, cfg)
	p := opened(t, s)
	p.write([]byte("\x00\x00\x00\x0d\x02\x00\x00\x03\x00\x53\x12\xf0\xff"))
	expect[*amqp.Close](p)
	must(t, s.Close())
	for _, want := range []string{"<- ch=3 malformed bytes=5", "-> ch=0 close error=amqp:decode-error", "ended error="} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the trace lacks %q:\n%s", want, log.String())
		}
	}
}

func TestTraceOfSilence(t *testing.T) {
	cfg, log := traced(t)
	s := newServer(t, cfg)
	p := authorised(t, s)
	p.sender(0, plainQueue)
	s.SetFaults(faultOnce(emulator.OpSend, emulator.Fault{Drop: emulator.DropAfter, Silent: true}))
	p.transfer(0, 1, encoded(t, nil, "x"))
	log.await("falls silent\n") // Close would be quicker than the transfer otherwise
	p.say(&amqp.Close{})
	p.conn.Close()
	log.await(" ended")
	must(t, s.Close())
	_, after, found := strings.Cut(log.String(), "falls silent\n")
	if !found || strings.Count(after, "\n") != 1 || !strings.Contains(after, "ended") {
		t.Errorf("after the silence there should be the end and nothing else:\n%s", log.String())
	}
}

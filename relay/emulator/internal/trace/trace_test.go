package trace_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/trace"
)

// shown is what becomes of a frame, without time and connection.
func shown(t testing.TB, p amqp.Performative, payload []byte, request bool) string {
	t.Helper()
	var b bytes.Buffer
	c := trace.New(&b).Conn("peer")
	b.Reset()
	c.Frame(trace.In, 7, p, payload, request)
	_, rest, ok := strings.Cut(b.String(), " conn=1 <- ch=7 ")
	if !ok {
		t.Fatalf("got %q", b.String())
	}
	return strings.TrimSuffix(rest, "\n")
}

func message(t testing.TB, change func(*amqp.Message)) []byte {
	t.Helper()
	m := &amqp.Message{}
	if err := m.SetValue("the body"); err != nil {
		t.Fatal(err)
	}
	change(m)
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ptr[T any](v T) *T { return &v }

func TestFrames(t *testing.T) {
	failure := amqp.Errorf("com.microsoft:server-busy", "wait %q", "a while")
	session := amqp.NewSource("q").WithFilter(amqp.Map{{Key: amqp.Symbol("com.microsoft:session-filter"), Value: amqp.Described{Descriptor: uint64(1), Value: nil}}})
	for _, tt := range []struct {
		frame amqp.Performative
		want  string
	}{
		{&amqp.Open{ContainerID: "c", Hostname: "h:5671", MaxFrameSize: 512, ChannelMax: 3, IdleTimeout: 30000, Properties: amqp.Map{{Key: amqp.Symbol("user-agent"), Value: "an agent"}}},
			`open container=c host=h:5671 max-frame-size=512 channel-max=3 idle-ms=30000 agent="an agent"`},
		{&amqp.Begin{NextOutgoingID: 1, IncomingWindow: 2, OutgoingWindow: 3}, "begin next-out=1 in-window=2 out-window=3"},
		{&amqp.Attach{Name: "n", Handle: 1, Role: amqp.RoleReceiver, SndSettleMode: amqp.SenderSettled, Source: session},
			"attach handle=1 role=receiver source=q target=none name=n snd=settled rcv=first session=any"},
		{&amqp.Attach{Name: "n", SndSettleMode: amqp.SenderUnsettled, RcvSettleMode: amqp.ReceiverSecond, Target: &amqp.Terminus{Code: 0x30}},
			"attach handle=0 role=sender source=none target=coordinator name=n snd=unsettled rcv=second"},
		{&amqp.Flow{NextIncomingID: ptr[uint32](9), Handle: ptr[uint32](1), DeliveryCount: ptr[uint32](2), LinkCredit: ptr[uint32](3), Drain: true, Echo: true},
			"flow next-in=9 in-window=0 next-out=0 out-window=0 handle=1 count=2 credit=3 drain echo"},
		{&amqp.Transfer{Handle: 1, DeliveryID: ptr[uint32](4), DeliveryTag: []byte{1, 0xab}, Settled: true, More: true, Aborted: true},
			"transfer handle=1 delivery=4 tag=01ab settled more aborted bytes=0"},
		{&amqp.Disposition{Role: amqp.RoleReceiver, First: 1, Last: ptr[uint32](5), Settled: true, State: amqp.Released{}},
			"disposition role=receiver first=1 last=5 settled released"},
		{&amqp.Disposition{State: amqp.Rejected{Error: failure}},
			`disposition role=sender first=0 rejected error=com.microsoft:server-busy description="wait \"a while\""`},
		{&amqp.Disposition{State: amqp.Modified{DeliveryFailed: true, UndeliverableHere: true}}, "disposition role=sender first=0 modified failed undeliverable-here"},
		{&amqp.Disposition{State: amqp.Received{}}, "disposition role=sender first=0 received"},
		{&amqp.Detach{Handle: 2, Error: &amqp.Error{Condition: "a:b"}}, "detach handle=2 error=a:b"},
		{&amqp.End{}, "end"},
		{&amqp.Close{Error: &amqp.Error{Condition: "a:b"}}, "close error=a:b"},
		{&amqp.Init{Mechanism: "PLAIN", Response: []byte("\x00user\x00hush")}, "sasl-init mechanism=PLAIN"},
		{&amqp.Outcome{Code: 1}, "sasl-outcome code=1"},
	} {
		if got := shown(t, tt.frame, nil, false); got != tt.want {
			t.Errorf("%T:\n got %s\nwant %s", tt.frame, got, tt.want)
		}
	}
}

func TestPayloads(t *testing.T) {
	whole := &amqp.Transfer{DeliveryID: ptr[uint32](0)}
	id := func(v any) []byte { return message(t, func(m *amqp.Message) { m.SetMessageID(v) }) }
	put := func(value any) []byte {
		return message(t, func(m *amqp.Message) {
			m.ApplicationProperties = amqp.Map{{Key: "operation", Value: "put-token"}, {Key: "type", Value: "jwt"}, {Key: "name", Value: "amqps://h/q"}}
			if err := m.SetValue(value); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, tt := range map[string]struct {
		frame   *amqp.Transfer
		payload []byte
		request bool
		want    string
	}{
		"text id":         {whole, id("m-1"), false, " message=m-1"},
		"number id":       {whole, id(uint64(5)), false, " message=5"},
		"uuid id":         {whole, id(amqp.UUID{1}), false, " message=01000000-0000-0000-0000-000000000000"},
		"binary id":       {whole, id([]byte{1, 2}), false, " message=0102"},
		"no message":      {whole, []byte("hush"), false, " unreadable"},
		"first part":      {&amqp.Transfer{DeliveryID: ptr[uint32](0), More: true}, id("m-1"), false, ""},
		"later part":      {&amqp.Transfer{}, id("m-1"), false, ""},
		"batch":           {&amqp.Transfer{DeliveryID: ptr[uint32](0), MessageFormat: ptr[uint32](0x80013700)}, id("b"), false, " message=b"},
		"token":           {whole, put("hush"), true, " operation=put-token type=jwt name=amqps://h/q token(4 bytes)"},
		"token of no use": {whole, put(int32(3)), true, " operation=put-token type=jwt name=amqps://h/q token(0 bytes)"},
		"answer": {whole, message(t, func(m *amqp.Message) {
			m.ApplicationProperties = amqp.Map{{Key: "statusCode", Value: int32(410)}, {Key: "statusDescription", Value: "x"}}
		}), true, " status=410"},
	} {
		_, got, ok := strings.Cut(shown(t, tt.frame, tt.payload, tt.request), " bytes=")
		if _, got, _ = cutNumber(got); !ok || got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
		if strings.Contains(got, "hush") || strings.Contains(got, "the body") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := shown(t, &amqp.Transfer{DeliveryID: ptr[uint32](0), MessageFormat: ptr[uint32](0x80013700)}, id("b"), false); !strings.Contains(got, " batch ") {
		t.Errorf("a batch is shown as %s", got)
	}
}

func cutNumber(s string) (number, rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest, true
}

// TestTextsAreTamed: whatever comes from outside stays on its line, short, and gives no token away.
func TestTextsAreTamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `""`,
		"two\nlines":             `"two\nlines"`,
		"\x1b[31mred":            `"\x1b[31mred"`,
		"spoof ended error=none": `"spoof ended error=none"`,
		"größe":                  `"gr\u00f6\u00dfe"`,
		strings.Repeat("x", 300): `"` + strings.Repeat("x", 200) + `"...`,
		"SharedAccessSignature sr=a&sig=b&se=1&skn=c": "token(43 bytes)",
		"x?SIG=abc":                  "token(9 bytes)",
		"password-resets":            "password-resets",
		"Bearer abc":                 "token(10 bytes)",
		"eyJhbGciOiJSUzI1NiJ9.e30.x": "token(26 bytes)",
		"Endpoint=sb://h/;SharedAccessKeyName=a;SharedAccessKey=b": "token(56 bytes)",
	} {
		got := shown(t, &amqp.Attach{Name: text}, nil, false)
		_, got, _ = strings.Cut(got, " name=")
		if got, _, _ = strings.Cut(got, " snd="); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestEvents(t *testing.T) {
	var b bytes.Buffer
	log := trace.New(&b)
	first, second := log.Conn("192.0.2.1:4711"), log.Conn("pipe")
	first.Header(trace.In, amqp.HeaderSASL)
	second.Header(trace.Out, amqp.HeaderAMQP)
	second.Header(trace.In, "GET / HT")
	second.Heartbeat(trace.Out)
	second.Malformed(3, 17)
	first.Silent()
	second.End(nil)
	first.End(errors.New("broken\npipe"))
	got := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z `).ReplaceAllString(b.String(), "")
	want := `conn=1 connected peer=192.0.2.1:4711
conn=2 connected peer=pipe
conn=1 <- header SASL
conn=2 -> header AMQP
conn=2 <- header unknown
conn=2 -> heartbeat
conn=2 <- ch=3 malformed bytes=17
conn=1 falls silent
conn=2 ended
conn=1 ended error="broken\npipe"
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestNoWriter: without one everything is allowed and nothing happens.
func TestNoWriter(t *testing.T) {
	c := trace.New(nil).Conn("peer")
	c.Header(trace.In, amqp.HeaderSASL)
	c.Heartbeat(trace.In)
	c.Malformed(1, 1)
	c.Frame(trace.In, 0, &amqp.End{}, nil, false)
	c.Silent()
	c.End(nil)
}

// FuzzFrame: whatever a frame holds becomes one line of bounded length without control characters.
func FuzzFrame(f *testing.F) {
	for _, p := range []amqp.Performative{
		&amqp.Attach{Name: "n", Source: amqp.NewSource("q")}, &amqp.Transfer{DeliveryID: ptr[uint32](1), DeliveryTag: []byte{1}},
		&amqp.Disposition{State: amqp.Modified{}}, &amqp.Detach{Error: amqp.Errorf("a:b", "c")}, &amqp.Open{}, &amqp.Flow{}, &amqp.Begin{}, &amqp.Mechanisms{},
	} {
		frame, err := amqp.AppendFrame(nil, amqp.FrameAMQP, 0, p, message(f, func(m *amqp.Message) { m.SetMessageID("x") }))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[8:], true)
		f.Add(frame[8:], false)
	}
	line := regexp.MustCompile(`^[ -~]+\n$`)
	f.Fuzz(func(t *testing.T, body []byte, request bool) {
		p, payload, err := amqp.DecodePerformative(body)
		if err != nil {
			return
		}
		var b bytes.Buffer
		c := trace.New(&b).Conn("peer")
		b.Reset()
		c.Frame(trace.In, 0, p, payload, request)
		if !line.Match(b.Bytes()) || b.Len() > 8000 {
			t.Errorf("%q", b.String())
		}
	})
}

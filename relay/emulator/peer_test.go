package emulator_test

import (
	"bufio"
	"net"
	"testing"
	"time"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// peer speaks AMQP frame by frame, to say what no client library would say.
type peer struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func dial(t testing.TB, s *emulator.Server) *peer {
	t.Helper()
	c, err := s.Dial(within(t))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &peer{t: t, conn: c, in: bufio.NewReader(c)}
}

// opened is a peer with an open connection and a session on channel 0.
func opened(t testing.TB, s *emulator.Server) *peer {
	t.Helper()
	p := dial(t, s)
	p.open(&amqp.Open{ContainerID: "peer", MaxFrameSize: 65536, ChannelMax: 10})
	p.begin(0, 5000)
	return p
}

// authorised is opened, with a token for the whole namespace.
func authorised(t testing.TB, s *emulator.Server) *peer {
	t.Helper()
	p := opened(t, s)
	p.putToken(sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour)))
	return p
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

func (p *peer) frame(kind byte, channel uint16, f amqp.Performative, payload []byte) {
	p.t.Helper()
	b, err := amqp.AppendFrame(nil, kind, channel, f, payload)
	must(p.t, err)
	p.write(b)
}

func (p *peer) say(f amqp.Performative) { p.t.Helper(); p.frame(amqp.FrameAMQP, 0, f, nil) }

// next reads the next frame that says something.
func (p *peer) next() (amqp.Performative, []byte) {
	p.t.Helper()
	for {
		f, err := amqp.ReadFrame(p.in, 65536)
		if err != nil {
			p.t.Fatalf("read: %v", err)
		}
		if f.Body == nil {
			continue
		}
		got, payload, err := amqp.DecodePerformative(f.Body)
		must(p.t, err)
		return got, payload
	}
}

// expect reads until a performative of the given kind comes; flows in between are passed over.
func expect[T amqp.Performative](p *peer) T {
	p.t.Helper()
	got, _ := expectPayload[T](p)
	return got
}

func expectPayload[T amqp.Performative](p *peer) (T, []byte) {
	p.t.Helper()
	for {
		got, payload := p.next()
		if want, ok := got.(T); ok {
			return want, payload
		}
		if _, isFlow := got.(*amqp.Flow); !isFlow {
			var want T
			p.t.Fatalf("got %#v, want %T", got, want)
		}
	}
}

// layer exchanges protocol headers.
func (p *peer) layer(h amqp.Header) {
	p.t.Helper()
	p.write([]byte(h))
	if got, err := amqp.ReadHeader(p.in); err != nil || got != h {
		p.t.Fatalf("header %q, %v", got, err)
	}
}

func (p *peer) open(o *amqp.Open) {
	p.t.Helper()
	p.layer(amqp.HeaderSASL)
	expect[*amqp.Mechanisms](p)
	p.frame(amqp.FrameSASL, 0, &amqp.Init{Mechanism: "ANONYMOUS"}, nil)
	if got := expect[*amqp.Outcome](p); got.Code != 0 {
		p.t.Fatalf("SASL outcome %d", got.Code)
	}
	p.layer(amqp.HeaderAMQP)
	p.say(o)
	expect[*amqp.Open](p)
}

func (p *peer) begin(channel uint16, window uint32) {
	p.t.Helper()
	p.frame(amqp.FrameAMQP, channel, &amqp.Begin{IncomingWindow: window, OutgoingWindow: 5000, HandleMax: 255}, nil)
	expect[*amqp.Begin](p)
}

// receiver attaches a receiver in peek-lock mode.
func (p *peer) receiver(handle uint32, address string) *amqp.Attach {
	p.t.Helper()
	p.say(&amqp.Attach{
		Name: address, Handle: handle, Role: amqp.RoleReceiver, SndSettleMode: amqp.SenderMixed, RcvSettleMode: amqp.ReceiverSecond,
		Source: amqp.NewSource(address), Target: amqp.NewTarget("here"),
	})
	return expect[*amqp.Attach](p)
}

// sender attaches a sender.
func (p *peer) sender(handle uint32, address string) *amqp.Attach {
	p.t.Helper()
	zero := uint32(0)
	p.say(&amqp.Attach{
		Name: "to " + address, Handle: handle, SndSettleMode: amqp.SenderMixed,
		Source: amqp.NewSource("here"), Target: amqp.NewTarget(address), InitialDeliveryCount: &zero,
	})
	return expect[*amqp.Attach](p)
}

// credit gives credit to the link, counted from delivery-count.
func (p *peer) credit(handle, count, credit, window uint32, drain bool) {
	p.t.Helper()
	next := uint32(0)
	p.say(&amqp.Flow{
		NextIncomingID: &next, IncomingWindow: window, OutgoingWindow: 5000,
		Handle: &handle, DeliveryCount: &count, LinkCredit: &credit, Drain: drain,
	})
}

// transfer sends a whole message.
func (p *peer) transfer(handle, id uint32, message []byte) {
	p.t.Helper()
	format := uint32(0)
	p.frame(amqp.FrameAMQP, 0, &amqp.Transfer{Handle: handle, DeliveryID: &id, DeliveryTag: []byte{1}, MessageFormat: &format}, message)
}

// encoded is a message with one value as its body.
func encoded(t testing.TB, props amqp.Map, body any) []byte {
	t.Helper()
	m := &amqp.Message{ApplicationProperties: props}
	m.SetMessageID("request")
	must(t, m.SetValue(body))
	b, err := m.Append(nil)
	must(t, err)
	return b
}

// Handles the request links use.
const (
	requestHandle = 200
	replyHandle   = 201
)

// request sends a request over links of its own and returns the status of the reply and its body.
func (p *peer) request(address string, props amqp.Map, body any) (status int32, reply any) {
	p.t.Helper()
	p.receiver(replyHandle, address)
	p.sender(requestHandle, address)
	p.transfer(requestHandle, 77, encoded(p.t, props, body))
	expect[*amqp.Disposition](p)
	p.credit(replyHandle, 0, 1, 5000, false) // only now: a reply has to wait for credit
	_, payload := expectPayload[*amqp.Transfer](p)
	m, err := amqp.ParseMessage(payload)
	must(p.t, err)
	for _, h := range []uint32{requestHandle, replyHandle} {
		p.say(&amqp.Detach{Handle: h, Closed: true})
		expect[*amqp.Detach](p)
	}
	for _, name := range []string{"status-code", "statusCode"} {
		if code, ok := amqp.Lookup[int32](m.ApplicationProperties, name); ok {
			status = code
		}
	}
	reply, err = m.Value()
	must(p.t, err)
	return status, reply
}

func (p *peer) putToken(token string) {
	p.t.Helper()
	status, _ := p.request("$cbs", amqp.Map{
		{Key: "operation", Value: "put-token"}, {Key: "type", Value: "servicebus.windows.net:sastoken"},
		{Key: "name", Value: "amqp://emulator.test/"},
	}, token)
	if status != 202 {
		p.t.Fatalf("put-token: status %d", status)
	}
}

// wantRefusal reads the two frames of a refused attach; the first has been read already.
func (p *peer) wantRefusal(a *amqp.Attach, condition amqp.Symbol) {
	p.t.Helper()
	if a.Role == amqp.RoleReceiver && a.Target != nil || a.Role == amqp.RoleSender && a.Source != nil {
		p.t.Errorf("the refusing attach has a terminus: %+v", a)
	}
	d := expect[*amqp.Detach](p)
	if !d.Closed || d.Error == nil || d.Error.Condition != condition {
		p.t.Errorf("detach %+v, want %s", d, condition)
	}
	p.say(&amqp.Detach{Handle: a.Handle, Closed: true})
}

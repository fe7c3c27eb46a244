package emulator_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

func TestWrongProtocolHeaderIsAnsweredAndClosed(t *testing.T) {
	p := dial(t, newServer(t, standard()))
	p.write([]byte("GET / HT"))
	if got, err := amqp.ReadHeader(p.in); err != nil || got != amqp.HeaderSASL {
		t.Fatalf("header %q, %v", got, err)
	}
	if _, err := p.in.ReadByte(); err != io.EOF {
		t.Errorf("then %v, want the end", err)
	}
}

func TestUnknownSASLMechanism(t *testing.T) {
	p := dial(t, newServer(t, standard()))
	p.layer(amqp.HeaderSASL)
	expect[*amqp.Mechanisms](p)
	p.frame(amqp.FrameSASL, 0, &amqp.Init{Mechanism: "PLAIN"}, nil)
	if got := expect[*amqp.Outcome](p); got.Code == 0 {
		t.Error("accepted")
	}
}

func TestMalformedPeerGetsTheErrorAndIsClosed(t *testing.T) {
	tests := []struct {
		name string
		wire []byte
		want amqp.Symbol
	}{
		{"frame too large", []byte{0xff, 0, 0, 0, 2, 0, 0, 0}, "amqp:connection:framing-error"},
		{"frame too small", []byte{0, 0, 0, 1, 2, 0, 0, 0}, "amqp:connection:framing-error"},
		{"SASL frame", []byte{0, 0, 0, 9, 2, 1, 0, 0, 0x40}, "amqp:connection:framing-error"},
		{"no performative", []byte{0, 0, 0, 9, 2, 0, 0, 0, 0x40}, "amqp:decode-error"},
		{"half a value", []byte{0, 0, 0, 10, 2, 0, 0, 0, 0, 0x53}, "amqp:decode-error"},
		{"channel without session", []byte{0, 0, 0, 12, 2, 0, 0, 9, 0, 0x53, 0x17, 0x45}, "amqp:not-allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := opened(t, newServer(t, standard()))
			p.write(tt.wire)
			if got := expect[*amqp.Close](p); got.Error == nil || got.Error.Condition != tt.want {
				t.Errorf("close with %v, want %s", got.Error, tt.want)
			}
			if _, err := p.in.ReadByte(); err != io.EOF {
				t.Errorf("then %v, want the end", err)
			}
		})
	}
}

func TestProtocolFaultsEndTheSessionOnly(t *testing.T) {
	zero := uint32(0)
	tests := []struct {
		name string
		say  amqp.Performative
		want amqp.Symbol
	}{
		{"transfer without link", &amqp.Transfer{Handle: 5}, "amqp:session:unattached-handle"},
		{"flow without link", &amqp.Flow{Handle: &zero, LinkCredit: &zero}, "amqp:session:unattached-handle"},
		{"detach without link", &amqp.Detach{Handle: 5}, "amqp:session:unattached-handle"},
		{"handle too high", &amqp.Attach{Name: "n", Handle: 1 << 20}, "amqp:connection:framing-error"},
		{"open within", &amqp.Open{ContainerID: "again"}, "amqp:not-allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := opened(t, newServer(t, standard()))
			p.say(tt.say)
			if got := expect[*amqp.End](p); got.Error == nil || got.Error.Condition != tt.want {
				t.Errorf("end with %v, want %s", got.Error, tt.want)
			}
			p.say(&amqp.Detach{Handle: 1}) // still under way; ignored
			p.say(&amqp.End{})
			p.begin(0, 100) // the channel is free again
		})
	}
}

func TestAttachRefusals(t *testing.T) {
	s := newServer(t, standard())
	p := opened(t, s)
	p.wantRefusal(p.receiver(0, plainQueue), "amqp:unauthorized-access")
	p.wantRefusal(p.sender(1, plainQueue), "amqp:unauthorized-access")
	p.wantRefusal(p.sender(2, plainQueue+"/$management"), "amqp:unauthorized-access")
	p.putToken(sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour)))
	p.wantRefusal(p.receiver(0, "nowhere"), "amqp:not-found")
	p.wantRefusal(p.sender(0, plainQueue+"/$DeadLetterQueue"), "amqp:not-allowed")
	p.wantRefusal(p.receiver(0, sessionQueue), "amqp:not-allowed")
	p.say(&amqp.Attach{Name: "tx", Handle: 0, Target: &amqp.Terminus{Code: 0x30}})
	p.wantRefusal(expect[*amqp.Attach](p), "amqp:not-implemented")
	p.receiver(0, plainQueue)
	p.say(&amqp.Attach{Name: "again", Handle: 0, Role: true})
	if got := expect[*amqp.End](p); got.Error == nil || got.Error.Condition != "amqp:session:handle-in-use" {
		t.Errorf("end with %v", got.Error)
	}
}

// fill puts n messages in the plain queue.
func fill(t *testing.T, s *emulator.Server, n int) {
	t.Helper()
	c := connect(t, s)
	snd := newSender(t, c, plainQueue)
	for range n {
		must(t, snd.SendMessage(within(t), &azservicebus.Message{Body: make([]byte, 1000)}, nil))
	}
}

func TestCreditIsRespectedAndDrained(t *testing.T) {
	s := newServer(t, standard())
	fill(t, s, 3)
	p := authorised(t, s)
	p.receiver(0, plainQueue)
	p.credit(0, 0, 2, 5000, false)
	for range 2 {
		expect[*amqp.Transfer](p)
	}
	if got := counts(t, s, plainQueue); got.Active != 1 || got.Locked != 2 {
		t.Errorf("after two of credit: %+v", got)
	}
	p.credit(0, 2, 10, 5000, true)
	expect[*amqp.Transfer](p)
	f := expect[*amqp.Flow](p)
	if !f.Drain || *f.LinkCredit != 0 || *f.DeliveryCount != 12 {
		t.Errorf("drain ended with credit %d at %d", *f.LinkCredit, *f.DeliveryCount)
	}
	fill(t, s, 1)
	if got := counts(t, s, plainQueue); got.Active != 1 {
		t.Errorf("a message was handed out without credit: %+v", got)
	}
}

func TestDrainOfManyMessages(t *testing.T) {
	const n = 300 // more than a link takes from a queue at a time
	s := newServer(t, standard())
	fill(t, s, n)
	p := authorised(t, s)
	p.receiver(0, plainQueue)
	p.credit(0, 0, 1000, 5000, true)
	for range n {
		if got, _ := p.next(); !isTransfer(got) {
			t.Fatalf("got %+v before all messages had come", got)
		}
	}
	if f := expect[*amqp.Flow](p); *f.DeliveryCount != 1000 {
		t.Errorf("drain ended at %d", *f.DeliveryCount)
	}
}

func isTransfer(p amqp.Performative) bool { _, ok := p.(*amqp.Transfer); return ok }

func TestLoweredCreditGivesMessagesBack(t *testing.T) {
	s := newServer(t, standard())
	fill(t, s, 1)
	p := authorised(t, s)
	p.receiver(0, plainQueue)
	p.credit(0, 0, 5, 0, false) // credit, but the session's window is closed
	p.say(&amqp.Detach{Handle: 0, Closed: true})
	expect[*amqp.Detach](p)
	if got := counts(t, s, plainQueue); got.Active != 1 || got.Locked != 0 {
		t.Errorf("a message nobody has seen is not locked: %+v", got)
	}
}

func TestSmallFramesAndSessionWindow(t *testing.T) {
	s := newServer(t, standard())
	fill(t, s, 1)
	p := dial(t, s)
	p.open(&amqp.Open{ContainerID: "small", MaxFrameSize: 512, ChannelMax: 10})
	p.begin(0, 5000)
	p.putToken(sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour)))
	p.receiver(0, plainQueue)
	p.credit(0, 0, 1, 2, false) // the reply to put-token was transfer 0; one more fits
	first, part := expectPayload[*amqp.Transfer](p)
	if !first.More || len(first.DeliveryTag) != 16 || len(part) > 512 {
		t.Fatalf("first frame %+v with %d bytes", first, len(part))
	}
	p.begin(1, 10) // answered at once: the window is used up, so no second frame comes in between
	message := part
	for window := uint32(3); ; window++ {
		p.credit(0, 0, 1, window, false)
		tr, part := expectPayload[*amqp.Transfer](p)
		message = append(message, part...)
		if !tr.More {
			break
		}
	}
	m, err := amqp.ParseMessage(message)
	must(t, err)
	if parts, err := m.DataSections(); err != nil || len(parts) != 1 || len(parts[0]) != 1000 {
		t.Errorf("the pieces make %d sections, %v", len(parts), err)
	}
}

func TestDispositionOfARange(t *testing.T) {
	s := newServer(t, standard())
	fill(t, s, 5)
	p := authorised(t, s)
	p.receiver(0, plainQueue)
	p.credit(0, 0, 5, 5000, false)
	var ids []uint32
	for range 5 {
		ids = append(ids, *expect[*amqp.Transfer](p).DeliveryID)
	}
	last := ids[2]
	p.say(&amqp.Disposition{Role: amqp.RoleReceiver, First: ids[0], Last: &last, State: amqp.Accepted{}})
	for range 3 {
		if d := expect[*amqp.Disposition](p); !d.Settled || d.State != (amqp.Accepted{}) {
			t.Errorf("answer %+v", d)
		}
	}
	everything := ids[0] - 1 // a range around the whole number circle
	p.say(&amqp.Disposition{Role: amqp.RoleReceiver, First: ids[0], Last: &everything, Settled: true, State: amqp.Released{}})
	p.say(&amqp.Flow{IncomingWindow: 5000, OutgoingWindow: 5000, Echo: true})
	if got, _ := p.next(); isDisposition(got) {
		t.Errorf("a settled disposition was answered: %+v", got)
	}
	if got := counts(t, s, plainQueue); got.Completed != 3 || got.Locked != 0 || got.Active != 2 {
		t.Errorf("counts: %+v", got)
	}
}

func isDisposition(p amqp.Performative) bool { _, ok := p.(*amqp.Disposition); return ok }

func TestMessageAboveTheSizeIsRejectedWithItsSize(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.MaxMessageSize = 100 }))
	p := authorised(t, s)
	if a := p.sender(0, plainQueue); a.MaxMessageSize != 100 {
		t.Errorf("announced size %d", a.MaxMessageSize)
	}
	for part := range 3 {
		p.frame(amqp.FrameAMQP, 0, &amqp.Transfer{Handle: 0, DeliveryID: new(uint32), More: part < 2}, make([]byte, 60))
	}
	d := expect[*amqp.Disposition](p)
	rejected, _ := d.State.(amqp.Rejected)
	if rejected.Error == nil || rejected.Error.Condition != "amqp:link:message-size-exceeded" || !strings.Contains(rejected.Error.Description, "size:180 bytes") {
		t.Errorf("a message that is too long was answered %+v", d)
	}
	p.transfer(0, 1, encoded(t, nil, "small"))
	if d := expect[*amqp.Disposition](p); d.First != 1 || d.State != (amqp.Accepted{}) {
		t.Errorf("the link should go on: %+v", d)
	}
	if got := counts(t, s, plainQueue); got.Active != 1 {
		t.Errorf("counts: %+v", got)
	}
}

func TestWhatASenderSendsBeforeItKnowsOfItsDetachIsIgnored(t *testing.T) {
	cfg := standard()
	cfg.Fault = func(_ context.Context, e emulator.Event) emulator.Fault {
		if e.Op != emulator.OpSend {
			return emulator.Fault{}
		}
		return emulator.Fault{Condition: "amqp:link:detach-forced", Detach: true}
	}
	p := authorised(t, newServer(t, cfg))
	p.sender(0, plainQueue)
	p.transfer(0, 0, encoded(t, nil, "refused"))
	if d := expect[*amqp.Detach](p); d.Error == nil || d.Error.Condition != "amqp:link:detach-forced" {
		t.Errorf("detach %+v", d)
	}
	p.transfer(0, 1, encoded(t, nil, "sent before the peer knew"))
	p.say(&amqp.Detach{Handle: 0, Closed: true})
	p.sender(0, plainQueue) // the handle is free again
}

func TestUnfinishedMessagesAreBounded(t *testing.T) {
	s := newServer(t, plain(func(q *emulator.Queue) { q.MaxMessageSize = 1 << 20 }))
	p := authorised(t, s)
	for h := range uint32(10) {
		p.sender(h, plainQueue)
	}
	chunk := bytes.Repeat([]byte{1}, 60000)
	ended := make(chan *amqp.End, 1)
	go func() {
		for {
			f, err := amqp.ReadFrame(p.in, 65536)
			if err != nil {
				return
			}
			if got, _, _ := amqp.DecodePerformative(f.Body); got != nil {
				if end, ok := got.(*amqp.End); ok {
					ended <- end
					return
				}
			}
		}
	}()
	for h := range uint32(10) {
		for range 17 {
			p.frame(amqp.FrameAMQP, 0, &amqp.Transfer{Handle: h, DeliveryID: new(uint32), More: true}, chunk)
		}
	}
	if end := <-ended; end.Error == nil || end.Error.Condition != "amqp:resource-limit-exceeded" {
		t.Errorf("end %+v", end)
	}
}

func TestUnknownManagementOperation(t *testing.T) {
	p := authorised(t, newServer(t, standard()))
	node := plainQueue + "/$management"
	for name, tt := range map[string]struct {
		op     string
		body   any
		status int32
	}{
		"unknown":         {"com.microsoft:make-coffee", amqp.Map{}, 501},
		"no operation":    {"", amqp.Map{}, 501},
		"body is no map":  {"com.microsoft:renew-lock", "text", 400},
		"argument absent": {"com.microsoft:renew-lock", amqp.Map{}, 400},
		"wrong type":      {"com.microsoft:peek-message", amqp.Map{{Key: "from-sequence-number", Value: "one"}}, 400},
		"wrong element":   {"com.microsoft:renew-lock", amqp.Map{{Key: "lock-tokens", Value: amqp.List{"x"}}}, 400},
		"lost lock":       {"com.microsoft:renew-lock", amqp.Map{{Key: "lock-tokens", Value: amqp.List{amqp.UUID{1}}}}, 410},
		"no such message": {"com.microsoft:receive-by-sequence-number", amqp.Map{{Key: "sequence-numbers", Value: amqp.List{int64(9)}}, {Key: "receiver-settle-mode", Value: uint32(1)}}, 404},
		"nothing to see":  {"com.microsoft:peek-message", amqp.Map{{Key: "from-sequence-number", Value: int64(0)}, {Key: "message-count", Value: int32(5)}}, 204},
		"session unheld":  {"com.microsoft:renew-session-lock", amqp.Map{{Key: "session-id", Value: "s"}}, 410},
		"no sessions":     {"com.microsoft:get-message-sessions", amqp.Map{{Key: "last-updated-time", Value: amqp.Timestamp(0)}}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := p.request(node, amqp.Map{{Key: "operation", Value: tt.op}}, tt.body); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
}

func TestSilentPeerHearsHeartbeatsAndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, standard())
		p := dial(t, s)
		must(t, p.conn.SetDeadline(time.Time{}))
		p.open(&amqp.Open{ContainerID: "silent", MaxFrameSize: 65536, IdleTimeout: 30000})
		start, beats := time.Now(), 0
		for {
			f, err := amqp.ReadFrame(p.in, 65536)
			if err != nil {
				break
			}
			if f.Body == nil {
				beats++
			}
		}
		if lived := time.Since(start); lived < 2*time.Minute || lived > 10*time.Minute || beats < int(lived/(15*time.Second))-1 {
			t.Errorf("dropped after %v and %d heartbeats", lived, beats)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := emulator.New(standard())
		must(t, err)
		p := dial(t, s)
		p.open(&amqp.Open{ContainerID: "p", MaxFrameSize: 65536})
		half := dial(t, s) // stuck in the handshake
		must(t, s.Close())
		for _, q := range []*peer{p, half} {
			if _, err := io.Copy(io.Discard, q.in); err != nil {
				t.Errorf("the connection ended with %v", err)
			}
		}
		if _, err := s.Dial(t.Context()); err == nil {
			t.Error("a closed server was dialled")
		}
	}) // and the bubble fails if a goroutine is left
}

func TestTokenExpiresWhileWaitingForASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := opened(t, newServer(t, standard()))
		p.putToken(sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(10*time.Second)))
		filter := amqp.Described{Descriptor: uint64(0x137000000C)}
		p.say(&amqp.Attach{
			Name: "any", Handle: 0, Role: amqp.RoleReceiver, Target: amqp.NewTarget("here"),
			Source: amqp.NewSource(sessionQueue).WithFilter(amqp.Map{{Key: amqp.Symbol("com.microsoft:session-filter"), Value: filter}}),
		})
		p.wantRefusal(expect[*amqp.Attach](p), "amqp:unauthorized-access")
	})
}

func TestDeliveryTagIsTheTokenInGUIDOrder(t *testing.T) {
	s := newServer(t, standard())
	fill(t, s, 1)
	p := authorised(t, s)
	p.receiver(0, plainQueue)
	p.credit(0, 0, 1, 5000, false)
	tr, payload := expectPayload[*amqp.Transfer](p)
	m, err := amqp.ParseMessage(payload)
	must(t, err)
	u, _ := amqp.Lookup[amqp.UUID](m.DeliveryAnnotations, "x-opt-lock-token")
	want := []byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
	if !bytes.Equal(tr.DeliveryTag, want) {
		t.Errorf("tag %x, token %s", tr.DeliveryTag, u)
	}
	if v, there := m.Annotations.Get("x-opt-message-state"); there {
		t.Errorf("an active message says its state: %v", v)
	}
	dead := amqp.Rejected{Error: &amqp.Error{Condition: "com.microsoft:dead-letter"}}
	p.say(&amqp.Disposition{Role: amqp.RoleReceiver, First: *tr.DeliveryID, State: dead})
	if d := expect[*amqp.Disposition](p); d.State != (amqp.Rejected{}) {
		t.Errorf("dead-lettering is answered with %+v; an error in it means failure", d.State)
	}
}

func TestManagementAsksForTheRightOfEachOperation(t *testing.T) {
	p := opened(t, newServer(t, guarded()))
	p.putToken(sign("sb://emulator.test/", "everyone-sends", "key of everyone-sends", time.Now().Add(time.Hour)))
	for op, status := range map[string]int32{"com.microsoft:peek-message": 401, "com.microsoft:cancel-scheduled-message": 404} {
		args := amqp.Map{{Key: "sequence-numbers", Value: amqp.List{int64(1)}}}
		if got, _ := p.request(plainQueue+"/$management", amqp.Map{{Key: "operation", Value: op}}, args); got != status {
			t.Errorf("%s: status %d, want %d", op, got, status)
		}
	}
}

func TestMoreMessagesThanCreditAndWindowHold(t *testing.T) {
	const n = 5500
	s := newServer(t, standard())
	fill(t, s, n)
	if got := counts(t, s, plainQueue).Active; got != n {
		t.Errorf("%d of %d messages arrived", got, n)
	}
}

// Clients send the filter with a descriptor or without, and take an answer in another form for another session.
func TestSessionFilterIsAnsweredInTheFormItWasAskedFor(t *testing.T) {
	code := uint64(0x137000000C)
	for name, test := range map[string]struct{ asked, answered any }{
		"by id":                     {amqp.Described{Descriptor: code, Value: "a"}, amqp.Described{Descriptor: code, Value: "a"}},
		"by id, without descriptor": {"a", "a"},
		"next":                      {amqp.Described{Descriptor: code}, amqp.Described{Descriptor: code, Value: "a"}},
		"next, without descriptor":  {nil, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, standard())
			send(t, connect(t, s), sessionQueue, "hello", inSession("a"))
			p := authorised(t, s)
			p.say(&amqp.Attach{
				Name: "link", Role: amqp.RoleReceiver, SndSettleMode: amqp.SenderMixed, RcvSettleMode: amqp.ReceiverSecond, Target: amqp.NewTarget("here"),
				Source: amqp.NewSource(sessionQueue).WithFilter(amqp.Map{{Key: amqp.Symbol("com.microsoft:session-filter"), Value: test.asked}}),
			})
			got, _ := expect[*amqp.Attach](p).Source.Filter().Get("com.microsoft:session-filter")
			if diff := cmp.Diff(test.answered, got); diff != "" {
				t.Errorf("filter (-want +got):\n%s", diff)
			}
		})
	}
}

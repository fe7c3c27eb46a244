package trace

import (
	"strings"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

func (w *line) performative(p amqp.Performative) {
	switch p := p.(type) {
	case *amqp.Open:
		w.open(p)
	case *amqp.Begin:
		w.begin(p)
	case *amqp.Attach:
		w.attach(p)
	case *amqp.Flow:
		w.flow(p)
	case *amqp.Transfer:
		w.transfer(p)
	case *amqp.Disposition:
		w.disposition(p)
	case *amqp.Detach:
		w.word("detach")
		w.number("handle", uint64(p.Handle))
		w.flag("closed", p.Closed)
		w.failure(p.Error)
	case *amqp.End:
		w.word("end")
		w.failure(p.Error)
	case *amqp.Close:
		w.word("close")
		w.failure(p.Error)
	default:
		w.sasl(p)
	}
}

// sasl shows no response: other mechanisms than ours put passwords into it.
func (w *line) sasl(p amqp.Performative) {
	switch p := p.(type) {
	case *amqp.Mechanisms:
		names := make([]string, 0, len(p.Names))
		for _, n := range p.Names {
			names = append(names, string(n))
		}
		w.word("sasl-mechanisms")
		w.text("offered", strings.Join(names, "/"))
	case *amqp.Init:
		w.word("sasl-init")
		w.text("mechanism", string(p.Mechanism))
	case *amqp.Outcome:
		w.word("sasl-outcome")
		w.number("code", uint64(p.Code))
	}
}

func (w *line) open(p *amqp.Open) {
	w.word("open")
	w.text("container", p.ContainerID)
	if p.Hostname != "" {
		w.text("host", p.Hostname)
	}
	w.number("max-frame-size", uint64(p.MaxFrameSize))
	w.number("channel-max", uint64(p.ChannelMax))
	w.number("idle-ms", uint64(p.IdleTimeout))
	if agent, ok := amqp.Lookup[string](p.Properties, "user-agent"); ok {
		w.text("agent", agent)
	}
}

func (w *line) begin(p *amqp.Begin) {
	w.word("begin")
	w.number("next-out", uint64(p.NextOutgoingID))
	w.number("in-window", uint64(p.IncomingWindow))
	w.number("out-window", uint64(p.OutgoingWindow))
}

func (w *line) attach(p *amqp.Attach) {
	w.word("attach")
	w.number("handle", uint64(p.Handle))
	w.text("role", role(p.Role))
	w.terminus("source", p.Source)
	w.terminus("target", p.Target)
	w.text("name", p.Name)
	w.text("snd", senderMode(p.SndSettleMode))
	w.text("rcv", receiverMode(p.RcvSettleMode))
	w.session(p.Source)
	if p.MaxMessageSize > 0 {
		w.number("max-message-size", p.MaxMessageSize)
	}
}

// terminus shows an address; "none" refuses the link.
func (w *line) terminus(key string, t *amqp.Terminus) {
	switch {
	case t == nil:
		w.word(key + "=none")
	case t.IsCoordinator():
		w.word(key + "=coordinator")
	default:
		w.text(key, t.Address())
	}
}

// session shows the session a receiver asks for, or has got.
func (w *line) session(source *amqp.Terminus) {
	v, wanted := source.Filter().Get("com.microsoft:session-filter")
	if !wanted {
		return
	}
	if d, described := v.(amqp.Described); described {
		v = d.Value
	}
	if id, named := v.(string); named {
		w.text("session", id)
	} else {
		w.word("session=any")
	}
}

func role(receiver bool) string {
	if receiver {
		return "receiver"
	}
	return "sender"
}

func senderMode(m uint8) string {
	switch m {
	case amqp.SenderUnsettled:
		return "unsettled"
	case amqp.SenderSettled:
		return "settled"
	}
	return "mixed"
}

func receiverMode(m uint8) string {
	if m == amqp.ReceiverFirst {
		return "first"
	}
	return "second"
}

func (w *line) flow(p *amqp.Flow) {
	w.word("flow")
	w.optional("next-in", p.NextIncomingID)
	w.number("in-window", uint64(p.IncomingWindow))
	w.number("next-out", uint64(p.NextOutgoingID))
	w.number("out-window", uint64(p.OutgoingWindow))
	w.optional("handle", p.Handle)
	w.optional("count", p.DeliveryCount)
	w.optional("credit", p.LinkCredit)
	w.flag("drain", p.Drain)
	w.flag("echo", p.Echo)
}

func (w *line) disposition(p *amqp.Disposition) {
	w.word("disposition")
	w.text("role", role(p.Role))
	w.number("first", uint64(p.First))
	w.optional("last", p.Last)
	w.flag("settled", p.Settled)
	switch s := p.State.(type) {
	case amqp.Received:
		w.word("received")
	case amqp.Accepted:
		w.word("accepted")
	case amqp.Released:
		w.word("released")
	case amqp.Rejected:
		w.word("rejected")
		w.failure(s.Error)
	case amqp.Modified:
		w.word("modified")
		w.flag("failed", s.DeliveryFailed)
		w.flag("undeliverable-here", s.UndeliverableHere)
	}
}

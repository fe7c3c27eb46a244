package amqp

import "math"

// readSymbols reads a field that is multiple="true": one symbol, or an array of them.
func readSymbols(r *reader, i int) []Symbol {
	switch v := opt[any](r, i).(type) {
	case Symbol:
		return []Symbol{v}
	case Array:
		var out []Symbol
		for _, item := range v.Items {
			if s, ok := item.(Symbol); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func readOpen(r *reader) *Open {
	return &Open{
		ContainerID:  must[string](r, 0),
		Hostname:     opt[string](r, 1),
		MaxFrameSize: orElse[uint32](r, 2, math.MaxUint32),
		ChannelMax:   orElse[uint16](r, 3, math.MaxUint16),
		IdleTimeout:  opt[uint32](r, 4),
		Properties:   opt[Map](r, 9),
	}
}

func (p *Open) fields() List {
	return List{
		p.ContainerID, nonZero(p.Hostname), p.MaxFrameSize, p.ChannelMax, nonZero(p.IdleTimeout),
		nil, nil, nil, nil, p.Properties.orNull(),
	}
}

func readBegin(r *reader) *Begin {
	return &Begin{
		RemoteChannel:  ptr[uint16](r, 0),
		NextOutgoingID: must[uint32](r, 1),
		IncomingWindow: must[uint32](r, 2),
		OutgoingWindow: must[uint32](r, 3),
		HandleMax:      orElse[uint32](r, 4, math.MaxUint32),
	}
}

func (p *Begin) fields() List {
	return List{val(p.RemoteChannel), p.NextOutgoingID, p.IncomingWindow, p.OutgoingWindow, p.HandleMax}
}

func readAttach(r *reader) *Attach {
	return &Attach{
		Name:                 must[string](r, 0),
		Handle:               must[uint32](r, 1),
		Role:                 must[bool](r, 2),
		SndSettleMode:        orElse(r, 3, SenderMixed),
		RcvSettleMode:        orElse(r, 4, ReceiverFirst),
		Source:               readTerminus(r, 5),
		Target:               readTerminus(r, 6),
		InitialDeliveryCount: ptr[uint32](r, 9),
		MaxMessageSize:       opt[uint64](r, 10),
		Properties:           opt[Map](r, 13),
	}
}

func (p *Attach) fields() List {
	return List{
		p.Name, p.Handle, p.Role, p.SndSettleMode, p.RcvSettleMode, p.Source.orNull(), p.Target.orNull(),
		nil, nil, val(p.InitialDeliveryCount), nonZero(p.MaxMessageSize), nil, nil, p.Properties.orNull(),
	}
}

func readFlow(r *reader) *Flow {
	return &Flow{
		NextIncomingID: ptr[uint32](r, 0),
		IncomingWindow: must[uint32](r, 1),
		NextOutgoingID: must[uint32](r, 2),
		OutgoingWindow: must[uint32](r, 3),
		Handle:         ptr[uint32](r, 4),
		DeliveryCount:  ptr[uint32](r, 5),
		LinkCredit:     ptr[uint32](r, 6),
		Available:      ptr[uint32](r, 7),
		Drain:          opt[bool](r, 8),
		Echo:           opt[bool](r, 9),
	}
}

func (p *Flow) fields() List {
	return List{
		val(p.NextIncomingID), p.IncomingWindow, p.NextOutgoingID, p.OutgoingWindow, val(p.Handle),
		val(p.DeliveryCount), val(p.LinkCredit), val(p.Available), nonZero(p.Drain), nonZero(p.Echo),
	}
}

func readTransfer(r *reader) *Transfer {
	return &Transfer{
		Handle:        must[uint32](r, 0),
		DeliveryID:    ptr[uint32](r, 1),
		DeliveryTag:   opt[[]byte](r, 2),
		MessageFormat: ptr[uint32](r, 3),
		Settled:       opt[bool](r, 4),
		More:          opt[bool](r, 5),
		Aborted:       opt[bool](r, 9),
	}
}

func (p *Transfer) fields() List {
	var tag any
	if p.DeliveryTag != nil {
		tag = p.DeliveryTag
	}
	return List{
		p.Handle, val(p.DeliveryID), tag, val(p.MessageFormat), nonZero(p.Settled), nonZero(p.More),
		nil, nil, nil, nonZero(p.Aborted),
	}
}

func (p *Disposition) fields() List {
	return List{p.Role, p.First, val(p.Last), nonZero(p.Settled), stateValue(p.State)}
}

func (p *Detach) fields() List { return List{p.Handle, nonZero(p.Closed), p.Error.orNull()} }

func (p *End) fields() List { return List{p.Error.orNull()} }

func (p *Close) fields() List { return List{p.Error.orNull()} }

func (p *Mechanisms) fields() List {
	a := Array{Code: CodeSymbol}
	for _, n := range p.Names {
		a.Items = append(a.Items, n)
	}
	return List{a}
}

func (p *Init) fields() List { return List{p.Mechanism, p.Response} }

func (p *Outcome) fields() List { return List{p.Code} }

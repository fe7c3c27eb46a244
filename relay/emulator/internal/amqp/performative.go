package amqp

// Performative is what a frame says (part 2, 2.7; SASL in part 5, 5.3.3).
type Performative interface{ composite }

// Descriptors of performatives.
const (
	descOpen        = 0x10
	descBegin       = 0x11
	descAttach      = 0x12
	descFlow        = 0x13
	descTransfer    = 0x14
	descDisposition = 0x15
	descDetach      = 0x16
	descEnd         = 0x17
	descClose       = 0x18
	descMechanisms  = 0x40
	descInit        = 0x41
	descOutcome     = 0x44
)

// Open opens a connection. IdleTimeout is in milliseconds; 0 means none.
type Open struct {
	ContainerID  string
	Hostname     string
	MaxFrameSize uint32
	ChannelMax   uint16
	IdleTimeout  uint32
	Properties   Map
}

// Begin opens a session. RemoteChannel is set in the answer.
type Begin struct {
	RemoteChannel  *uint16
	NextOutgoingID uint32
	IncomingWindow uint32
	OutgoingWindow uint32
	HandleMax      uint32
}

// Settlement modes of a link (part 2, 2.8.2 and 2.8.3).
const (
	SenderUnsettled uint8 = 0
	SenderSettled   uint8 = 1
	SenderMixed     uint8 = 2
	ReceiverFirst   uint8 = 0
	ReceiverSecond  uint8 = 1
)

// Roles of a link endpoint. A disposition carries the role of the one who wrote it.
const (
	RoleSender   = false
	RoleReceiver = true
)

// Attach opens a link. A nil Source or Target refuses the link when it stands in the answer.
type Attach struct {
	Name                 string
	Handle               uint32
	Role                 bool
	SndSettleMode        uint8
	RcvSettleMode        uint8
	Source               *Terminus
	Target               *Terminus
	InitialDeliveryCount *uint32
	MaxMessageSize       uint64
	Properties           Map
}

// Flow updates windows and, when Handle is set, the credit of one link.
type Flow struct {
	NextIncomingID *uint32
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         *uint32
	DeliveryCount  *uint32
	LinkCredit     *uint32
	Available      *uint32
	Drain          bool
	Echo           bool
}

// Transfer carries (a part of) a message. DeliveryID, DeliveryTag and MessageFormat are set in the first frame of
// a delivery.
type Transfer struct {
	Handle        uint32
	DeliveryID    *uint32
	DeliveryTag   []byte
	MessageFormat *uint32
	Settled       bool
	More          bool
	Aborted       bool
}

// Disposition tells the state of the deliveries First to Last, both included.
type Disposition struct {
	Role    bool
	First   uint32
	Last    *uint32
	Settled bool
	State   any
}

// Detach closes a link (Closed) or only suspends it.
type Detach struct {
	Handle uint32
	Closed bool
	Error  *Error
}

// End closes a session with all its links.
type End struct{ Error *Error }

// Close closes the connection.
type Close struct{ Error *Error }

// Mechanisms lists the SASL mechanisms the server offers.
type Mechanisms struct{ Names []Symbol }

// Init chooses a SASL mechanism.
type Init struct {
	Mechanism Symbol
	Response  []byte
}

// Outcome ends the SASL layer; 0 is success, 1 a refusal.
type Outcome struct{ Code uint8 }

func (*Open) descriptor() uint64        { return descOpen }
func (*Begin) descriptor() uint64       { return descBegin }
func (*Attach) descriptor() uint64      { return descAttach }
func (*Flow) descriptor() uint64        { return descFlow }
func (*Transfer) descriptor() uint64    { return descTransfer }
func (*Disposition) descriptor() uint64 { return descDisposition }
func (*Detach) descriptor() uint64      { return descDetach }
func (*End) descriptor() uint64         { return descEnd }
func (*Close) descriptor() uint64       { return descClose }
func (*Mechanisms) descriptor() uint64  { return descMechanisms }
func (*Init) descriptor() uint64        { return descInit }
func (*Outcome) descriptor() uint64     { return descOutcome }

func appendPerformative(b []byte, p Performative) ([]byte, error) { return Append(b, describe(p)) }

// DecodePerformative reads the body of a frame: the performative, and the payload behind it.
func DecodePerformative(body []byte) (p Performative, payload []byte, err error) {
	v, payload, err := Decode(body)
	if err != nil {
		return nil, nil, err
	}
	code, list, err := open(v)
	if err != nil {
		return nil, nil, err
	}
	p, err = readPerformative(code, list)
	return p, payload, err
}

// open splits a composite into its numeric descriptor and its fields.
func open(v any) (uint64, List, error) {
	d, ok := v.(Described)
	if !ok {
		return 0, nil, malformed("%T where a composite was expected", v)
	}
	code, ok := d.Descriptor.(uint64)
	if !ok {
		return 0, nil, malformed("descriptor is %T", d.Descriptor)
	}
	list, ok := d.Value.(List)
	if !ok {
		return 0, nil, malformed("composite 0x%x is %T", code, d.Value)
	}
	return code, list, nil
}

func readPerformative(code uint64, list List) (Performative, error) {
	r := &reader{name: "performative", list: list}
	var p Performative
	switch code {
	case descOpen:
		p = readOpen(r)
	case descBegin:
		p = readBegin(r)
	case descAttach:
		p = readAttach(r)
	case descFlow:
		p = readFlow(r)
	case descTransfer:
		p = readTransfer(r)
	case descDisposition:
		p = &Disposition{must[bool](r, 0), must[uint32](r, 1), ptr[uint32](r, 2), opt[bool](r, 3), readState(r, 4)}
	case descDetach:
		p = &Detach{must[uint32](r, 0), opt[bool](r, 1), readError(r, 2)}
	case descEnd:
		p = &End{readError(r, 0)}
	case descClose:
		p = &Close{readError(r, 0)}
	case descMechanisms:
		p = &Mechanisms{readSymbols(r, 0)}
	case descInit:
		p = &Init{must[Symbol](r, 0), opt[[]byte](r, 1)}
	case descOutcome:
		p = &Outcome{must[uint8](r, 0)}
	default:
		return nil, malformed("unknown performative 0x%x", code)
	}
	return p, r.err
}

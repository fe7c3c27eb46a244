package emulator

import "context"

// Op is a kind of operation a fault can be injected into.
type Op string

// Operations.
const (
	OpAttach  Op = "attach"  // a link to a queue is being opened
	OpSend    Op = "send"    // a message or batch has arrived
	OpDeliver Op = "deliver" // a message is about to be sent to a receiver; it is locked already
	OpSettle  Op = "settle"  // a receiver settles a delivery over its link
	OpRequest Op = "request" // a management request has arrived; Event.Name is the operation
)

// Event is an operation about to be carried out.
type Event struct {
	Op Op
	// Queue is the entity path as configured, with "/$DeadLetterQueue" for the dead-letter queue.
	Queue string
	// Receiver tells, for OpAttach, a receiver's link from a sender's.
	Receiver bool
	// Name is, for OpRequest, the management operation.
	Name string
}

// Drop says whether the connection is to be cut.
type Drop int

// Cutting the connection.
const (
	DropNone   Drop = iota
	DropBefore      // before the operation has any effect
	DropAfter       // when it has taken effect, but instead of the answer
)

// Fault is what is to happen. The zero value lets the operation take its course.
type Fault struct {
	// Condition is an AMQP error condition, for instance "com.microsoft:server-busy": the operation has no effect and is
	// answered with it. An attach is refused, a send or a settlement rejected, a request answered with Status. A delivery
	// knows no answer: its link is detached, and the message is as if it had not been handed out.
	Condition string
	// Description goes with Condition.
	Description string
	// Status is, for a request, the status code that goes with Condition. Default 500.
	Status int
	// Detach answers a send or a settlement by detaching the link with Condition.
	Detach bool
	// Drop cuts the connection. For a delivery, before means that the message is given back, and after that it stays
	// locked, or is gone when the receiver removes on receiving.
	Drop Drop
	// Silent goes with Drop: instead of being cut the connection stays open but dead. Nothing is written to it any more,
	// not even heartbeats, and what comes is read and ignored, like behind a firewall that lost its state.
	Silent bool
	// Again is, for a delivery or a settlement, how many more times the message is put into the queue: at once,
	// while its lock still stands, or after it was settled. The copies have the same sequence number; they are not
	// copied again.
	Again int
}

// FaultFunc is asked before an operation. It may be called from many connections at once. It may also wait, to make
// the service slow: that delays the one connection only. It must return when ctx ends.
type FaultFunc func(ctx context.Context, e Event) Fault

package servicebus

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// AgentConfig says where an agent finds its queues.
type AgentConfig struct {
	// ConnectionString of the namespace or of the requests queue; it needs the right Listen, and Send unless
	// ResultsConnectionString is given.
	ConnectionString secret.Value
	// ResultsConnectionString for the results queues; empty: ConnectionString serves them too.
	ResultsConnectionString secret.Value
	// RequestsQueue is the name of the queue that requests come by.
	RequestsQueue string
	// NewConn, when set, opens connections in place of TCP and TLS.
	NewConn NewConn
	// Logger is told about messages that cannot be read.
	Logger logrus.FieldLogger
}

// Agent is an agent's end of the queues: the relay's Source and Sender. Make one with [DialAgent] and Close it.
type Agent struct {
	queue    string
	log      logrus.FieldLogger
	requests *connection
	results  *connection
	outlets  *outlets

	opening      chan struct{} // held by whoever makes an inlet
	emptyReturns atomic.Uint32 // in a row
	poisoned     atomic.Uint64

	mu        sync.Mutex
	inlet     *inlet // nil: not connected
	connected bool
	since     time.Time
}

// DialAgent checks the configuration and returns an Agent that connects when it is first used. Faults carry the reason
// agent.misconfigured, name the field, and are reported together.
func DialAgent(_ context.Context, config AgentConfig) (*Agent, error) {
	requests, results, err := config.endpoints()
	if err != nil {
		return nil, err
	}
	agent := &Agent{
		queue: config.RequestsQueue, log: config.Logger,
		// Two connections: what a portal's results queue does to one must not disturb the receiving.
		requests: newConnection(requests, config.NewConn),
		results:  newConnection(results, config.NewConn),
		opening:  make(chan struct{}, 1),
		since:    time.Now(),
	}
	agent.outlets = newOutlets(agent.results)
	return agent, nil
}

func (c AgentConfig) endpoints() (requests, results endpoint, err error) {
	var faults []error
	if c.RequestsQueue == "" {
		faults = append(faults, misconfigured("Name the queue that portals send their requests to.", "RequestsQueue is empty"))
	}
	if c.Logger == nil {
		faults = append(faults, misconfigured("Pass a logger.", "Logger is missing"))
	}
	requests, fault := parseConnectionString("ConnectionString", c.ConnectionString, c.RequestsQueue)
	faults = append(faults, fault)
	results = requests
	if !c.ResultsConnectionString.Empty() {
		results, fault = parseConnectionString("ResultsConnectionString", c.ResultsConnectionString, "")
		faults = append(faults, fault)
	}
	return requests, results, errors.Join(faults...)
}

// Connected implements the relay's Source: whether the requests queue answered when it was last asked, and since when that is so.
func (a *Agent) Connected() (connected bool, since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.connected, a.since
}

func (a *Agent) setConnected(connected bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.connected != connected {
		a.connected, a.since = connected, time.Now()
	}
}

// Poisoned returns how often a message was met that the SDK cannot read. The same message counts once for each delivery.
func (a *Agent) Poisoned() uint64 { return a.poisoned.Load() }

// Address returns host and port of the broker, for people.
func (a *Agent) Address() string { return a.requests.endpoint.address() }

// SendResult implements the relay's Sender: the result goes to its portal's session and lives until it expires.
func (a *Agent) SendResult(ctx context.Context, result writeback.PendingResult) error {
	life := max(time.Until(result.Expires), time.Second)
	return a.outlets.send(ctx, result.Queue, &azservicebus.Message{
		Body:          result.Token,
		ContentType:   new(contentType),
		MessageID:     &result.MessageID,
		CorrelationID: &result.Request.ID,
		SessionID:     &result.Session,
		TimeToLive:    &life,
	})
}

// Close ends both connections. What is still locked is given to others when its lock runs out.
func (a *Agent) Close(ctx context.Context) error {
	a.setConnected(false)
	return errors.Join(a.requests.close(ctx), a.results.close(ctx))
}

package app

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/agent/passwords"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/relay"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// closeTimeout bounds saying goodbye to the broker.
const closeTimeout = 5 * time.Second

// socketMode lets the agent's group use the status socket.
const socketMode = 0o660

// Options are what a configuration does not say.
type Options struct {
	Version string    // of the program
	Log     io.Writer // where log lines go, each in one Write
}

// Agent is a running agent, or one about to run. Make one with [New], then [Agent.Run], then [Agent.Close].
type Agent struct {
	cfg     *config.Config
	version string
	since   time.Time
	log     logrus.FieldLogger
	secrets secrets
	keyring *keyring
	now     func() time.Time // by which the intake is closed and opened after a part of this host was set back
	space   func(folder string) (diskSpace, error)

	board     *health.Board
	counters  *status.Counters
	recorder  *recorder
	ledger    *ledger.Ledger
	audit     *audit.Log
	directory *ldapwriter.Directory
	lists     *passwords.Lists
	queue     *servicebus.Agent
	pipeline  *agent.Pipeline
	loop      *relay.Loop
	listener  net.Listener

	heldUntil atomic.Pointer[time.Time] // the intake is closed until then, since a part of this host was set back; nil: it is not

	closers []func() error // in the order of opening
}

// New opens everything the agent of a configuration from [Load] owns on this host: keys, ledger, audit, status socket. It contacts neither the queue nor
// any controller, so that an agent starts, and says what is wrong, also while they are away.
func New(ctx context.Context, cfg *config.Config, options Options) (*Agent, error) {
	a := &Agent{cfg: cfg, version: options.Version, since: time.Now().UTC(), now: time.Now, space: spaceOf}
	var err error
	a.log, err = logging.New(a.secrets.writer(options.Log), logging.Options{Level: cfg.Log.Level, Format: cfg.Log.Format})
	if err != nil {
		return nil, err
	}
	a.onClose(a.secrets.forget)
	a.board = health.New(time.Now, a.logCondition)
	a.counters = status.NewCounters(time.Now)
	a.recorder = newRecorder(a.counters)
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// open opens the parts in the order in which they depend on one another.
func (a *Agent) open(ctx context.Context) error {
	var err error
	if a.keyring, err = newKeyring(a.cfg, time.Now); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{a.openStatus, a.openMemory, a.openQueue, a.openDirectory, a.openLists} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return a.assemble()
}

// openStatus comes first: a socket that is taken means that another agent runs, and nothing else must be touched.
func (a *Agent) openStatus(context.Context) error {
	listener, err := status.Listen(a.cfg.Status.Socket, socketMode, a.cfg.Status.Group)
	if err != nil {
		return err
	}
	a.listener = listener
	a.onClose(func() error { return ignoreClosed(listener.Close()) })
	return nil
}

func (a *Agent) openMemory(ctx context.Context) error {
	remembered, err := ledger.Open(ctx, ledger.Options{
		Path: filepath.Join(a.cfg.StateDir, "ledger.db"), Logger: a.log, MaxRecords: recordsFor(a.cfg.Issuers),
	})
	if err != nil {
		return err
	}
	a.ledger = remembered
	a.onClose(remembered.Close)
	lines, err := audit.Open(ctx, audit.Options{Dir: a.cfg.Audit.Dir, Logger: a.log, MaxFileBytes: int64(a.cfg.Audit.MaxFileSize)})
	if err != nil {
		return err
	}
	a.audit = lines
	a.onClose(lines.Close)
	return nil
}

func (a *Agent) openQueue(ctx context.Context) error {
	queue, err := dialQueue(ctx, a.cfg.Relay, &a.secrets, a.log)
	if err != nil {
		return err
	}
	a.queue = queue
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return queue.Close(ctx)
	})
	return nil
}

func (a *Agent) openDirectory(context.Context) error {
	directory, err := newDirectory(a.cfg, &a.secrets, a.log)
	if err != nil {
		return err
	}
	a.directory = directory
	a.onClose(directory.Close)
	return nil
}

func (a *Agent) openLists(context.Context) error {
	var faults objections
	a.lists = openLists(a.cfg.Policy, faults.add)
	return faults.join()
}

// assemble joins the opened parts.
func (a *Agent) assemble() error {
	rules, err := newGuard(a.cfg)
	if err != nil {
		return err
	}
	a.pipeline, err = agent.New(agent.Config{
		Group: a.cfg.Group, Agent: a.cfg.Agent, Queues: resultsQueues(a.cfg),
		Envelope: a.keyring, Signer: a.keyring, Directory: directoryPort{a.directory}, Guard: rules, Passwords: a.lists, Ledger: a.ledger, Audit: a.audit,
		Health: a.board, Recorder: a.recorder, Now: time.Now, Log: a.log,
		UserBudget: ledger.Budget{Tries: a.cfg.Policy.UserBudget.Failures, Per: a.cfg.Policy.UserBudget.Per},
		Limits: agent.Limits{
			Waiting: max(1, a.cfg.Relay.Concurrency/2), // with the copies, three quarters of the slots
			Skew:    a.cfg.Policy.ClockSkew, WriteTimeout: a.cfg.Policy.WriteTimeout, ControllerSearch: a.cfg.Policy.ControllerSearch,
		},
	})
	if err != nil {
		return err
	}
	a.loop, err = relay.New(relay.Config{
		Source: a.queue, Sender: a.queue, Handler: a.pipeline, Outbox: a.ledger, Gate: a.board.Gate(), Logger: a.log,
		Concurrency: a.cfg.Relay.Concurrency, Drain: a.cfg.Relay.Drain,
	})
	return err
}

func resultsQueues(cfg *config.Config) map[string]string {
	queues := map[string]string{}
	for _, issuer := range cfg.Issuers {
		queues[issuer.ID] = issuer.ResultsQueue
	}
	return queues
}

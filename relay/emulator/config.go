package emulator

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator/internal/access"
)

// Rights are what an access key allows.
type Rights = access.Rights

// The rights of Service Bus. Manage includes the other two.
const (
	Send   = access.Send
	Listen = access.Listen
	Manage = access.Manage
)

// AccessKey is a shared access policy: a name, the key its tokens are signed with (its text, not decoded), and rights.
type AccessKey struct {
	Name   string
	Key    secret.Value
	Rights Rights
}

// Defaults of Config and Queue; those of Service Bus where it has one.
const (
	DefaultLockDuration     = 5 * time.Minute // the most the service allows, and what this project's queues use
	DefaultMaxDeliveryCount = 10
	DefaultMaxMessageSize   = 256 << 10 // standard tier
	largestMessageSize      = 1 << 20   // premium tier's usual limit
)

// Queue describes a queue.
type Queue struct {
	// Name is the entity path, for instance "writeback-requests". Compared without regard to case.
	Name string
	// RequiresSession admits only messages with a session id, and only receivers that hold a session.
	RequiresSession bool
	// LockDuration of messages and sessions. Default DefaultLockDuration.
	LockDuration time.Duration
	// DefaultTTL is the longest a message lives. Zero: as long as its sender wants.
	DefaultTTL time.Duration
	// DuplicateWindow is how long a MessageID is remembered; a message with the same one is dropped silently. Zero:
	// no duplicate detection.
	DuplicateWindow time.Duration
	// MaxDeliveryCount failed attempts move a message to the dead-letter queue. Default DefaultMaxDeliveryCount.
	MaxDeliveryCount int
	// DeadLetterOnExpiry moves messages whose time to live is over to the dead-letter queue instead of dropping them.
	DeadLetterOnExpiry bool
	// MaxMessageSize in bytes, as encoded. Default DefaultMaxMessageSize, at most 1 MiB.
	MaxMessageSize int
	// Keys that are good for this queue only.
	Keys []AccessKey
}

// Config describes a namespace.
type Config struct {
	// Queues that exist from the start.
	Queues []Queue
	// Keys that are good for every queue.
	Keys []AccessKey
	// Issuers of bearer tokens. None: bearer tokens are refused.
	Issuers []TokenIssuer
	// Roles are what the holders of bearer tokens may do.
	Roles []RoleAssignment
	// Dir is a directory in which queues and messages are kept over a restart; empty: nothing is kept. It is made if it is
	// not there. Queues found in it exist from the start, besides those of Queues; a queue in both has the settings of
	// Queues and the messages found.
	Dir string
	// Sync makes every change wait until it is on the disk. Without it, what was accepted survives the end of the process,
	// however it ends, but not that of the machine.
	Sync bool
	// Logger gets connection events at debug level. Nil: nothing is logged.
	Logger logrus.FieldLogger
	// Trace gets a line for each frame in either direction, without bodies and tokens. Each line is one Write; a slow
	// writer slows the service. Nil: no trace.
	Trace io.Writer
	// Fault, when set, is asked before each operation and can make it fail; Server.SetFaults replaces it. Package faults
	// makes one from rules.
	Fault FaultFunc
	// Now is the service's clock, by which locks, messages and tokens expire. Default time.Now. A clock may be off but
	// must run at the normal pace: timers are set by differences between its readings.
	Now func() time.Time
}

// withDefaults checks c and fills in defaults; all faults are reported together.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = silent()
	}
	queues := make([]Queue, 0, len(c.Queues))
	seen := map[string]bool{}
	for i, q := range c.Queues {
		q = q.withDefaults()
		if err := q.validate(); err != nil {
			faults = append(faults, fmt.Errorf("queue %d: %w", i, err))
		}
		if name := strings.ToLower(q.Name); seen[name] {
			faults = append(faults, fmt.Errorf("queue %d: %q exists already", i, q.Name))
		} else {
			seen[name] = true
		}
		queues = append(queues, q)
	}
	c.Queues = queues
	faults = append(faults, validateKeys(c.Keys), c.validateBearers())
	return c, errors.Join(faults...)
}

func (q Queue) withDefaults() Queue {
	if q.LockDuration == 0 {
		q.LockDuration = DefaultLockDuration
	}
	if q.MaxDeliveryCount == 0 {
		q.MaxDeliveryCount = DefaultMaxDeliveryCount
	}
	if q.MaxMessageSize == 0 {
		q.MaxMessageSize = DefaultMaxMessageSize
	}
	return q
}

func (q Queue) validate() error {
	switch {
	case q.Name == "" || strings.Trim(q.Name, "/") != q.Name || strings.Contains(q.Name, "$"):
		return fmt.Errorf("%q is no queue name", q.Name)
	case q.LockDuration < 0 || q.DefaultTTL < 0 || q.DuplicateWindow < 0 || q.MaxDeliveryCount < 0:
		return errors.New("durations and counts must not be negative")
	case q.MaxMessageSize < 0 || q.MaxMessageSize > largestMessageSize:
		return fmt.Errorf("MaxMessageSize %d is not within 1 and %d", q.MaxMessageSize, largestMessageSize)
	}
	return validateKeys(q.Keys)
}

func validateKeys(keys []AccessKey) error {
	for _, k := range keys {
		if k.Name == "" || k.Key.Empty() || k.Rights == 0 {
			return fmt.Errorf("access key %q needs a name, a key and rights", k.Name)
		}
	}
	return nil
}

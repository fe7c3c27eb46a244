package ledger

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/bbolt"
)

// Defaults of [Options].
const (
	DefaultOutboxLife      = time.Hour
	DefaultKeepAfterExpiry = 24 * time.Hour
	DefaultMaxRecords      = 1_000_000
	DefaultMaxPending      = 10_000
	DefaultLockWait        = 2 * time.Second
)

// Options say where the ledger lies and how much it holds.
type Options struct {
	Path   string           // the file; its directory is created with mode 0700 when missing
	Now    func() time.Time // nil: time.Now
	Logger logrus.FieldLogger

	OutboxLife      time.Duration // a result is not worth sending for longer; 0: [DefaultOutboxLife]
	KeepAfterExpiry time.Duration // a record is kept this long after its request expired; 0: [DefaultKeepAfterExpiry]
	MaxRecords      int           // 0: [DefaultMaxRecords]
	MaxPending      int           // bound of answers from memory in the outbox; 0: [DefaultMaxPending]
	LockWait        time.Duration // how long to wait for another process to let go of the file; 0: [DefaultLockWait]
}

// Ledger is the durable memory. It is safe for concurrent use. Use [Open].
type Ledger struct {
	db      *bbolt.DB
	now     func() time.Time
	logger  logrus.FieldLogger
	options Options
	created bool

	steps   chan *step
	closing chan struct{}
	stopped chan struct{} // closed when the last commit is over
	once    sync.Once
	changed chan struct{}

	// Owned by commitLoop:
	records int
	pending int
	broken  error
	failed  bool // the last commit did not reach the disk

	clock clock
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Logger = silent
	}
	setDefault(&o.OutboxLife, DefaultOutboxLife)
	setDefault(&o.KeepAfterExpiry, DefaultKeepAfterExpiry)
	setDefault(&o.MaxRecords, DefaultMaxRecords)
	setDefault(&o.MaxPending, DefaultMaxPending)
	setDefault(&o.LockWait, DefaultLockWait)
	return o
}

func setDefault[T ~int | ~int64](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Open opens the ledger, creates it when the file does not exist, and looks through all of it. The error is a
// *writeback.Error that says what to do, and wraps [ErrCorrupt], [ErrNewerFormat], [ErrLocked] or the disk's error. A file
// that exists but is empty or damaged is never replaced.
func Open(ctx context.Context, options Options) (*Ledger, error) {
	options = options.withDefaults()
	db, created, err := openFile(ctx, options)
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		db: db, now: options.Now, logger: options.Logger, options: options, created: created,
		steps: make(chan *step), closing: make(chan struct{}), stopped: make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
	if err := l.load(); err != nil {
		_ = db.Close()
		return nil, err
	}
	go l.commitLoop()
	return l, nil
}

// Close waits for the commit under way and closes the file. Later calls of other methods return [ErrClosed].
func (l *Ledger) Close() error {
	l.once.Do(func() { close(l.closing) })
	<-l.stopped
	return l.db.Close()
}

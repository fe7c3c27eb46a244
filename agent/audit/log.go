package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// DefaultMaxFileBytes is the size from which on a new file is begun.
const DefaultMaxFileBytes = 64 << 20

// maxGroup bounds how many callers share one fsync.
const maxGroup = 128

// The errors callers tell apart. Every other error comes from the disk.
var (
	// ErrDamaged reports that the log on the disk does not end as the agent left it. It is never repaired or continued.
	ErrDamaged = errors.New("the audit log is damaged")
	// ErrLocked reports that another process writes the log.
	ErrLocked = errors.New("the audit log is in use by another process")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("the audit log is closed")
)

// Options say where the log lies.
type Options struct {
	Dir          string           // created with mode 0700 when missing
	Now          func() time.Time // nil: time.Now
	Logger       logrus.FieldLogger
	MaxFileBytes int64 // 0: [DefaultMaxFileBytes]
}

// Log writes the audit. It is safe for concurrent use. Use [Open].
type Log struct {
	dir    string
	now    func() time.Time
	logger logrus.FieldLogger
	limit  int64

	appends chan *pending
	closing chan struct{}
	stopped chan struct{}
	once    sync.Once

	mu   sync.Mutex // guards last for Last; written by the writer only
	last Position

	// Owned by the writer:
	lock  *os.File
	head  *os.File
	file  *os.File // nil: the next line begins a new file
	size  int64    // of file, up to and with the last acknowledged line
	stray bool     // bytes behind size may be in the file, of a write that failed
}

// pending is one caller's event, waiting for the fsync that carries it.
type pending struct {
	event Event
	done  chan error
}

// Append writes an event and returns when it is on the disk; concurrent callers share one fsync. After an error nobody may
// act on the event: the line does not count, and is cut off before the next one is written. A context is heeded until the
// event was handed to the writer.
func (l *Log) Append(ctx context.Context, event Event) error {
	if event.Kind == "" {
		return errors.New("audit: an event without a kind")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	mine := &pending{event: event, done: make(chan error, 1)}
	select {
	case l.appends <- mine:
		return <-mine.done
	case <-ctx.Done():
		return fmt.Errorf("audit: %w", ctx.Err())
	case <-l.closing:
		return ErrClosed
	}
}

// Last returns the position of the last line on the disk. Kept elsewhere, it proves later that nothing up to it was changed.
func (l *Log) Last() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Close waits for the write under way and closes the files. Later calls of Append return [ErrClosed].
func (l *Log) Close() error {
	l.once.Do(func() { close(l.closing) })
	<-l.stopped
	return l.closeFiles()
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, file := range []**os.File{&l.file, &l.head, &l.lock} {
		if *file != nil {
			errs = append(errs, (*file).Close())
			*file = nil
		}
	}
	return errors.Join(errs...)
}

// writeLoop carries events to the disk until the log is closed. While one group waits for the disk the next callers queue
// up at the channel and then share the following fsync.
func (l *Log) writeLoop() {
	defer close(l.stopped)
	for {
		select {
		case first := <-l.appends:
			group := l.gather(first)
			err := l.write(group)
			for _, p := range group {
				p.done <- err
			}
		case <-l.closing:
			return
		}
	}
}

func (l *Log) gather(first *pending) []*pending {
	group := []*pending{first}
	for len(group) < maxGroup {
		select {
		case next := <-l.appends:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

// write renders a group, writes it with one call and one fsync, and moves the chain on only then.
func (l *Log) write(group []*pending) error {
	if err := l.ready(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	var text []byte
	position := l.Last()
	for _, p := range group {
		if p.event.Time.IsZero() {
			p.event.Time = l.now()
		}
		rendered, next, err := render(p.event, position)
		if err != nil {
			return err
		}
		text, position = append(text, rendered...), next
	}
	if err := l.put(text); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.advance(position)
	return nil
}

// ready cuts off what a failed write left behind, and begins a new file when the present one is full.
func (l *Log) ready() error {
	if l.stray {
		if err := l.cutStray(); err != nil {
			return err
		}
	}
	if l.file != nil && l.size < l.limit {
		return nil
	}
	file, err := l.begin()
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close() // every line in it was synced
	}
	l.file, l.size = file, 0
	return nil
}

// begin creates the file of the next line. An empty one may be there already: left by a crash, or by an error after it was
// created.
func (l *Log) begin() (*os.File, error) {
	name := fileName(l.Last().Sequence + 1)
	file, err := createFile(l.dir, name)
	if !errors.Is(err, os.ErrExist) {
		return file, err
	}
	file, err = os.OpenFile(filepath.Join(l.dir, name), os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != 0 {
		err = fmt.Errorf("%w: %s exists and is not empty", ErrDamaged, name)
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// put writes and syncs. Until both succeeded the bytes count for nothing.
func (l *Log) put(text []byte) error {
	l.stray = true
	if _, err := l.file.WriteAt(text, l.size); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.size += int64(len(text))
	l.stray = false
	return nil
}

func (l *Log) cutStray() error {
	if err := l.file.Truncate(l.size); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	l.stray = false
	return nil
}

// advance moves the chain on. The head is a help for noticing lines missing at the end; without it the line still counts.
func (l *Log) advance(position Position) {
	l.mu.Lock()
	l.last = position
	l.mu.Unlock()
	if _, err := l.head.WriteAt(renderHead(position), 0); err != nil {
		l.logger.WithError(err).Warn("audit: the head file could not be written; lines missing at the end would not be noticed")
	}
}

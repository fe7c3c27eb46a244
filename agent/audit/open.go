package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Remedies.
const (
	remedyAccess = "Check that the directory exists, belongs to the agent's user, is writable by nobody else, and that the disk has room."
	remedyLocked = "Another agent writes to this directory: stop it, or give this one its own."
	remedyDamage = "Keep the directory for the analysis: run writeback-agent audit verify on it, then move it aside; the agent starts a new chain."
)

func openError(dir, remedy string, cause error) error {
	return &writeback.Error{
		Reason: writeback.AgentStorageUnavailable, Hint: remedy, Cause: fmt.Errorf("audit %s: %w", dir, cause),
	}
}

// classify gives a failure to open its remedy.
func classify(dir string, err error) error {
	switch {
	case errors.Is(err, ErrLocked):
		return openError(dir, remedyLocked, err)
	case errors.Is(err, ErrDamaged):
		return openError(dir, remedyDamage, err)
	}
	return openError(dir, remedyAccess, err)
}

// Open opens the log, creates it when the directory holds none, verifies its last file and goes on with its chain. An
// unfinished last line is set aside and recorded. The error is a *writeback.Error that says what to do, and wraps
// [ErrDamaged], [ErrLocked] or the disk's error.
func Open(ctx context.Context, options Options) (*Log, error) {
	l := newLog(options)
	recovered, err := l.open(ctx)
	if err != nil {
		_ = l.closeFiles()
		return nil, classify(l.dir, err)
	}
	go l.writeLoop()
	if recovered != nil {
		if err := l.Append(ctx, *recovered); err != nil {
			_ = l.Close()
			return nil, classify(l.dir, err)
		}
	}
	return l, nil
}

func newLog(options Options) *Log {
	l := &Log{
		dir: options.Dir, now: options.Now, logger: options.Logger, limit: options.MaxFileBytes,
		appends: make(chan *pending), closing: make(chan struct{}), stopped: make(chan struct{}),
		last: Position{Hash: firstPrevious()},
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		l.logger = silent
	}
	if l.limit <= 0 {
		l.limit = DefaultMaxFileBytes
	}
	return l
}

// open takes hold of the directory and finds the end of the chain. The event, when there is one, tells of an unfinished
// line that was set aside.
func (l *Log) open(ctx context.Context) (*Event, error) {
	if err := l.hold(); err != nil {
		return nil, err
	}
	names, err := list(l.dir)
	if err != nil {
		return nil, err
	}
	head, err := l.openHead(len(names) == 0)
	if err != nil {
		return nil, err
	}
	last, torn, err := l.tail(ctx, names, head)
	if err != nil {
		return nil, err
	}
	if last.Sequence < head.Sequence {
		return nil, fmt.Errorf("%w: it ends with line %d, and line %d was written", ErrDamaged, last.Sequence, head.Sequence)
	}
	l.last = last
	if torn == 0 {
		return nil, nil
	}
	return l.setAside(torn)
}

// hold makes the directory and keeps other writers out of it.
func (l *Log) hold() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(l.dir)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the directory may be written by others (mode %04o)", info.Mode().Perm())
	}
	if l.lock, err = os.OpenFile(filepath.Join(l.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := lock(l.lock); err != nil {
		return fmt.Errorf("%w (%w)", ErrLocked, err)
	}
	return nil
}

// openHead opens the head file, and creates it for a log that has no line yet. A log that has lines and no head lost it.
func (l *Log) openHead(empty bool) (Position, error) {
	path := filepath.Join(l.dir, headName)
	head, err := readHead(l.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && empty:
		head = Position{Hash: firstPrevious()}
		err = l.createHead(path, head)
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: the head file is missing", ErrDamaged)
	case err != nil && empty:
		// A crash while the very first head was written: no line was, so none can be missing.
		head = Position{Hash: firstPrevious()}
		err = l.createHead(path, head)
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		l.head, err = os.OpenFile(path, os.O_RDWR, 0o600)
	}
	return head, err
}

// createHead writes the first head durably; from then on it is overwritten in place.
func (l *Log) createHead(path string, head Position) (err error) {
	if l.head, err = os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if _, err := l.head.Write(renderHead(head)); err != nil {
		return err
	}
	if err := l.head.Sync(); err != nil {
		return err
	}
	return syncDir(l.dir)
}

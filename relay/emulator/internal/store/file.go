package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// File is one queue's file, open for appending. Its methods may be called from any goroutine.
type File struct {
	path string
	sync bool

	mu     sync.Mutex
	f      *os.File
	failed error // the first failure: what comes after it could not be found again
}

// ErrClosed is returned by operations on a closed File.
var ErrClosed = errors.New("the file is closed")

// create makes a file with a definition in it; there must be none yet.
func create(path string, definition []byte, sync bool) (*File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	file := &File{path: path, sync: sync, f: f}
	if err := file.write(appendFrame([]byte(magic), kindDefinition, definition)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return file, nil
}

// open reads a file and hands each record to replay, after its definition has been handed to define. Bodies belong to
// the one they are handed to. An incomplete end is cut off. A file in which not even the definition was completed is
// removed; it is nil then.
func open(path string, sync bool, load Loader) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	definition, end, err := scan(f, load.Record)
	switch {
	case err == nil && definition == nil:
		return nil, errors.Join(f.Close(), os.Remove(path))
	case err == nil:
		err = f.Truncate(end)
	}
	if err == nil {
		err = load.Define(definition)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Base(path), err), f.Close())
	}
	return &File{path: path, sync: sync, f: f}, nil
}

// Loader takes what a file holds: first each record in order, then the definition that stands.
type Loader interface {
	Record(body []byte) error
	Define(body []byte) error
}

// scan reads a file from its start and returns the last definition and where the last complete frame ends.
func scan(f *os.File, record func([]byte) error) (definition []byte, end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	in := bufio.NewReader(f)
	start := make([]byte, min(int64(len(magic)), info.Size()))
	if _, err := io.ReadFull(in, start); err != nil {
		return nil, 0, err
	}
	if string(start) != magic[:len(start)] {
		return nil, 0, fmt.Errorf("%w: it does not start with %q", ErrDamaged, magic)
	}
	r := &reader{in: in, at: int64(len(start)), size: info.Size()}
	for {
		kind, body, err := r.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return definition, r.at, nil
		case err != nil:
			return nil, 0, err
		case kind == kindDefinition:
			definition = body
		case kind != kindRecord || definition == nil:
			return nil, 0, fmt.Errorf("%w: a frame of kind %q out of place", ErrDamaged, kind)
		default:
			if err := record(body); err != nil {
				return nil, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
	}
}

// Append writes a record. When it returns nil the record is with the operating system or, with Sync, on the disk. After
// a failure the file takes nothing more: what would follow a half-written frame could not be found again.
func (f *File) Append(record []byte) error {
	return f.write(appendFrame(nil, kindRecord, record))
}

// Define replaces the definition.
func (f *File) Define(definition []byte) error {
	return f.write(appendFrame(nil, kindDefinition, definition))
}

func (f *File) write(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return f.failed
	}
	if f.f == nil {
		return ErrClosed
	}
	_, err := f.f.Write(b)
	if err == nil && f.sync {
		err = f.f.Sync()
	}
	f.failed = err
	return err
}

// Compact replaces all that is in the file by a definition and the records that fill writes. The old file stays if
// anything fails, and if the process ends in the middle of it.
func (f *File) Compact(definition []byte, fill func(write func(record []byte) error) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return ErrClosed
	}
	next := f.path + suffixNew
	fresh, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(fresh)
	_, err = w.Write(appendFrame([]byte(magic), kindDefinition, definition))
	if err == nil {
		err = fill(func(record []byte) error {
			_, err := w.Write(appendFrame(nil, kindRecord, record))
			return err
		})
	}
	if err := errors.Join(err, w.Flush(), fresh.Sync()); err != nil { // always synced: it is about to replace the rest
		return errors.Join(err, fresh.Close(), os.Remove(next))
	}
	if err := os.Rename(next, f.path); err != nil {
		return errors.Join(err, fresh.Close(), os.Remove(next))
	}
	old := f.f
	f.f = fresh
	return old.Close()
}

// Close closes the file; what was written stays.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil
	}
	file := f.f
	f.f = nil
	return file.Close()
}

// Remove closes and deletes the file.
func (f *File) Remove() error { return errors.Join(f.Close(), os.Remove(f.path)) }

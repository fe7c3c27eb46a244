package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Names of files.
const (
	suffixFile = ".queue"
	suffixNew  = ".new" // behind the other: a compaction that did not come to its end
	lockName   = "lock"
)

// ErrInUse is returned by Open when another process uses the directory.
var ErrInUse = errors.New("the directory is in use by another process")

// Directory holds the files of a namespace. Only one process may use it at a time; where the operating system has
// advisory file locks that is enforced.
type Directory struct {
	path string
	sync bool
	lock *os.File
}

// Open opens a directory, which is made if it is not there. With sync each record is on the disk when Append returns,
// at the price of a millisecond or more each.
func Open(path string, sync bool) (*Directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := acquire(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), lock.Close())
	}
	return &Directory{path: path, sync: sync, lock: lock}, nil
}

// Close lets others use the directory. Its files must be closed before.
func (d *Directory) Close() error { return d.lock.Close() }

// Create makes the file of a queue.
func (d *Directory) Create(name string, definition []byte) (*File, error) {
	return create(filepath.Join(d.path, fileName(name)), definition, d.sync)
}

// Load opens every file there is. found makes a Loader for each; opened is given the file when it has been loaded.
func (d *Directory) Load(found func() Loader, opened func(Loader, *File) error) error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(d.path, e.Name())
		if strings.HasSuffix(path, suffixFile+suffixNew) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		if !strings.HasSuffix(path, suffixFile) {
			continue
		}
		l := found()
		f, err := open(path, d.sync, l)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := opened(l, f); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", e.Name(), err), f.Close())
		}
	}
	return nil
}

// fileName is the name of a queue as a file name that a person can read, unless it is too long for one. Queues are the
// same without regard to case, so their files are as well.
func fileName(queue string) string {
	const most = 200
	name := url.QueryEscape(strings.ToLower(queue))
	if len(name) > most {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return name + suffixFile
}

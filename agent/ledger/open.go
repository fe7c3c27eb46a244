package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// formatVersion is the version of the whole file. A change that an older agent would misread raises it.
const formatVersion = 1

// The buckets.
const (
	bucketMeta      = "meta"      // format, highest_time
	bucketRecords   = "records"   // request key -> record
	bucketExpiry    = "expiry"    // expiry in nanoseconds, request key -> nothing: for pruning in order
	bucketOpen      = "open"      // request key of an unresolved record -> GUID of its account
	bucketUnaudited = "unaudited" // request key of a done record whose outcome the audit does not hold yet -> nothing
	bucketOutbox    = "outbox"    // sequence -> result
	bucketWaiting   = "waiting"   // request key, sequence -> nothing: the outbox by request
	bucketWrites    = "writes"    // account GUID -> last write
	bucketTries     = "tries"     // account GUID -> failed changes and unlocks that still count, see Budget
)

// Keys of bucketMeta.
const (
	metaFormat      = "format"
	metaHighestTime = "highest_time"
	metaProof       = "proof" // there for a moment, see Prune
)

func buckets() []string {
	return []string{
		bucketMeta, bucketRecords, bucketExpiry, bucketOpen, bucketUnaudited, bucketOutbox, bucketWaiting, bucketWrites,
		bucketTries,
	}
}

// Remedies.
const (
	remedyAccess = "Check that the directory exists, belongs to the agent's user, is writable by nobody else, and that the disk has room."
	remedyLocked = "Another agent runs with this state directory: stop it, or give this one its own."
	remedyNewer  = "Run the version of the agent that wrote the ledger, or a newer one."
	remedyDamage = "Stop the agent, keep a copy of the file for the analysis, and restore it from a backup taken after the last request; " +
		"without one, wait until no request issued before the damage is valid any more, then remove the file: the agent starts with an empty memory."
)

// openFile opens or creates the bbolt file and brings its buckets into being.
func openFile(ctx context.Context, options Options) (*bbolt.DB, bool, error) {
	path := options.Path
	created, err := prepare(path)
	if err != nil {
		return nil, false, err
	}
	wait := options.LockWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(deadline), time.Millisecond))
	}
	if err := ctx.Err(); err != nil {
		return nil, false, openError(err, path, "", nil)
	}
	if !created {
		if err := examine(path, wait); err != nil {
			return nil, false, classifyOpen(path, err)
		}
	}
	db, err := openBolt(path, &bbolt.Options{Timeout: wait})
	if err != nil {
		return nil, false, classifyOpen(path, err)
	}
	if err := contained(func() error { return initialise(db) }); err != nil {
		_ = db.Close()
		return nil, false, classifyOpen(path, err)
	}
	return db, created, nil
}

// prepare makes the directory and looks at the file that is there. An empty file is not taken for a new one: bbolt would
// fill it, and a truncated ledger would be forgotten without a word.
func prepare(path string) (created bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, openError(err, path, remedyAccess, nil)
	}
	if err := checkDirectory(dir); err != nil {
		return false, openError(err, path, remedyAccess, nil)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, openError(err, path, remedyAccess, nil)
	case !info.Mode().IsRegular():
		return false, openError(errors.New("not a regular file"), path, remedyAccess, nil)
	case info.Size() == 0:
		return false, openError(ErrCorrupt, path, remedyDamage, errors.New("the file is empty"))
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		if err := os.Chmod(path, 0o600); err != nil {
			return false, openError(err, path, remedyAccess, nil)
		}
	}
	return false, nil
}

// checkDirectory refuses a directory in which others could replace the file. On Windows the directory's access list is
// the installer's business and has no mode bits.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("directory %s may be written by others (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}

// examine looks through a file that exists, opened for reading: opened for writing, bbolt panics about damage while it
// holds the lock, and cannot be made to let go of it.
func examine(path string, wait time.Duration) error {
	db, err := openBolt(path, &bbolt.Options{Timeout: wait, ReadOnly: true})
	if err != nil {
		return err
	}
	err = contained(func() error { return db.View(func(tx *bbolt.Tx) error { return verify(path, tx) }) })
	return errors.Join(err, db.Close())
}

func openBolt(path string, options *bbolt.Options) (db *bbolt.DB, err error) {
	options.FreelistType = bbolt.FreelistMapType
	options.NoStatistics = true
	err = contained(func() (err error) {
		db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	return db, err
}

// initialise creates the buckets in a file that has none: a new one, or one whose creation a crash cut off.
func initialise(db *bbolt.DB) error {
	return db.Update(func(tx *bbolt.Tx) error {
		if !fresh(tx) {
			return checkFormat(tx)
		}
		for _, name := range buckets() {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(metaFormat), []byte(strconv.Itoa(formatVersion)))
	})
}

// fresh reports whether there is not a single bucket.
func fresh(tx *bbolt.Tx) bool {
	name, _ := tx.Cursor().First()
	return name == nil
}

// checkSize notices a file that was cut off, before a page behind its end is touched.
func checkSize(path string, tx *bbolt.Tx) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w: the file has %d bytes and should have at least %d", ErrCorrupt, info.Size(), tx.Size())
	}
	return nil
}

func checkFormat(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(bucketMeta))
	if meta == nil {
		return fmt.Errorf("%w: this is not a ledger", ErrCorrupt)
	}
	text := string(meta.Get([]byte(metaFormat)))
	version, err := strconv.Atoi(text)
	switch {
	case err != nil || version < 1:
		return fmt.Errorf("%w: format version %q", ErrCorrupt, text)
	case version > formatVersion:
		return fmt.Errorf("%w: format %d, this version knows up to %d", ErrNewerFormat, version, formatVersion)
	}
	for _, name := range buckets() {
		if tx.Bucket([]byte(name)) == nil {
			return fmt.Errorf("%w: bucket %q is missing", ErrCorrupt, name)
		}
	}
	return nil
}

// classifyOpen gives a failure to open its name and its remedy.
func classifyOpen(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return openError(ErrLocked, path, remedyLocked, nil)
	case errors.Is(err, ErrNewerFormat):
		return openError(err, path, remedyNewer, nil)
	case errors.Is(err, ErrCorrupt):
		return openError(err, path, remedyDamage, nil)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return openError(ErrCorrupt, path, remedyDamage, err)
	}
	return openError(err, path, remedyAccess, nil)
}

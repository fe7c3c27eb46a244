package passwords

import (
	"crypto/sha1" //nolint:gosec // the lists are of SHA-1 hashes; nothing relies on its strength
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// prefixLength is how many characters of a hash name a range (haveibeenpwned.com/API/v3#SearchingPwnedPasswordsByRange).
const prefixLength = 5

// Breached are the passwords known from data breaches: a file sorted by hash, or a folder with a file for each range. The file is opened for each question:
// one that is open cannot be replaced on Windows.
type Breached struct {
	path   string
	folder bool
}

// OpenBreached looks at parts of the list at path.
func OpenBreached(path string) (*Breached, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainly(err)
	}
	b := &Breached{path: path, folder: info.IsDir()}
	if b.folder {
		return b, b.checkFolder()
	}
	return b, b.search(func(s sorted) error { return s.check() })
}

// search opens the file.
func (b *Breached) search(use func(sorted) error) error {
	info, err := os.Stat(b.path) // opening a named pipe would block
	if err != nil {
		return plainly(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("neither a file nor a folder")
	}
	file, err := os.Open(b.path)
	if err != nil {
		return plainly(err)
	}
	if info, err = file.Stat(); err == nil {
		err = use(sorted{file: file, size: info.Size()})
	}
	return errors.Join(err, file.Close())
}

// plainly leaves out the path: whoever reads the error knows the field of the configuration.
func plainly(err error) error {
	var typed *fs.PathError
	if errors.As(err, &typed) {
		return typed.Err
	}
	return err
}

// checkFolder looks at the first range, the last, and some in between: a folder of something else, and one whose download has not ended, lack some.
func (b *Breached) checkFolder() error {
	for i := range 16 {
		if _, err := b.inRange(fmt.Appendf(nil, "%05X%035d", i*0xFFFFF/15, 0)); err != nil {
			return err
		}
	}
	return nil
}

// Contains reports whether the list has the password. It keeps nothing of it.
func (b *Breached) Contains(plain []byte) (found bool, err error) {
	var hash [hashLength]byte
	defer clear(hash[:])
	sum := sha1.Sum(plain) //nolint:gosec // see the import
	defer clear(sum[:])
	hexUpper(hash[:], sum[:])
	if b.folder {
		return b.inRange(hash[:])
	}
	err = b.search(func(s sorted) (err error) {
		found, err = s.contains(hash[:])
		return err
	})
	return found, err
}

// inRange searches the file of the hash's range, which other downloaders name without an ending.
func (b *Breached) inRange(hash []byte) (bool, error) {
	name := filepath.Join(b.path, string(hash[:prefixLength]))
	content, err := readRange(name + ".txt")
	if errors.Is(err, fs.ErrNotExist) {
		content, err = readRange(name)
	}
	if err != nil {
		return false, fmt.Errorf("the file of a range: %w", plainly(err))
	}
	return among(content, hash[prefixLength:], false)
}

func readRange(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRange || info.Size() == 0 {
		return nil, errFormat
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxRange))
	return content, errors.Join(err, file.Close())
}

package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
)

// lineReader reads a file line by line, in bounded memory whatever it holds.
type lineReader struct {
	reader *bufio.Reader
	offset int64 // where the next line starts
	number int   // of the line read last
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{reader: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line without its newline. errUnfinished comes with a last line that has no newline, errTooLong
// with the beginning of one that is too long; io.EOF ends.
func (r *lineReader) next() ([]byte, error) {
	var text []byte
	tooLong := false
	for {
		part, err := r.reader.ReadSlice('\n')
		r.offset += int64(len(part))
		if room := maxLine - len(text); len(part) > room {
			tooLong, part = true, part[:room]
		}
		text = append(text, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			r.number++
			return text, errUnfinished
		case err != nil:
			return nil, err
		case tooLong:
			r.number++
			return text, errTooLong
		}
		r.number++
		return bytes.TrimSuffix(text, []byte("\n")), nil
	}
}

// Read yields the entries of a log in order, for whoever shows or compares them. A line that cannot be read is yielded as
// an error and the next one follows; [Verify] is what judges the chain. Reading a log that is being written is safe.
func Read(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names, err := list(dir)
		if err != nil {
			yield(Entry{}, fmt.Errorf("audit: %w", err))
			return
		}
		for _, name := range names {
			if !readFile(ctx, dir, name, yield) {
				return
			}
		}
	}
}

func readFile(ctx context.Context, dir, name string, yield func(Entry, error) bool) bool {
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return yield(Entry{}, fmt.Errorf("audit: %w", err))
	}
	defer file.Close()
	reader := newLineReader(file)
	for {
		if err := ctx.Err(); err != nil {
			yield(Entry{}, err)
			return false
		}
		text, err := reader.next()
		if errors.Is(err, io.EOF) {
			return true
		}
		var l line
		if err == nil {
			l, err = parse(text)
		}
		entry := Entry{Position: l.position(), Event: l.event(), File: name, Line: reader.number}
		if err != nil {
			err = fmt.Errorf("audit: %s line %d: %w", name, reader.number, err)
		}
		if !yield(entry, err) {
			return false
		}
	}
}

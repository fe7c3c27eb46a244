package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// tail verifies the last file with lines and leaves it open for more. torn is how many bytes of an unfinished write follow
// the last whole line; l.size is where they begin.
func (l *Log) tail(ctx context.Context, names []string, head Position) (last Position, torn int64, err error) {
	last = Position{Hash: firstPrevious()}
	for i := len(names) - 1; i >= 0; i-- {
		file, err := os.OpenFile(filepath.Join(l.dir, names[i]), os.O_RDWR, 0o600)
		if err != nil {
			return last, 0, err
		}
		end, err := verifyTail(ctx, file, names[i], head)
		if err != nil {
			_ = file.Close()
			return last, 0, fmt.Errorf("%s: %w", names[i], err)
		}
		if end.lines > 0 || end.torn > 0 && names[i] == fileName(1) {
			l.file, l.size = file, end.size
			return end.last, end.torn, nil
		}
		if end.torn > 0 && i == 0 {
			_ = file.Close()
			return last, 0, fmt.Errorf("%w: %s has no whole line, and the file before it is missing", ErrDamaged, names[i])
		}
		if end.torn > 0 {
			// The first write into a new file tore: the chain's end is in the file before it.
			return l.tornStart(ctx, file, names[i-1], head, end.torn)
		}
		_ = file.Close() // empty: a crash right after a rotation; it is used again for the next line
	}
	return last, 0, nil
}

// tornStart keeps file, which holds nothing but an unfinished line, and takes the position from the file before it.
func (l *Log) tornStart(ctx context.Context, file *os.File, before string, head Position, torn int64) (Position, int64, error) {
	l.file, l.size = file, 0
	previous, err := os.Open(filepath.Join(l.dir, before))
	if err != nil {
		return Position{}, 0, err
	}
	defer previous.Close()
	end, err := verifyTail(ctx, previous, before, head)
	if err == nil && (end.lines == 0 || end.torn > 0) {
		err = fmt.Errorf("%w: it has no whole last line and is not the last file", ErrDamaged)
	}
	if err != nil {
		return Position{}, 0, fmt.Errorf("%s: %w", before, err)
	}
	return end.last, torn, nil
}

// ending is what verifyTail found at the end of a file.
type ending struct {
	last  Position
	lines int
	size  int64 // of all whole lines
	torn  int64 // bytes behind them
}

// verifyTail checks the chain within one file. What follows the last good line counts as torn only if it can be the rest of
// a write that a crash cut off: unfinished, or with pages the file system never filled. Everything else that is not a good
// line is damage. (That nothing is set aside which was acknowledged follows from the head, which the caller compares.)
func verifyTail(ctx context.Context, file *os.File, name string, head Position) (ending, error) {
	first, _ := firstOf(name)
	end := ending{last: Position{Sequence: first - 1, Hash: firstPrevious()}} // the hash counts for the first file only
	reader := newLineReader(file)
	for {
		if err := ctx.Err(); err != nil {
			return end, err
		}
		text, err := reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return end, nil
		case err == nil:
			err = end.accept(text, head)
		case !errors.Is(err, errUnfinished) && !errors.Is(err, errTooLong):
			return end, err
		}
		if err == nil {
			end.size = reader.offset
			continue
		}
		if !errors.Is(err, errUnfinished) && bytes.IndexByte(text, 0) < 0 {
			return end, fmt.Errorf("%w: line %d: %w", ErrDamaged, reader.number, err)
		}
		info, err := file.Stat()
		if err != nil {
			return end, err
		}
		end.torn = info.Size() - end.size
		return end, nil
	}
}

// accept checks one whole line and takes it as the end of the chain so far.
func (e *ending) accept(text []byte, head Position) error {
	l, err := parse(text)
	switch {
	case err != nil:
		return err
	case l.Sequence != e.last.Sequence+1:
		return fmt.Errorf("it is line %d of the log instead of %d", l.Sequence, e.last.Sequence+1)
	case (e.lines > 0 || l.Sequence == 1) && l.Previous != e.last.Hash:
		return errors.New("it does not continue the line before it")
	case l.Sequence == head.Sequence && l.Hash != head.Hash:
		return errors.New("it is not the line that was written last")
	}
	e.last = l.position()
	e.lines++
	return nil
}

// setAside moves the bytes behind the last whole line to a file of their own, and cuts the log there. The copy is on the
// disk before the cut.
func (l *Log) setAside(torn int64) (*Event, error) {
	name := fmt.Sprintf("torn-%012d.txt", l.last.Sequence+1)
	if err := copyOut(l.file, l.size, torn, filepath.Join(l.dir, name)); err != nil {
		return nil, err
	}
	if err := syncDir(l.dir); err != nil {
		return nil, err
	}
	if err := l.cutStray(); err != nil {
		return nil, err
	}
	return &Event{Kind: KindRecovered, Note: fmt.Sprintf("%d bytes of an unfinished line were moved to %s", torn, name)}, nil
}

// copyOut appends to path what follows offset in file. Appending keeps what an earlier crash at the same line left there.
func copyOut(file *os.File, offset, size int64, path string) error {
	copied, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, io.NewSectionReader(file, offset, size))
	return errors.Join(err, copied.Sync(), copied.Close())
}

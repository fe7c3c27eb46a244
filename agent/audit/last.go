package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// LastEntries returns the last lines of a log, the newest last: at most as many, and only from the two newest files. It is for whoever compares
// the end of the log with something else; lines that cannot be read are left out, since [Open] and [Verify] judge them.
func LastEntries(ctx context.Context, dir string, most int) ([]Entry, error) {
	names, err := list(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, name := range names[max(0, len(names)-2):] {
		readFile(ctx, dir, filepath.Base(name), func(entry Entry, err error) bool {
			if err == nil {
				entries = append(entries, entry)
			}
			if len(entries) > 2*most {
				entries = append(entries[:0], entries[len(entries)-most:]...)
			}
			return true
		})
	}
	return entries[max(0, len(entries)-most):], ctx.Err()
}

package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Names in the directory.
const (
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
	headName   = "head"
	lockName   = "lock"
)

func fileName(first uint64) string { return fmt.Sprintf("%s%012d%s", filePrefix, first, fileSuffix) }

// firstOf returns the sequence of the first line that the name of a file promises.
func firstOf(name string) (uint64, bool) {
	middle, ok := strings.CutPrefix(name, filePrefix)
	if !ok {
		return 0, false
	}
	middle, ok = strings.CutSuffix(middle, fileSuffix)
	if !ok || len(middle) < 12 {
		return 0, false
	}
	first, err := strconv.ParseUint(middle, 10, 64)
	return first, err == nil && first > 0 && fileName(first) == name
}

// list returns the names of the log's files in the order of their lines.
func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	firsts := []uint64{}
	for _, entry := range entries {
		if first, ok := firstOf(entry.Name()); ok {
			firsts = append(firsts, first)
		}
	}
	slices.Sort(firsts)
	names := make([]string, len(firsts))
	for i, first := range firsts {
		names[i] = fileName(first)
	}
	return names, nil
}

// createFile makes a file that must not exist, durably: the directory is synced too.
func createFile(dir, name string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// The head file holds one line of fixed length, overwritten in place: sequence and hash of the last line of the log. It is
// written after the log was synced and is not synced itself, so that it may lag behind after a power failure but is never
// ahead of what the disk holds.
const headSize = 20 + 1 + hashSize + 1

func renderHead(p Position) []byte {
	return fmt.Appendf(nil, "%020d %s\n", p.Sequence, p.Hash)
}

func parseHead(text []byte) (Position, error) {
	if len(text) != headSize || text[20] != ' ' || text[headSize-1] != '\n' {
		return Position{}, fmt.Errorf("the head file is damaged")
	}
	sequence, err := strconv.ParseUint(string(text[:20]), 10, 64)
	if err != nil {
		return Position{}, fmt.Errorf("the head file is damaged: %w", err)
	}
	return Position{Sequence: sequence, Hash: string(text[21 : headSize-1])}, nil
}

func readHead(dir string) (Position, error) {
	text, err := os.ReadFile(filepath.Join(dir, headName))
	if err != nil {
		return Position{}, err
	}
	return parseHead(text)
}

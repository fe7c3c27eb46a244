package passwords

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The form of the lines: a SHA-1 hash in hexadecimal, a colon, how often it was seen. The downloader of Have I Been Pwned writes them so, ended by CR LF
// or LF (haveibeenpwned.com/API/v3#PwnedPasswords, "Downloading the Pwned Passwords list").
const (
	hashLength  = 40
	maxLine     = hashLength + 24 // a colon, nineteen figures, CR LF, and some room
	window      = 64 * maxLine    // read at once
	probes      = 64              // places of a file that are looked at when it is opened
	maxFileSize = int64(1) << 40  // the whole list has less than 2^37 bytes
	maxRange    = 4 << 20         // of a range file; real ones have some 50 KiB
)

// errFormat is the cause where a file is not a list of hashes.
var errFormat = errors.New("not a list of lines HASH:COUNT, sorted by hash (SHA-1)")

// sorted is a file of lines in the order of their hashes, searched where it lies.
type sorted struct {
	file io.ReaderAt
	size int64
}

// check looks at the beginning, at the end, and at places in between: every line seen must have the form, and a greater hash than the one before. A file
// sorted by count, or one of NTLM hashes, does not pass.
func (s sorted) check() error {
	if s.size == 0 || s.size > maxFileSize {
		return fmt.Errorf("%d bytes: %w", s.size, errFormat)
	}
	buffer := make([]byte, window)
	var before []byte // the first hash of the place before
	last := max(0, s.size-window)
	for i := range int64(probes) {
		lines, _, err := s.read(buffer, last/(probes-1)*i+last%(probes-1)*i/(probes-1))
		if err != nil {
			return err
		}
		first, err := ascending(lines)
		if err != nil || bytes.Compare(before, first) > 0 {
			return errors.Join(err, errFormat)
		}
		before = first
	}
	return nil
}

// ascending checks lines that follow one another, and returns a copy of the first hash.
func ascending(lines []byte) (first []byte, err error) {
	var last []byte
	for line := range bytes.Lines(lines) {
		hash, _, err := parse(line, hashLength)
		if err != nil || bytes.Compare(last, hash) >= 0 {
			return nil, errFormat
		}
		if last = hash; first == nil {
			first = bytes.Clone(hash)
		}
	}
	return first, nil
}

// read returns the whole lines in a window that begins at offset, and where the first of them begins. The window at the end of the file holds its last line,
// whether or not that is ended.
func (s sorted) read(buffer []byte, offset int64) (lines []byte, begin int64, err error) {
	n, err := s.file.ReadAt(buffer[:min(int64(len(buffer)), s.size-offset)], offset)
	if err != nil && (!errors.Is(err, io.EOF) || int64(n) < min(int64(len(buffer)), s.size-offset)) {
		return nil, 0, fmt.Errorf("reading at %d: %w", offset, err)
	}
	lines = buffer[:n]
	if offset > 0 { // what precedes the first line end belongs to a line that began earlier
		cut := bytes.IndexByte(lines, '\n') + 1
		if cut == 0 || cut > maxLine {
			return nil, 0, errFormat
		}
		lines, offset = lines[cut:], offset+int64(cut)
	}
	if offset+int64(len(lines)) < s.size {
		lines = lines[:bytes.LastIndexByte(lines, '\n')+1]
	}
	if len(lines) == 0 {
		return nil, 0, errFormat
	}
	return lines, offset, nil
}

// contains searches by halves: from and to bound the bytes in which a line with the hash may begin.
func (s sorted) contains(hash []byte) (bool, error) {
	buffer := make([]byte, window)
	from, to := int64(0), s.size
	for to-from > window/2 {
		middle := from + (to-from)/2
		lines, begin, err := s.read(buffer[:2*maxLine], max(0, middle-1))
		if err != nil {
			return false, err
		}
		line := firstLine(lines)
		seen, count, err := parse(line, hashLength)
		if err != nil {
			return false, err
		}
		switch order := bytes.Compare(hash, seen); {
		case order == 0:
			return count > 0, nil
		case order < 0:
			to = middle
		default:
			from = begin + int64(len(line))
		}
	}
	return s.scan(buffer, hash, from)
}

func firstLine(lines []byte) []byte {
	end := bytes.IndexByte(lines, '\n') + 1
	if end == 0 {
		return lines
	}
	return lines[:end]
}

// scan reads the lines from a line's beginning on, up to one that is not smaller.
func (s sorted) scan(buffer, hash []byte, from int64) (bool, error) {
	if from >= s.size {
		return false, nil
	}
	lines, _, err := s.read(buffer, max(0, from-1)) // the byte before is the line end that a window is cut at
	if err != nil {
		return false, err
	}
	return among(lines, hash, true)
}

// among searches the hash, or its rest, in lines.
func among(lines, hash []byte, inOrder bool) (bool, error) {
	for line := range bytes.Lines(lines) {
		seen, count, err := parse(line, len(hash))
		if err != nil {
			return false, err
		}
		switch order := bytes.Compare(hash, seen); {
		case order == 0:
			return count > 0, nil
		case order < 0 && inOrder:
			return false, nil
		}
	}
	return false, nil
}

// parse takes a line apart and makes its hash upper case, in place.
func parse(line []byte, length int) (hash []byte, count int64, err error) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) < length+2 || line[length] != ':' {
		return nil, 0, errFormat
	}
	hash = line[:length]
	for i, c := range hash {
		switch {
		case c >= 'a' && c <= 'f':
			hash[i] = c - 'a' + 'A'
		case c < '0' || c > '9' && c < 'A' || c > 'F':
			return nil, 0, errFormat
		}
	}
	count, err = strconv.ParseInt(string(line[length+1:]), 10, 64)
	if err != nil || count < 0 {
		return nil, 0, errFormat
	}
	return hash, count, nil
}

// hexUpper writes the hash as the lists have it.
func hexUpper(into, sum []byte) {
	hex.Encode(into, sum)
	for i, c := range into {
		if c >= 'a' {
			into[i] = c - 'a' + 'A'
		}
	}
}

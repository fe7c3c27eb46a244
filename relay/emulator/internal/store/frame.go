package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Kinds of frames.
const (
	kindDefinition = 'D'
	kindRecord     = 'R'
)

const (
	magic      = "wbqueue1"
	headerSize = 8
)

// ErrDamaged is wrapped by what Open returns for a file that is not ours or whose inside is not what was written.
var ErrDamaged = errors.New("the file is damaged")

// errTorn ends the reading of a file whose last frame is incomplete.
var errTorn = errors.New("the last frame is incomplete")

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// appendFrame writes a frame behind b.
func appendFrame(b []byte, kind byte, body []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, headerSize)...)
	b = append(append(b, kind), body...)
	content := b[start+headerSize:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(content)))
	binary.BigEndian.PutUint32(b[start+4:], checksum(content))
	return b
}

// reader reads frames from a file of known size. Nothing is allocated beyond what the file really holds.
type reader struct {
	in   io.Reader
	at   int64 // where the next frame starts
	size int64
}

// next reads a frame. It returns io.EOF at the end and errTorn where the end is incomplete.
func (r *reader) next() (kind byte, body []byte, err error) {
	left := r.size - r.at
	if left == 0 {
		return 0, nil, io.EOF
	}
	if left < headerSize {
		return 0, nil, errTorn
	}
	var header [headerSize]byte
	if _, err := io.ReadFull(r.in, header[:]); err != nil {
		return 0, nil, err
	}
	length, sum := int64(binary.BigEndian.Uint32(header[:])), binary.BigEndian.Uint32(header[4:])
	left -= headerSize
	if length == 0 {
		return 0, nil, r.zeroes(header, left)
	}
	if length > left {
		return 0, nil, errTorn
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(r.in, content); err != nil {
		return 0, nil, err
	}
	switch {
	case checksum(content) == sum:
		r.at += headerSize + length
		return content[0], content[1:], nil
	case length == left:
		return 0, nil, errTorn // pages of one write may reach the disk in any order
	}
	return 0, nil, fmt.Errorf("%w: wrong checksum at offset %d", ErrDamaged, r.at)
}

// zeroes judges a frame without length. File systems may leave zeroes where a write was cut short; anything else is
// damage.
func (r *reader) zeroes(header [headerSize]byte, left int64) error {
	damaged := fmt.Errorf("%w: an empty frame at offset %d", ErrDamaged, r.at)
	if header != [headerSize]byte{} {
		return damaged
	}
	buf := make([]byte, min(left, 32<<10))
	for left > 0 {
		n, err := r.in.Read(buf[:min(left, int64(len(buf)))])
		for _, b := range buf[:n] {
			if b != 0 {
				return damaged
			}
		}
		if left -= int64(n); err != nil && left > 0 {
			return err
		}
	}
	return errTorn
}

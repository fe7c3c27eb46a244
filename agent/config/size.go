package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes; in the file a whole number with or without a binary unit: 1048576, 1024KiB, 1MiB.
type ByteSize int64

// The units.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
)

// units are tried in this order, the largest first, when a size is printed.
func units() []struct {
	name  string
	bytes ByteSize
} {
	return []struct {
		name  string
		bytes ByteSize
	}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}
}

// ParseByteSize reads a size as it stands in the file.
func ParseByteSize(text string) (ByteSize, error) {
	number, factor := text, ByteSize(1)
	for _, unit := range units() {
		if rest, found := strings.CutSuffix(text, unit.name); found {
			number, factor = strings.TrimSpace(rest), unit.bytes
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > int64(1<<62/factor) {
		return 0, fmt.Errorf("not a size in bytes, KiB, MiB or GiB: %q", text)
	}
	return ByteSize(n) * factor, nil
}

// String returns the size in the largest unit that expresses it without a fraction.
func (s ByteSize) String() string {
	for _, unit := range units() {
		if s >= unit.bytes && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

//go:build !unix

package emulator_test

import (
	"testing"
	"time"
)

// cpuTime is not to be had here.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	t.Skip("no getrusage")
	return 0
}

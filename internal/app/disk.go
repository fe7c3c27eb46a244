package app

import (
	"fmt"
	"strings"

	"github.com/password-writeback/writeback/agent/health"
)

// Where room runs out. What is kept for one request is some kilobytes, so the least still lets everything in hand come to its end. A share of
// the file system would say little: five percent of a large disk are years of requests.
const (
	littleRoom  = 256 << 20 // bytes
	leastRoom   = 32 << 20  // bytes
	littleFiles = 1024
	leastFiles  = 64
)

const remedyDisk = "Make room on the file system of state_dir and audit.dir, or enlarge it; a closed intake opens by itself."

// diskSpace is what an unprivileged account may still use of a file system.
type diskSpace struct {
	free, size       uint64 // bytes
	freeFiles, files uint64 // both 0 where the file system does not count them
}

// judgeDisk warns before there is no room, and closes the intake while an outcome could still be recorded.
func (a *Agent) judgeDisk() {
	worst, found := health.OK, []string{}
	var before diskSpace
	for _, folder := range []string{a.cfg.StateDir, a.cfg.Audit.Dir} {
		space, err := a.space(folder)
		if err != nil {
			worst = worse(worst, health.Degraded)
			found = append(found, fmt.Sprintf("the room for %s is not known: %s", folder, rootCause(err)))
			continue
		}
		severity, what := space.judge()
		if severity == health.OK || space == before {
			continue // the second of the same file system says nothing new
		}
		before = space
		worst = worse(worst, severity)
		found = append(found, what+" for "+folder)
	}
	if worst == health.OK {
		a.board.Clear(health.Disk)
		return
	}
	a.board.Set(health.Disk, worst, strings.Join(found, "; "), remedyDisk)
}

// judge says how much room there is, where it is little.
func (s diskSpace) judge() (severity health.Severity, what string) {
	bytes := fmt.Sprintf("%d of %d MiB are free", s.free>>20, s.size>>20)
	files := fmt.Sprintf("%d of %d files can still be made", s.freeFiles, s.files)
	switch {
	case s.free < leastRoom:
		return health.Down, bytes
	case s.files > 0 && s.freeFiles < leastFiles:
		return health.Down, files
	case s.free < littleRoom:
		return health.Degraded, bytes
	case s.files > 0 && s.freeFiles < littleFiles:
		return health.Degraded, files
	}
	return health.OK, ""
}

func worse(a, b health.Severity) health.Severity {
	if a == health.Down || b == health.OK {
		return a
	}
	return b
}

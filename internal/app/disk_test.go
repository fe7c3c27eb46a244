package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/internal/writeback"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// room is what one file system says.
type room struct {
	free, size, freeFiles, files uint64
	err                          error
}

func TestTheRoomOnTheDiskIsJudged(t *testing.T) {
	plenty := room{free: gib, size: 2 * gib, freeFiles: 2000, files: 2000}
	for name, c := range map[string]struct {
		state, audit room
		want         health.Severity
		says         string
	}{
		"plenty":                   {plenty, plenty, health.OK, ""},
		"just enough":              {room{free: 256 * mib, size: 5 * gib}, plenty, health.OK, ""},
		"little":                   {room{free: 256*mib - 1, size: gib}, plenty, health.Degraded, "255 of 1024 MiB are free for /state"},
		"a small share of much":    {plenty, room{free: gib, size: 1024 * gib}, health.OK, ""},
		"the last that is open":    {room{free: 32 * mib, size: gib}, plenty, health.Degraded, "32 of 1024 MiB"},
		"least, for the state":     {room{free: 32*mib - 1, size: gib}, plenty, health.Down, "31 of 1024 MiB are free for /state"},
		"least, for the audit":     {room{free: 100 * mib, size: gib}, room{free: mib, size: gib}, health.Down, "100 of 1024 MiB are free for /state; 1 of 1024 MiB are free for /audit"},
		"least, and little":        {room{free: mib, size: gib}, room{free: 100 * mib, size: gib}, health.Down, "; 100 of 1024 MiB are free for /audit"},
		"few files":                {room{free: gib, size: gib, freeFiles: 1023, files: 2000}, plenty, health.Degraded, "1023 of 2000 files"},
		"no files":                 {plenty, room{free: gib, size: gib, freeFiles: 63, files: 2000}, health.Down, "63 of 2000 files"},
		"files are not counted":    {room{free: gib, size: gib}, room{free: gib, size: gib}, health.OK, ""},
		"no answer":                {room{err: errors.New("stale file handle")}, plenty, health.Degraded, "/state is not known: stale file handle"},
		"no answer, and the least": {room{free: mib, size: gib}, room{err: errors.New("gone")}, health.Down, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			board := health.New(time.Now)
			disk := map[string]room{"/state": c.state, "/audit": c.audit}
			judge := app.NewDiskJudge(board, func(folder string) (free, size, freeFiles, files uint64, err error) {
				r := disk[folder]
				return r.free, r.size, r.freeFiles, r.files, r.err
			})
			judge.Disk()
			got := condition(status.Report{Conditions: board.Snapshot()}, health.Disk)
			if got.Severity != c.want || !strings.Contains(got.Message, c.says) || (got.Remedy == "") != (c.want == health.OK) {
				t.Errorf("%+v, want %s with %q and a remedy", got, c.want, c.says)
			}
			if board.Gate().Open() != (c.want != health.Down) {
				t.Errorf("the intake is open: %t", board.Gate().Open())
			}
			disk["/state"], disk["/audit"] = plenty, plenty
			judge.Disk()
			if board.Overall() != health.OK {
				t.Errorf("with room again: %+v", board.Snapshot())
			}
		})
	}
}

// Both folders on one file system are one finding.
func TestTheSameDiskIsNamedOnce(t *testing.T) {
	board := health.New(time.Now)
	app.NewDiskJudge(board, func(string) (free, size, freeFiles, files uint64, err error) { return mib, gib, 0, 0, nil }).Disk()
	if got := condition(status.Report{Conditions: board.Snapshot()}, health.Disk); got.Message != "1 of 1024 MiB are free for /state" {
		t.Errorf("%+v", got)
	}
}

func TestTheHostTellsTheRoomOnItsDisk(t *testing.T) {
	free, size, freeFiles, files, err := app.SpaceOf(t.TempDir())
	if err != nil || size == 0 || free > size || freeFiles > files {
		t.Errorf("%d of %d bytes, %d of %d files (%v)", free, size, freeFiles, files, err)
	}
	if _, _, _, _, err := app.SpaceOf(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// An agent without room takes nothing before it could not record what it does, and goes on by itself when there is room.
func TestAFullDiskClosesTheIntake(t *testing.T) {
	t.Parallel()
	in := install(t)
	var free atomic.Uint64
	free.Store(mib)
	in.prepare = append(in.prepare, func(a *app.Agent) { app.SetFree(a, free.Load) })
	agent := in.start(t)
	agent.status(t, "the intake is closed", func(r status.Report) bool {
		return condition(r, health.Disk).Severity == health.Down && r.Relay.Intake == status.IntakeClosed
	})
	if noticed, running := strings.Index(in.log.String(), "condition=disk"), strings.Index(in.log.String(), "agent running"); noticed < 0 || noticed > running {
		t.Error("the agent ran before it looked")
	}
	free.Store(gib)
	agent.serving(t)
	wantOutcome(t, in.reset(t, in.portal(t), "ada", newPassword()), writeback.Written, writeback.ReasonOK)
}

package ledger_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
)

func TestTheHighestTimeIsTakenBackOnlyByCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "ledger.db")
	far := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []struct {
		change func(l *ledger.Ledger) error
		want   time.Time
	}{
		{func(l *ledger.Ledger) error { return l.AdvanceTime(t.Context(), far) }, far},
		{func(l *ledger.Ledger) error { return l.AdvanceTime(t.Context(), far.AddDate(-50, 0, 0)) }, far},
		{func(l *ledger.Ledger) error { return l.ResetTime(t.Context(), far.AddDate(-60, 0, 0)) }, far.AddDate(-60, 0, 0)},
		{func(l *ledger.Ledger) error { return nil }, far.AddDate(-60, 0, 0)},
		{func(l *ledger.Ledger) error { return l.AdvanceTime(t.Context(), far.AddDate(-50, 0, 0)) }, far.AddDate(-50, 0, 0)},
	} {
		memory, err := ledger.Open(t.Context(), ledger.Options{Path: path}) // each time anew: it is on the disk
		if err != nil {
			t.Fatal(err)
		}
		err = step.change(memory)
		got, readErr := memory.HighestTime(t.Context())
		if err != nil || readErr != nil || !got.Equal(step.want) {
			t.Errorf("highest time %s, want %s; %v, %v", got, step.want, err, readErr)
		}
		if err := memory.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package app_test

import (
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/app"
)

// A request may be remembered for two days: its expiry counts as a day ahead at most, and it is kept for a day after that.
func TestNoPortalCanFillTheLedgerForTheOthers(t *testing.T) {
	portal := func(requests int, per time.Duration) config.Issuer {
		return config.Issuer{Rate: config.Rate{Requests: requests, Per: per}}
	}
	for name, c := range map[string]struct {
		issuers []config.Issuer
		want    int
	}{
		"one that sends little":    {[]config.Issuer{portal(10, time.Hour)}, ledger.DefaultMaxRecords},
		"one that may send much":   {[]config.Issuer{portal(600, time.Minute)}, 600 + 2*24*60*600},
		"several with the default": {[]config.Issuer{portal(20000, time.Hour), portal(20000, time.Hour), portal(20000, time.Hour)}, 3 * (20000 + 2*24*20000)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := app.RecordsFor(c.issuers); got != c.want {
				t.Errorf("room for %d, want %d", got, c.want)
			}
		})
	}
}

func TestTheLedgerHasThatRoom(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.edit(t, "config.yaml", "\n\nlog:\n", "\n    rate: {requests: 600, per: 1m}\n\nlog:\n")
	agent, err := in.open(t)
	check(t, err)
	defer agent.Close()
	room, err := agent.Room(t.Context())
	check(t, err)
	if want := 600 + 2*24*60*600; room != want {
		t.Errorf("room for %d requests, want %d", room, want)
	}
}

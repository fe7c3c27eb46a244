package atom_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/atom"
)

const day = 24 * time.Hour

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT30S":                        30 * time.Second,
		"PT1M":                         time.Minute,
		"PT5M":                         5 * time.Minute,
		"PT10H":                        10 * time.Hour,
		"P14D":                         14 * day,
		"P1DT2H3M4.5S":                 day + 2*time.Hour + 3*time.Minute + 4500*time.Millisecond,
		"PT0.000000001S":               1,
		"PT0S":                         0,
		"P106751D":                     106751 * day,
		"P10675199DT2H48M5.4775807S":   atom.Forever,
		"P106752D":                     atom.Forever,
		"P106751DT23H47M16.854775808S": atom.Forever,
	} {
		got, err := atom.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
		if back := atom.FormatDuration(got); want != atom.Forever && back != text {
			t.Errorf("%s is written %s", text, back)
		}
	}
}

// Other spellings of the same length are read too, and written the one way.
func TestDurationsAreWrittenShort(t *testing.T) {
	for text, want := range map[string]string{
		"PT60S": "PT1M", "PT90M": "PT1H30M", "P0DT0H1M0S": "PT1M", "PT24H": "P1D", "PT1.500S": "PT1.5S", "P0D": "PT0S",
		"P10675199D": "P10675199DT2H48M5.4775807S",
	} {
		d, err := atom.ParseDuration(text)
		if err != nil || atom.FormatDuration(d) != want {
			t.Errorf("%s: %v %v, want %s", text, atom.FormatDuration(d), err, want)
		}
	}
	if got := atom.FormatDuration(-time.Second); got != "PT0S" {
		t.Errorf("a negative one is written %s", got)
	}
}

func TestDurationsRefused(t *testing.T) {
	for _, text := range []string{
		"", "P", "PT", "P1DT", "T1M", "1M", "PT1", "P1", "P1M", "P1Y", "P1W", "-PT1S", "+PT1S", "PT-1S", "PT+1S", "pt1s",
		"PT1S ", " PT1S", "PT1S1M", "PT1M1M", "PT1M1H", "P1H", "PT1D", "PT.5S", "PT1.S", "PT1.5M", "PT1,5S", "PT1.0000000001S",
		"PT1e3S", "PT0x1S", "PT٣S", "P10675200D", "PT99999999999S", "PT9999999999S", "PTS", "PTM", "PT1SX",
		"P9999999999DT9999999999H9999999999M", "P" + strings.Repeat("9", 1000) + "D",
	} {
		if d, err := atom.ParseDuration(text); !errors.Is(err, atom.ErrDuration) {
			t.Errorf("%.50q is %v, error %v", text, d, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("the error repeats all of %d bytes", len(text))
		}
	}
}

// Whatever is read is not negative, and is the same when written and read again.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"PT30S", "P1DT2H3M4.5S", "P10675199DT2H48M5.4775807S", "P106751DT23H47M16.854775807S", "PT", "P1Y", "-PT1S"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := atom.ParseDuration(s)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is %v", s, d)
		}
		if again, err := atom.ParseDuration(atom.FormatDuration(d)); err != nil || again != d {
			t.Fatalf("%q: %v is written %s and read as %v, %v", s, d, atom.FormatDuration(d), again, err)
		}
	})
}

package atom

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Forever is the duration that clients write as the largest of .NET, which no clock reaches.
const Forever = time.Duration(math.MaxInt64)

const (
	foreverText = "P10675199DT2H48M5.4775807S" // 2^63-1 ticks of 100 ns
	day         = 24 * time.Hour
	maxDays     = 10675199
)

// ErrDuration is wrapped by what ParseDuration returns.
var ErrDuration = errors.New("not an XML Schema duration of days, hours, minutes and seconds")

// ParseDuration reads an XML Schema duration (part 2, 3.2.6), for instance "P1DT2H3M4.5S". Years and months are
// refused, because they have no fixed length, and so are signs. What is longer than a time.Duration holds is Forever;
// what is longer than the service can hold is refused.
func ParseDuration(s string) (time.Duration, error) {
	rest, ok := strings.CutPrefix(s, "P")
	date, clock, hasClock := strings.Cut(rest, "T")
	if !ok || date == "" && !hasClock || hasClock && clock == "" {
		return 0, fault(s)
	}
	exact, about, err := sum(&date, &clock)
	switch {
	case err != nil || date != "" || clock != "":
		return 0, fault(s)
	case s == foreverText:
		return Forever, nil
	case about > maxDays*float64(day):
		return 0, fmt.Errorf("%w: %.40q is longer than %s", ErrDuration, s, foreverText)
	case about >= math.MaxInt64, exact < 0: // the sum of floats may have been rounded down
		return Forever, nil
	}
	return exact, nil
}

// sum cuts the components off both halves and adds them up: about is the sum that cannot overflow, exact the one that
// is right where it did not.
func sum(date, clock *string) (exact time.Duration, about float64, err error) {
	for _, part := range []struct {
		text  *string
		unit  byte
		scale time.Duration
	}{{date, 'D', day}, {clock, 'H', time.Hour}, {clock, 'M', time.Minute}} {
		n, err := component(part.text, part.unit)
		if err != nil {
			return 0, 0, err
		}
		about += float64(n) * float64(part.scale)
		exact += time.Duration(n) * part.scale
	}
	seconds, err := fractional(clock)
	return exact + seconds, about + float64(seconds), err
}

func fault(s string) error { return fmt.Errorf("%w: %.40q", ErrDuration, s) }

// component cuts "<digits><unit>" off the front of text, if it stands there.
func component(text *string, unit byte) (int64, error) {
	digits, rest, found := strings.Cut(*text, string(unit))
	if !found {
		return 0, nil
	}
	*text = rest
	return number(digits)
}

// number reads up to ten digits: enough for every second the service can count, too few to overflow.
func number(digits string) (int64, error) {
	const most = 10
	if len(digits) == 0 || len(digits) > most || strings.Trim(digits, "0123456789") != "" {
		return 0, ErrDuration
	}
	return strconv.ParseInt(digits, 10, 64)
}

// fractional cuts "<digits>[.<digits>]S" off the front of text, if it stands there. Below the nanosecond nothing is
// accepted: it would be lost.
func fractional(text *string) (time.Duration, error) {
	i := strings.IndexByte(*text, 'S')
	if i < 0 {
		return 0, nil
	}
	whole, part, hasPart := strings.Cut((*text)[:i], ".")
	*text = (*text)[i+1:]
	n, err := number(whole)
	if err != nil || n > math.MaxInt64/int64(time.Second)-1 {
		return 0, ErrDuration
	}
	d := time.Duration(n) * time.Second
	if !hasPart {
		return d, nil
	}
	const digits = 9
	if len(part) == 0 || len(part) > digits {
		return 0, ErrDuration
	}
	nanos, err := number(part + strings.Repeat("0", digits-len(part)))
	return d + time.Duration(nanos), err
}

// FormatDuration writes d as clients expect it, without components that are zero. Negative durations, which nothing
// here has, are written as zero.
func FormatDuration(d time.Duration) string {
	switch {
	case d == Forever:
		return foreverText
	case d <= 0:
		return "PT0S"
	}
	var b strings.Builder
	b.WriteByte('P')
	if days := d / day; days > 0 {
		fmt.Fprintf(&b, "%dD", days)
	}
	if d %= day; d == 0 {
		return b.String()
	}
	b.WriteByte('T')
	if hours := d / time.Hour; hours > 0 {
		fmt.Fprintf(&b, "%dH", hours)
	}
	if minutes := d % time.Hour / time.Minute; minutes > 0 {
		fmt.Fprintf(&b, "%dM", minutes)
	}
	if d %= time.Minute; d > 0 {
		b.WriteString(strconv.FormatInt(int64(d/time.Second), 10))
		if nanos := d % time.Second; nanos > 0 {
			b.WriteString(strings.TrimRight(fmt.Sprintf(".%09d", nanos), "0"))
		}
		b.WriteByte('S')
	}
	return b.String()
}

package ldapwriter

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// neverExpires is the accountExpires value, besides 0, that means never (MS-ADA1 2.1).
const neverExpires = 1<<63 - 1

// ticksTo1970 is the number of 100 ns ticks from 1601-01-01 (MS-DTYP 2.3.3, FILETIME) to the Unix epoch.
const ticksTo1970 = 116444736000000000

// fileTime converts 100 ns ticks since 1601; 0 and "never" become the zero time.
func fileTime(ticks int64) time.Time {
	if ticks <= 0 || ticks == neverExpires {
		return time.Time{}
	}
	unix := ticks - ticksTo1970
	return time.Unix(unix/1e7, unix%1e7*100).UTC()
}

// secondsTime converts seconds since 1601, the DSTIME of replication metadata (MS-DRSR 5.40).
func secondsTime(seconds uint64) time.Time {
	if seconds == 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds)-ticksTo1970/1e7, 0).UTC()
}

// generalizedTime reads the form AD writes whenChanged and currentTime in, 20261122145017.0Z.
func generalizedTime(s string) (time.Time, error) {
	t, err := time.Parse("20060102150405.0Z", s)
	if err != nil {
		return time.Time{}, fmt.Errorf("not a generalized time: %q", s)
	}
	return t, nil
}

// integer returns a single-valued number; present is false where the attribute is missing, which may also mean that it may not
// be read.
func integer(e *ldap.Entry, attribute string) (n int64, present bool, err error) {
	values := e.GetEqualFoldAttributeValues(attribute)
	if len(values) == 0 {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s is not a number", attribute)
	}
	return n, true, nil
}

// numbers collects integers of one entry and the first error among them.
type numbers struct {
	entry *ldap.Entry
	err   error
}

// get returns the attribute's value, and whether it is there.
func (n *numbers) get(attribute string) (int64, bool) {
	value, present, err := integer(n.entry, attribute)
	n.err = errors.Join(n.err, err)
	return value, present
}

// value returns the attribute's value, 0 where it is missing.
func (n *numbers) value(attribute string) int64 {
	value, _ := n.get(attribute)
	return value
}

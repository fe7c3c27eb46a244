package broker

import (
	"cmp"
	"slices"
	"time"
)

// journal holds the entries of a queue by sequence number. Numbers only grow, so adding is appending; removed
// entries stay as gaps until they are the larger half.
type journal struct {
	entries []*entry
	gaps    int
}

func (j *journal) add(e *entry) { j.entries = append(j.entries, e) }

// drop notes that one entry is gone.
func (j *journal) drop() {
	const worthwhile = 64
	if j.gaps++; j.gaps < worthwhile || j.gaps*2 < len(j.entries) {
		return
	}
	j.entries = slices.DeleteFunc(j.entries, func(e *entry) bool { return e.state == gone })
	j.gaps = 0
}

// from is the part of the journal that starts at a sequence number.
func (j *journal) from(seq int64) []*entry {
	i, _ := slices.BinarySearchFunc(j.entries, seq, func(e *entry, seq int64) int { return cmp.Compare(e.seq, seq) })
	return j.entries[i:]
}

// find is the entry with the number, nil when it is gone or never was.
func (j *journal) find(seq int64) *entry {
	tail := j.from(seq)
	if len(tail) == 0 || tail[0].seq != seq || tail[0].state == gone {
		return nil
	}
	return tail[0]
}

// binaryID is a binary message-id in a form that can be a map key.
type binaryID string

// duplicates remembers message ids for a window of time. Forgetting happens on the way of the next message: the
// window is the same for all, so the oldest stand first.
type duplicates struct {
	window time.Duration
	at     map[any]time.Time
	order  []any
}

// repeated notes the id and says whether it was there.
func (d *duplicates) repeated(id any, now time.Time) bool {
	if d.window <= 0 || id == nil {
		return false
	}
	if b, ok := id.([]byte); ok {
		id = binaryID(b)
	}
	for len(d.order) > 0 && !d.at[d.order[0]].Add(d.window).After(now) {
		delete(d.at, d.order[0])
		d.order = d.order[1:]
	}
	if _, ok := d.at[id]; ok {
		return true
	}
	d.remember(id, now)
	return false
}

// remember notes an id that came at a time, which is not before those of the others.
func (d *duplicates) remember(id any, at time.Time) {
	if _, ok := d.at[id]; !ok {
		d.order = append(d.order, id)
	}
	d.at[id] = at
}

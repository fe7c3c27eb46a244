package broker

import (
	"container/heap"
	"container/list"
	"time"
)

// lane is the messages that are handed out in one order: a session's, or, on a queue without sessions, all.
type lane struct {
	alarm   // the session's lock
	id      string
	visible turn
	waiting []*Consumer // consumers that may take more, in the order they asked
	// The rest is for sessions.
	messages int // stored, in whatever state
	holder   *Consumer
	until    time.Time
	locked   map[*entry]struct{}
	offered  *list.Element // place in Queue.idle
	state    []byte
	updated  time.Time // when the state was last set
}

func newLane(id string) *lane { return &lane{id: id, locked: map[*entry]struct{}{}} }

// lane finds or makes the lane of a session.
func (q *Queue) lane(id string) *lane {
	l := q.lanes[id]
	if l == nil {
		l = newLane(id)
		q.lanes[id] = l
	}
	return l
}

// tidy forgets a session of which nothing is left.
func (q *Queue) tidy(l *lane) {
	if !q.set.RequiresSession || l.messages > 0 || l.holder != nil || l.state != nil {
		return
	}
	q.withdraw(l)
	delete(q.lanes, l.id)
}

// dispatch hands visible messages to consumers that may take more, one each in turn.
func (l *lane) dispatch(q *Queue) {
	for len(l.visible) > 0 && len(l.waiting) > 0 {
		c := l.waiting[0]
		l.waiting = l.waiting[1:]
		c.queued = false
		if c.closed || c.assigned >= c.limit {
			continue
		}
		c.assigned++
		c.enlist()
		c.sink.Deliver(q.take(heap.Pop(&l.visible).(*entry)))
	}
	if q.set.RequiresSession && l.holder == nil && len(l.visible) > 0 {
		q.offer(l)
	}
}

func (l *lane) push(e *entry) { heap.Push(&l.visible, e) }

// pull takes e out of the visible ones, if it is there.
func (l *lane) pull(e *entry) {
	if e.place > 0 {
		heap.Remove(&l.visible, e.place-1)
	}
}

// turn is a heap of entries by sequence number.
type turn []*entry

func (t turn) Len() int           { return len(t) }
func (t turn) Less(i, j int) bool { return t[i].seq < t[j].seq }
func (t turn) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i+1, j+1
}

// Push is for container/heap.
func (t *turn) Push(x any) {
	e := x.(*entry)
	*t = append(*t, e)
	e.place = len(*t)
}

// Pop is for container/heap.
func (t *turn) Pop() any {
	old := *t
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	e.place = 0
	return e
}

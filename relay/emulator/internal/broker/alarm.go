package broker

import (
	"container/heap"
	"time"
)

// alarm is a moment at which something in a queue is due. It is embedded in what it wakes.
type alarm struct {
	at    time.Time
	index int // position in the heap plus one; 0 when not set
}

func (a *alarm) clock() *alarm { return a }

// sleeper is something with an alarm.
type sleeper interface {
	clock() *alarm
	// due is called with the queue locked, the alarm already off.
	due(q *Queue, now time.Time)
}

// alarms is a heap by time, so that one timer per queue is enough.
type alarms []sleeper

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].clock().at.Before(h[j].clock().at) }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].clock().index, h[j].clock().index = i+1, j+1
}

// Push is for container/heap.
func (h *alarms) Push(x any) {
	s := x.(sleeper)
	*h = append(*h, s)
	s.clock().index = len(*h)
}

// Pop is for container/heap.
func (h *alarms) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.clock().index = 0
	return s
}

// wake sets or moves the alarm of s.
func (q *Queue) wake(s sleeper, at time.Time) {
	a := s.clock()
	a.at = at
	if a.index > 0 {
		heap.Fix(&q.alarms, a.index-1)
	} else {
		heap.Push(&q.alarms, s)
	}
}

// silence takes the alarm of s off. The timer may still ring once for it; it then finds nothing due.
func (q *Queue) silence(s sleeper) {
	if i := s.clock().index; i > 0 {
		heap.Remove(&q.alarms, i-1)
	}
}

// ring is the timer's function: everything due happens, then the timer is set for what comes next.
func (q *Queue) ring() {
	q.mu.Lock()
	defer q.unlock()
	q.armed = time.Time{}
	q.runDue()
}

// runDue also runs at the start of every operation, so that no caller sees a lock or a message that has already
// ended but whose timer has not run yet.
func (q *Queue) runDue() {
	now := q.now()
	for len(q.alarms) > 0 && !q.alarms[0].clock().at.After(now) {
		s := heap.Pop(&q.alarms).(sleeper)
		s.due(q, now)
	}
}

// lock opens an operation, unlock ends it and sets the timer.
func (q *Queue) lock() {
	q.mu.Lock()
	q.runDue()
}

func (q *Queue) unlock() {
	defer q.mu.Unlock()
	_ = q.flush() // told already to the caller of an operation that promises anything
	if len(q.alarms) == 0 || q.closed {
		return
	}
	next := q.alarms[0].clock().at
	if !q.armed.IsZero() && !next.Before(q.armed) {
		return
	}
	q.armed = next
	wait := max(next.Sub(q.now()), 0)
	if q.timer == nil {
		q.timer = time.AfterFunc(wait, q.ring)
	} else {
		q.timer.Reset(wait)
	}
}

package broker

import (
	"container/list"
	"slices"
	"time"
)

// AcceptSession locks the session for a new consumer. A session without messages may be accepted too: whoever
// waits for an answer must be able to hold the session before it is sent.
func (q *Queue) AcceptSession(id string, s Sink) (*Consumer, error) {
	q.lock()
	defer q.unlock()
	if !q.set.RequiresSession {
		return nil, ErrNoSessions
	}
	l := q.lane(id)
	if l.holder != nil {
		return nil, ErrSessionLocked
	}
	return q.hold(l, s), nil
}

// AcceptNext calls done, once and with the queue locked, with a consumer of the first session that is free and has
// messages, or with ErrTimeout. The function it returns gives up waiting; done is then not called, unless it was
// already.
func (q *Queue) AcceptNext(timeout time.Duration, s Sink, done func(*Consumer, error)) (giveUp func(), err error) {
	q.lock()
	defer q.unlock()
	if !q.set.RequiresSession {
		return nil, ErrNoSessions
	}
	if front := q.idle.Front(); front != nil {
		done(q.hold(front.Value.(*lane), s), nil)
		return func() {}, nil
	}
	w := &waiter{sink: s, done: done}
	w.place = q.waiters.PushBack(w)
	q.wake(w, q.now().Add(timeout))
	return func() {
		q.lock()
		defer q.unlock()
		q.leave(w)
	}, nil
}

// waiter waits for any session.
type waiter struct {
	alarm
	sink  Sink
	done  func(*Consumer, error)
	place *list.Element
}

func (w *waiter) due(q *Queue, _ time.Time) {
	q.leave(w)
	w.done(nil, ErrTimeout)
}

// leave takes w out of the line; it may already be out.
func (q *Queue) leave(w *waiter) {
	q.silence(w)
	if w.place != nil {
		q.waiters.Remove(w.place)
		w.place = nil
	}
}

// offer gives a free session with messages to whoever waits longest, or notes that it is to be had.
func (q *Queue) offer(l *lane) {
	if front := q.waiters.Front(); front != nil {
		w := front.Value.(*waiter)
		q.leave(w)
		w.done(q.hold(l, w.sink), nil)
		return
	}
	if l.offered == nil {
		l.offered = q.idle.PushBack(l)
	}
}

// withdraw takes the session off the list of those to be had.
func (q *Queue) withdraw(l *lane) {
	if l.offered != nil {
		q.idle.Remove(l.offered)
		l.offered = nil
	}
}

// hold locks the session.
func (q *Queue) hold(l *lane, s Sink) *Consumer {
	q.withdraw(l)
	c := &Consumer{q: q, lane: l, sink: s}
	l.holder = c
	l.until = q.now().Add(q.set.LockDuration)
	q.wake(l, l.until)
	return c
}

// due ends a session's lock that nobody renewed.
func (l *lane) due(q *Queue, _ time.Time) {
	c := l.holder
	c.end(true)
	c.sink.Lost()
}

// free unlocks the session and its messages. Microsoft's documentation counts an attempt when the session's lock
// expired and none when its holder closed it.
func (q *Queue) free(l *lane, failed bool) {
	l.holder, l.until = nil, time.Time{}
	q.silence(l)
	held := make([]*entry, 0, len(l.locked))
	for e := range l.locked {
		held = append(held, e)
	}
	slices.SortFunc(held, func(a, b *entry) int { return int(a.seq - b.seq) })
	for _, e := range held {
		q.giveBack(e, failed)
	}
	l.dispatch(q)
	q.tidy(l)
}

// RenewSession extends the session's lock by the queue's lock duration.
func (q *Queue) RenewSession(id string) (time.Time, error) {
	q.lock()
	defer q.unlock()
	l := q.lanes[id]
	if !q.set.RequiresSession || l == nil || l.holder == nil {
		return time.Time{}, ErrSessionLockLost
	}
	l.until = q.now().Add(q.set.LockDuration)
	q.wake(l, l.until)
	for e := range l.locked {
		e.until = l.until
	}
	return l.until, nil
}

// SessionState returns what SetSessionState stored, nil for nothing.
func (q *Queue) SessionState(id string) ([]byte, error) {
	q.lock()
	defer q.unlock()
	if l := q.lanes[id]; q.set.RequiresSession && l != nil && l.holder != nil {
		return l.state, nil
	}
	return nil, ErrSessionLockLost
}

// SetSessionState stores bytes with a session, which must be held; nil removes them.
func (q *Queue) SetSessionState(id string, state []byte) error {
	q.lock()
	defer q.unlock()
	l := q.lanes[id]
	if !q.set.RequiresSession || l == nil || l.holder == nil {
		return ErrSessionLockLost
	}
	l.state, l.updated = state, q.now()
	_ = q.note(sessionRecord(l), nil) // always of types that can be written
	return q.flush()
}

// Sessions lists session ids in order: those with messages or a state, or, when since is set, those whose state was
// set after it.
func (q *Queue) Sessions(since time.Time) ([]string, error) {
	q.lock()
	defer q.unlock()
	if !q.set.RequiresSession {
		return nil, ErrNoSessions
	}
	var ids []string
	for id, l := range q.lanes {
		if since.IsZero() && (l.messages > 0 || l.state != nil) || !since.IsZero() && l.state != nil && l.updated.After(since) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

package broker

import (
	"maps"
	"slices"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// History gathers the records of a queue and makes the queue from them. The zero value is one without a past.
type History struct {
	main, dead side
	seen       []sighting
	sessions   map[string]sessionPast
}

// side is what became of a queue, or of its dead-letter queue.
type side struct {
	entries map[int64]*entry
	next    int64
}

type sighting struct {
	id any
	at time.Time
}

type sessionPast struct {
	state   []byte
	updated time.Time
}

// Record takes what was handed to a Log at once. Its error wraps ErrRecord.
func (h *History) Record(b []byte) error {
	for len(b) > 0 {
		v, rest, err := amqp.Decode(b)
		if err != nil {
			return badRecord("%v", err)
		}
		l, ok := v.(amqp.List)
		if !ok {
			return badRecord("%T", v)
		}
		if err := h.take(&fields{list: l}); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

func (h *History) take(f *fields) error {
	switch kind := next[uint8](f); kind {
	case recordMessage, recordState:
		h.message(f, kind == recordMessage)
	case recordGone:
		s := h.side(f)
		delete(s.entries, next[int64](f)) // may be said twice, or of a message that came and went
	case recordNext:
		s := h.side(f)
		s.next = max(s.next, next[int64](f))
	case recordSeen:
		h.seen = append(h.seen, sighting{id: messageID(f), at: f.time()})
	case recordSession:
		h.session(f)
	default:
		f.fail("kind %d", kind)
	}
	return f.end()
}

func (h *History) side(f *fields) *side {
	s := &h.main
	if next[bool](f) {
		s = &h.dead
	}
	if s.entries == nil {
		s.entries = map[int64]*entry{}
	}
	return s
}

// message reads where a message stands.
func (h *History) message(f *fields, whole bool) {
	s := h.side(f)
	seq := next[int64](f)
	e := s.entries[seq]
	switch {
	case seq < 1:
		f.fail("sequence number %d", seq)
		return
	case whole:
		e = &entry{seq: seq}
	case e == nil:
		f.fail("nothing is known of message %d", seq)
		return
	}
	e.state, e.deferred = State(next[int32](f)), next[bool](f)
	if e.state < Active || e.state >= gone {
		f.fail("state %d", e.state)
	}
	e.failures, e.enqueued, e.expires = next[uint32](f), f.time(), f.time()
	if whole {
		e.source, e.msg = next[string](f), message(f)
		s.entries[seq], s.next = e, max(s.next, seq+1)
	}
}

func message(f *fields) *amqp.Message {
	m, err := amqp.ParseMessage(next[[]byte](f))
	if err != nil {
		f.fail("%v", err)
	}
	return m
}

// messageID reads an id of one of the four types they have; others could not be looked up.
func messageID(f *fields) any {
	switch id := f.any().(type) {
	case string, uint64, amqp.UUID:
		return id
	case []byte:
		return binaryID(id)
	default:
		f.fail("a message id of type %T", id)
		return ""
	}
}

func (h *History) session(f *fields) {
	if h.sessions == nil {
		h.sessions = map[string]sessionPast{}
	}
	id, state := next[string](f), f.any()
	past := sessionPast{updated: f.time()}
	switch state := state.(type) {
	case nil:
		delete(h.sessions, id)
		return
	case []byte:
		past.state = state
	default:
		f.fail("a session state of type %T", state)
	}
	h.sessions[id] = past
}

// Queue makes the queue. All locks have expired: for each message that was locked that is a failed attempt, as when a
// lock runs out. The History must not be used again, and the queue has no timers before Start.
func (h *History) Queue(s Settings, now func() time.Time) (*Queue, error) {
	q := New(s, now)
	if err := q.dlq.adopt(h.dead); err != nil { // first: messages may move there
		return nil, err
	}
	if err := q.adopt(h.main); err != nil {
		return nil, err
	}
	for _, d := range h.seen {
		if s.DuplicateWindow > 0 {
			q.seen.remember(d.id, d.at) // until the next message comes, also if it was too long ago
		}
	}
	for id, past := range h.sessions {
		if s.RequiresSession {
			l := q.lane(id)
			l.state, l.updated = past.state, past.updated
		}
	}
	return q, nil
}

// adopt takes in the messages of one side, in their order.
func (q *Queue) adopt(s side) error {
	q.nextSeq = max(q.nextSeq, s.next)
	for _, seq := range slices.Sorted(maps.Keys(s.entries)) {
		e := s.entries[seq]
		id := ""
		if q.set.RequiresSession {
			if id = e.msg.GroupID(); id == "" {
				return ErrSessionIDMissing
			}
		}
		e.lane, e.logged = q.lane(id), true
		e.lane.messages++
		q.log.add(e)
		switch e.state {
		case Active:
			q.ready(e, q.now())
		case Scheduled:
			q.wake(e, e.enqueued)
		case locked:
			q.giveBack(e, true)
		}
	}
	return nil
}

package emulator

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/access"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
	"github.com/password-writeback/writeback/relay/emulator/internal/store"
)

// entity is a queue with what the service knows about it beyond its messages. It is never changed, only replaced: links
// keep the one they were attached to, and share its broker with the one that took its place.
type entity struct {
	Queue
	broker *broker.Queue
	keys   []access.Key
	about  about
	file   *store.File // nil unless the queue is kept in a directory
}

// about is what the management interface remembers of a queue and the broker has no use for.
type about struct {
	Status             string
	MaxSizeInMegabytes int32
	UserMetadata       string
	DuplicateHistory   time.Duration // the window, also while duplicate detection is off
	Created, Updated   time.Time
}

// key is how an entity is found.
func (e *entity) key() string { return strings.ToLower(e.Name) }

// settings are what its broker must know.
func (q Queue) settings() broker.Settings {
	return broker.Settings{
		Name:               q.Name,
		RequiresSession:    q.RequiresSession,
		LockDuration:       q.LockDuration,
		DefaultTTL:         q.DefaultTTL,
		DuplicateWindow:    q.DuplicateWindow,
		MaxDeliveryCount:   q.MaxDeliveryCount,
		DeadLetterOnExpiry: q.DeadLetterOnExpiry,
	}
}

// registry holds the queues of a namespace by name in lower case. The zero value is empty.
type registry struct {
	mu     sync.RWMutex
	byName map[string]*entity
}

// find looks a queue up by its name in any case.
func (r *registry) find(name string) (*entity, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.byName[strings.ToLower(name)]
	return e, ok
}

// put adds an entity or takes the place of the one with its name.
func (r *registry) put(e *entity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = map[string]*entity{}
	}
	r.byName[e.key()] = e
}

func (r *registry) remove(e *entity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byName, e.key())
}

// all lists the queues by name.
func (r *registry) all() []*entity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*entity, 0, len(r.byName))
	for _, e := range r.byName {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entity) int { return cmp.Compare(a.key(), b.key()) })
	return out
}

// Statuses of a queue.
const (
	statusActive          = "Active"
	statusDisabled        = "Disabled"
	statusSendDisabled    = "SendDisabled"
	statusReceiveDisabled = "ReceiveDisabled"
)

// disabled is why the queue's status forbids a use, nil when it does not.
func (e *entity) disabled(use access.Rights) *amqp.Error {
	switch e.about.Status {
	case statusDisabled:
	case statusSendDisabled:
		if use != access.Send {
			return nil
		}
	case statusReceiveDisabled:
		if use != access.Listen {
			return nil
		}
	default:
		return nil
	}
	return amqp.Errorf("com.microsoft:entity-disabled",
		"Messaging entity '%s' is currently disabled (status %s).", e.Name, e.about.Status)
}

// live is the entity that n stands for now. An error says that it is gone or that its status forbids the use.
func (s *Server) live(n node, use access.Rights) *amqp.Error {
	e, ok := s.queues.find(n.entity.Name)
	if !ok || e.broker != n.entity.broker {
		return notFound(n.name)
	}
	return e.disabled(use)
}

// unusable is the answer of a management node whose queue live does not find fit.
func unusable(err *amqp.Error) response {
	status := statusBadRequest
	if err.Condition == conditionNotFound {
		status = statusNotFound
	}
	return response{status: status, description: err.Description, condition: err.Condition}
}

const conditionNotFound = "amqp:not-found"

func notFound(name string) *amqp.Error {
	return amqp.Errorf(conditionNotFound, "The messaging entity '%s' could not be found.", name)
}

// review detaches, on every connection, the links to a queue that may not go on: the queue is gone, or its new status
// forbids their use. Each connection does so when it gets to it.
func (s *Server) review(e *entity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.owners {
		c.inbox.post(func() { c.review(e.broker) })
	}
}

func (c *conn) review(q *broker.Queue) {
	for _, s := range c.sessions {
		for _, l := range s.links {
			b := l.base()
			if b.detached || b.node.entity == nil || b.node.entity.broker != q {
				continue
			}
			use := b.need
			if b.node.kind == nodeManagement {
				use = 0 // stays for what the status leaves
			}
			if err := c.srv.live(b.node, use); err != nil {
				s.detachWith(l, err)
			}
		}
	}
}

// own notes a connection whose goroutine is about to run, disown that it has ended.
func (s *Server) own(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[c] = struct{}{}
}

func (s *Server) disown(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owners, c)
}

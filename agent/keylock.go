package agent

import (
	"context"
	"errors"
	"sync"
)

// maxWaiters is how many deliveries may wait for one key: the rest would only hold slots that other people's requests need.
const maxWaiters = 2

// errCrowded refuses to wait where enough others wait already.
var errCrowded = errors.New("too many wait for the same")

// keyLock gives out one lock per key: one delivery of a request at a time, one request of an account at a time.
type keyLock[K comparable] struct {
	mu      sync.Mutex
	holders map[K]*holder
	waiting int // for all keys
	most    int // that may wait for all keys
}

// holder is the lock of one key; it exists while somebody holds it or waits for it.
type holder struct {
	turn    chan struct{} // holds one token while nobody has the lock
	users   int
	waiting int
}

// newKeyLock makes a lock for which at most most callers wait, and at most [maxWaiters] for one key.
func newKeyLock[K comparable](most int) *keyLock[K] {
	return &keyLock[K]{holders: map[K]*holder{}, most: most}
}

// acquire waits for the lock of key until ctx ends, or not at all where too many wait (errCrowded). waited tells that somebody
// else had it in between. The release function may be called more than once.
func (l *keyLock[K]) acquire(ctx context.Context, key K) (release func(), waited bool, err error) {
	h := l.join(key)
	release = sync.OnceFunc(func() { h.turn <- struct{}{}; l.leave(key, h) })
	select {
	case <-h.turn:
		return release, false, nil
	default:
	}
	if !l.beginWaiting(h) {
		l.leave(key, h)
		return nil, true, errCrowded
	}
	defer l.endWaiting(h)
	select {
	case <-h.turn:
		return release, true, nil
	case <-ctx.Done():
		l.leave(key, h)
		return nil, true, context.Cause(ctx)
	}
}

// tryAcquire takes the lock of key only if nobody has it.
func (l *keyLock[K]) tryAcquire(key K) (release func(), ok bool) {
	impatient, end := context.WithCancel(context.Background())
	end()
	release, _, err := l.acquire(impatient, key)
	return release, err == nil
}

func (l *keyLock[K]) beginWaiting(h *holder) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.waiting >= maxWaiters || l.waiting >= l.most {
		return false
	}
	h.waiting++
	l.waiting++
	return true
}

func (l *keyLock[K]) endWaiting(h *holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.waiting--
	l.waiting--
}

func (l *keyLock[K]) join(key K) *holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.holders[key]
	if !ok {
		h = &holder{turn: make(chan struct{}, 1)}
		h.turn <- struct{}{}
		l.holders[key] = h
	}
	h.users++
	return h
}

func (l *keyLock[K]) leave(key K, h *holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.users--
	if h.users == 0 {
		delete(l.holders, key)
	}
}

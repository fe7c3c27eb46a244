package ldapwriter

import (
	"context"
	"sync"
	"time"
)

// idleLimit is how long an unused connection is kept. AD closes idle ones after 15 minutes (MaxConnIdleTime), firewalls
// forget them sooner and without a word.
const idleLimit = 5 * time.Minute

// pool keeps the open connections to one controller. The most recently used one is handed out first: it is the one
// least likely to have died unnoticed.
type pool struct {
	permits chan struct{} // one for each connection that may be open

	mu     sync.Mutex
	idle   []*session // the last one was used last
	closed bool
}

func newPool(size int) *pool { return &pool{permits: make(chan struct{}, size)} }

// take returns an idle session, or nil with the permission to open one. Either must be given back by put or fail.
func (p *pool) take(ctx context.Context) (*session, error) {
	select {
	case p.permits <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return p.pop(), nil
}

func (p *pool) pop() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		s := p.idle[last]
		p.idle = p.idle[:last]
		if s.usable() && time.Since(s.lastUsed) < idleLimit {
			return s
		}
		go s.close()
	}
	return nil
}

// put gives a session and its permit back; one that is not usable is closed.
func (p *pool) put(s *session) {
	p.mu.Lock()
	keep := s.usable() && !p.closed
	if keep {
		p.idle = append(p.idle, s)
	}
	p.mu.Unlock()
	if !keep {
		s.close()
	}
	p.giveUp()
}

// giveUp gives back a permit that led to no session.
func (p *pool) giveUp() { <-p.permits }

// drop closes all idle sessions: when one turned out dead, its neighbours are.
func (p *pool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
}

// close closes idle sessions now and the others as they come back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop()
}

// open counts the connections in use and idle.
func (p *pool) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive := 0
	for _, s := range p.idle {
		if s.usable() {
			alive++
		}
	}
	return alive + len(p.permits)
}

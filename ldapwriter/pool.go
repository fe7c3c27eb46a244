package ldapwriter

import (
	"context"
	"errors"
	"sync"
	"time"
)

// idleLimit is how long an unused connection is kept. AD closes idle ones after 15 minutes (MaxConnIdleTime), firewalls
// forget them sooner and without a word.
const idleLimit = 5 * time.Minute

// sessionLife is how long a connection is used at most: a controller's renewed certificate, and an authority or pin that is no longer
// trusted, count from the next connection on.
const sessionLife = time.Hour

// dialsAtOnce bounds the connections being opened: Samba's listen backlog is 10 for all its clients, and beyond it each costs a second.
const dialsAtOnce = 3

// errBusy is a wait for a connection that was called off because the controller gives no answers.
var errBusy = errors.New("all connections wait for the controller, which gives no answer")

// pool keeps the open connections to one controller. The most recently used one is handed out first: it is the one
// least likely to have died unnoticed.
type pool struct {
	permits chan struct{} // one for each connection that may be open
	dials   chan struct{} // one for each that may be in the making

	mu     sync.Mutex
	idle   []*session // the last one was used last
	closed bool
	stuck  chan struct{} // closed when those who wait had better look elsewhere
}

func newPool(size int) *pool {
	return &pool{permits: make(chan struct{}, size), dials: make(chan struct{}, dialsAtOnce), stuck: make(chan struct{})}
}

// take returns an idle session, or nil with the permission to open one. A session must be given back by put, the permission by dialed
// or giveUp.
func (p *pool) take(ctx context.Context) (*session, error) {
	stuck := p.waiting()
	if err := enter(ctx, p.permits, stuck); err != nil {
		return nil, err
	}
	if s := p.pop(); s != nil {
		return s, nil
	}
	if err := enter(ctx, p.dials, stuck); err != nil {
		p.giveUp()
		return nil, err
	}
	if s := p.pop(); s != nil { // somebody finished meanwhile
		p.dialed()
		return s, nil
	}
	return nil, nil
}

// dialed ends the making of a connection, successful or not.
func (p *pool) dialed() { <-p.dials }

// enter waits for a place in line.
func enter(ctx context.Context, line chan struct{}, stuck <-chan struct{}) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case line <- struct{}{}:
		return nil
	case <-stuck:
		return errBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pool) waiting() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stuck
}

// wake sends away those who wait for a connection now. Who comes later waits again: that is how a controller is tried once more.
func (p *pool) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.stuck)
	p.stuck = make(chan struct{})
}

func (p *pool) pop() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		s := p.idle[last]
		p.idle = p.idle[:last]
		if s.usable() && time.Since(s.lastUsed) < idleLimit && time.Since(s.opened) < sessionLife {
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

package relay

import (
	"context"
	"sync"
	"time"
)

// How often old samples are looked for, and how soon after that failed.
const (
	purgeEvery = time.Hour
	purgeRetry = 5 * time.Minute
	purgeLimit = 2 * time.Minute  // of one run
	purgeLater = 10 * time.Second // while the queue cannot be reached at all
)

// sampler allows perHour samples in any sixty minutes.
type sampler struct {
	mu      sync.Mutex
	perHour int
	taken   []time.Time // oldest first, at most perHour of them
}

// allow reports whether another sample may be taken now, and notes it.
func (s *sampler) allow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.taken) > 0 && now.Sub(s.taken[0]) >= time.Hour {
		s.taken = s.taken[1:]
	}
	if len(s.taken) >= s.perHour {
		return false
	}
	s.taken = append(s.taken, now)
	return true
}

// purgeSamples removes old samples at start and every hour until ctx ends.
func (l *Loop) purgeSamples(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx.Done(), l.purgeOnce(ctx))
	}
}

// purgeOnce removes old samples and returns how long to wait before doing it again.
func (l *Loop) purgeOnce(ctx context.Context) time.Duration {
	if connected, _ := l.config.Source.Connected(); !connected {
		return purgeLater // the intake says so already
	}
	limited, cancel := context.WithTimeout(ctx, purgeLimit)
	defer cancel()
	removed, err := l.config.Source.PurgeSamples(limited, time.Now().Add(-l.config.SampleAge))
	if removed > 0 {
		l.log.WithField("removed", removed).Info("relay: removed old dead-letter samples")
	}
	if err == nil {
		return purgeEvery
	}
	if ctx.Err() == nil {
		l.log.WithError(err).WithField("retry_in", purgeRetry.String()).Warn("relay: cannot look for old dead-letter samples")
	}
	return purgeRetry
}

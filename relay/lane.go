package relay

import (
	"cmp"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// laneWidth is how many results are sent to one queue at once: one answer need not wait for the broker's word on another.
const laneWidth = 8

// lane is what waits for one results queue. A queue that refuses holds up its own lane only.
type lane struct {
	waiting []*parcel // oldest first
	flying  int
	retry   retryTime
}

func newLane() *lane { return &lane{retry: newRetryTime()} }

func (l *lane) add(p *parcel) { l.waiting = append(l.waiting, p) }

// next takes the parcel that may leave now, or returns nil. While the queue refuses, one parcel at a time finds out whether it still does.
func (l *lane) next(now time.Time) *parcel {
	width := laneWidth
	if l.retry.failing {
		width = 1
	}
	if len(l.waiting) == 0 || l.flying >= width || l.retry.resting(now) {
		return nil
	}
	first := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.flying++
	return first
}

func (l *lane) arrived() {
	l.flying--
	l.retry.succeeded()
}

// returned puts a parcel that did not arrive back in its place and returns how long the lane rests.
func (l *lane) returned(p *parcel, now time.Time) time.Duration {
	l.flying--
	at, _ := slices.BinarySearchFunc(l.waiting, p, func(a, b *parcel) int { return cmp.Compare(a.Sequence, b.Sequence) })
	l.waiting = slices.Insert(l.waiting, at, p)
	l.retry.failed(now)
	return l.retry.pause(now)
}

// never is longer than any retry: nothing is due.
const never = 24 * time.Hour

// retryTime says when something that failed may be tried again.
type retryTime struct {
	failing bool
	at      time.Time
	backoff *backoff.ExponentialBackOff
}

func newRetryTime() retryTime { return retryTime{backoff: newBackOff()} }

func (r *retryTime) succeeded() {
	r.failing = false
	r.backoff.Reset()
}

// failed sets the next try. Failures of a burst count once: only the first after the last retry time moves it.
func (r *retryTime) failed(now time.Time) {
	if r.resting(now) {
		return
	}
	r.failing = true
	r.at = now.Add(r.backoff.NextBackOff())
}

// due reports whether a failure waits to be tried again now.
func (r *retryTime) due(now time.Time) bool { return r.failing && !now.Before(r.at) }

// resting reports whether something failed and may not be tried again yet.
func (r *retryTime) resting(now time.Time) bool { return r.failing && now.Before(r.at) }

// pause returns how long to wait for the next try; [never] when nothing failed.
func (r *retryTime) pause(now time.Time) time.Duration {
	if !r.failing {
		return never
	}
	return max(0, r.at.Sub(now))
}

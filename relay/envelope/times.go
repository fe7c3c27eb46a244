package envelope

import (
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// The protocol's limits of time.
const (
	DefaultMaxLife = 120 * time.Second // greatest exp - iat
	DefaultSkew    = 30 * time.Second  // by how much the clocks of portal and agent may differ
)

// Limits are an agent's limits of time. Zero values stand for the protocol's own.
type Limits struct {
	MaxLife time.Duration
	Skew    time.Duration
}

// JudgeTimes compares a request's times with the agent's clock. Errors are *[writeback.Error]: envelope.malformed where the request claims a longer life than
// allowed or a person verified after it was issued, request.not_yet_valid, or request.expired. At exactly exp + Skew it has expired.
func JudgeTimes(claims writeback.Claims, now time.Time, limits Limits) error {
	life, skew := limits.MaxLife, limits.Skew
	if life <= 0 {
		life = DefaultMaxLife
	}
	if skew <= 0 {
		skew = DefaultSkew
	}
	switch {
	case claims.ExpiresAt.Sub(claims.IssuedAt) > life:
		return fault(writeback.EnvelopeMalformed, "lives for %s, allowed are %s", claims.ExpiresAt.Sub(claims.IssuedAt), life)
	case claims.AuthTime.After(claims.IssuedAt.Add(skew)):
		return fault(writeback.EnvelopeMalformed, "auth_time is after iat")
	case claims.IssuedAt.After(now.Add(skew)) || claims.NotBefore.After(now.Add(skew)):
		return fault(writeback.RequestNotYetValid, "issued at %s, not before %s", stamp(claims.IssuedAt), stamp(claims.NotBefore))
	case !now.Before(claims.ExpiresAt.Add(skew)):
		return fault(writeback.RequestExpired, "expired at %s", stamp(claims.ExpiresAt))
	}
	return nil
}

// stamp writes a time for people.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "(not stated)"
	}
	return t.UTC().Format(time.RFC3339)
}

package envelope_test

import (
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func TestJudgeTimes(t *testing.T) {
	issued := time.Unix(1_780_000_000, 0)
	at := func(seconds int) time.Time { return issued.Add(time.Duration(seconds) * time.Second) }
	claims := writeback.Claims{IssuedAt: issued, ExpiresAt: at(60)}
	short := envelope.Limits{MaxLife: 30 * time.Second, Skew: time.Second}
	for _, test := range []struct {
		name   string
		edit   func(*writeback.Claims)
		now    time.Time
		limits envelope.Limits
		want   writeback.Reason
	}{
		{"in its life", nil, at(30), envelope.Limits{}, writeback.ReasonOK},
		{"as early as may be", nil, at(-30), envelope.Limits{}, writeback.ReasonOK},
		{"too early", nil, at(-31), envelope.Limits{}, writeback.RequestNotYetValid},
		{"as late as may be", nil, at(90).Add(-1), envelope.Limits{}, writeback.ReasonOK},
		{"expired", nil, at(90), envelope.Limits{}, writeback.RequestExpired},
		{"long ago", nil, at(9000), envelope.Limits{}, writeback.RequestExpired},
		{"longest life", func(c *writeback.Claims) { c.ExpiresAt = at(120) }, at(0), envelope.Limits{}, writeback.ReasonOK},
		{"too long a life", func(c *writeback.Claims) { c.ExpiresAt = at(121) }, at(0), envelope.Limits{}, writeback.EnvelopeMalformed},
		{"too long a life, long ago", func(c *writeback.Claims) { c.ExpiresAt = at(121) }, at(9000), envelope.Limits{}, writeback.EnvelopeMalformed},
		{"too long for this agent", nil, at(0), short, writeback.EnvelopeMalformed},
		{"not before, within the skew", func(c *writeback.Claims) { c.NotBefore = at(50) }, at(20), envelope.Limits{}, writeback.ReasonOK},
		{"not before", func(c *writeback.Claims) { c.NotBefore = at(50) }, at(19), envelope.Limits{}, writeback.RequestNotYetValid},
		{"verified before", func(c *writeback.Claims) { c.AuthTime = at(-900) }, at(0), envelope.Limits{}, writeback.ReasonOK},
		{"verified after it was issued", func(c *writeback.Claims) { c.AuthTime = at(31) }, at(0), envelope.Limits{}, writeback.EnvelopeMalformed},
		{"less skew", func(c *writeback.Claims) { c.ExpiresAt = at(30) }, at(31), short, writeback.RequestExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims := claims
			if test.edit != nil {
				test.edit(&claims)
			}
			if err := envelope.JudgeTimes(claims, test.now, test.limits); writeback.ReasonOf(err) != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

package app

import (
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// openerPort lets the pipeline use an envelope.Opener.
type openerPort struct {
	opener *envelope.Opener
	limits envelope.Limits
}

// Verify implements agent.Envelope.
func (p openerPort) Verify(token []byte) (agent.Signed, error) {
	verified, err := p.opener.Verify(token)
	if err != nil && !verified.Answerable() {
		return nil, err
	}
	return signed{opener: p.opener, verified: verified}, err
}

// JudgeTimes implements agent.Envelope.
func (p openerPort) JudgeTimes(claims writeback.Claims, now time.Time) error {
	return envelope.JudgeTimes(claims, now, p.limits)
}

// signed pairs what was verified with the only opener that opens it.
type signed struct {
	opener   *envelope.Opener
	verified envelope.Verified
}

func (s signed) Claims() writeback.Claims { return s.verified.Claims() }

func (s signed) Open() (*writeback.Request, error) { return s.opener.Decrypt(s.verified) }

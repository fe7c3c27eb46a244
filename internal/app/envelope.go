package app

import (
	"errors"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// openerPort lets the pipeline use an envelope.Opener.
type openerPort struct {
	opener *envelope.Opener
	limits envelope.Limits
}

func newEnvelope(cfg *config.Config, own agentKeys) (openerPort, error) {
	var faults objections
	issuers := issuerKeys(cfg, faults.add)
	if err := errors.Join(faults...); err != nil {
		return openerPort{}, err
	}
	opener, err := envelope.NewOpener(envelope.OpenerConfig{Group: cfg.Group, Issuers: issuers, SealingKeys: own.sealing})
	if err != nil {
		return openerPort{}, err
	}
	limits := envelope.Limits{MaxLife: cfg.Policy.MaxRequestLife, Skew: cfg.Policy.ClockSkew}
	return openerPort{opener: opener, limits: limits}, nil
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

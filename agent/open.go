package agent

import (
	"context"
	"errors"

	"github.com/password-writeback/writeback/internal/writeback"
)

// verify is step 2. A message that does not verify gets silence: an answer would be an oracle.
func (p *Pipeline) verify(ctx context.Context, j *job) *ending {
	signed, err := p.Envelope.Verify(j.delivery.Body)
	if signed == nil {
		if err == nil {
			err = writeback.NewError(writeback.AgentInternal, errors.New("nothing was verified"))
		}
		return silent(discardReason(err), err)
	}
	j.signed, j.claims = signed, signed.Claims()
	if end := p.takeTurn(ctx, j); end != nil {
		return end
	}
	if err != nil {
		return p.refuseUnopened(ctx, j, err)
	}
	return nil
}

// discardReason keeps an unforeseen error from being answered: nothing was verified.
func discardReason(err error) writeback.Reason {
	if reason := writeback.ReasonOf(err); writeback.Lookup(reason).Settlement == writeback.Discard {
		return reason
	}
	return writeback.EnvelopeMalformed
}

// takeTurn makes deliveries of the same request follow one another: the second meets the first one's record. Copies beyond those
// that may wait are removed: the first one's answer is theirs, and nothing else can be said about it yet.
func (p *Pipeline) takeTurn(ctx context.Context, j *job) *ending {
	release, _, err := p.requests.acquire(ctx, j.claims.Key())
	if errors.Is(err, errCrowded) {
		return silent(writeback.RequestInProgress, err)
	}
	if err != nil {
		return silent(writeback.AgentStopping, err)
	}
	j.releases = append(j.releases, release)
	return nil
}

// open is step 3.
func (p *Pipeline) open(ctx context.Context, j *job) *ending {
	request, err := j.signed.Open()
	notForUs := writeback.ReasonOf(err) == writeback.EnvelopeNotForUs
	p.Recorder.Addressed(j.claims.Issuer, !notForUs)
	if notForUs && writeback.Settle(writeback.EnvelopeNotForUs, j.delivery.Count) == writeback.Abandon {
		return silent(writeback.EnvelopeNotForUs, err)
	}
	if err != nil {
		return p.refuseUnopened(ctx, j, err)
	}
	j.request = request
	return nil
}

// refuseUnopened answers a request that was signed but cannot be served. If the ledger knows the request already, its
// outcome stands and is not touched. Without a readable expiry it gets silence: it could be repeated and answered without end.
func (p *Pipeline) refuseUnopened(ctx context.Context, j *job, err error) *ending {
	if j.claims.ExpiresAt.IsZero() {
		return silent(writeback.ReasonOf(err), err)
	}
	record, known, ledgerErr := p.Ledger.Get(ctx, j.claims.Key())
	if ledgerErr != nil {
		return p.ledgerFailed(ctx, ledgerErr)
	}
	if known {
		return p.remembered(ctx, j, record)
	}
	if end := p.limit(j); end != nil {
		return end
	}
	if p.expired(j.claims) {
		return p.tooLate(ctx, j)
	}
	return refuse(err)
}

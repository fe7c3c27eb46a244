package requester

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Verification says who asks and how the portal made sure of it. The agent's administrator decides per portal what is enough.
type Verification struct {
	Actor    Actor     // the zero Actor: the user, for the own account
	AuthTime time.Time // when the person was verified; zero: not stated
	Methods  []string  // how: RFC 8176 values such as "otp", "face", "hwk"; each once; nil: not stated
}

// ResetRequest asks for a new password without knowing the old one.
type ResetRequest struct {
	User       Subject
	Password   Secret // as typed: neither trimmed nor normalised; not destroyed
	MustChange bool   // the user must choose another password at the next logon
	KeepLocked bool   // leave a locked account locked; else a reset also unlocks
	By         Verification
}

// UnlockRequest asks to unlock an account without touching its password.
type UnlockRequest struct {
	User Subject
	By   Verification
}

// Reset asks for a new password and waits for the answer until ctx ends, or until the request can no longer be served.
//
// The error is nil exactly if an agent answered: what became of the request then stands in the result's Outcome, which may well be a refusal.
// Errors: *[Error] for a request that cannot be made (nothing was sent); *[ExchangeError] with [ErrNotConfirmed] or [ErrNoAnswer], both of
// which leave the outcome unknown.
func (c *Client) Reset(ctx context.Context, reset ResetRequest) (Result, error) {
	prepared, err := c.PrepareReset(reset)
	if err != nil {
		return Result{}, err
	}
	return c.Exchange(ctx, prepared.Token)
}

// Unlock asks to unlock an account. Waiting and errors are as with Reset.
func (c *Client) Unlock(ctx context.Context, unlock UnlockRequest) (Result, error) {
	prepared, err := c.PrepareUnlock(unlock)
	if err != nil {
		return Result{}, err
	}
	return c.Exchange(ctx, prepared.Token)
}

// Ping asks whether an agent is there that can open this portal's requests; the answer has the verdict [OK]. Waiting and errors are as with
// Reset.
func (c *Client) Ping(ctx context.Context) (Result, error) {
	prepared, err := c.PreparePing()
	if err != nil {
		return Result{}, err
	}
	return c.Exchange(ctx, prepared.Token)
}

// PrepareReset signs and seals a reset without sending it.
func (c *Client) PrepareReset(reset ResetRequest) (Prepared, error) {
	return c.prepare(writeback.Request{
		Claims:  writeback.Claims{Operation: writeback.OpReset},
		Subject: reset.User, Password: reset.Password, MustChange: reset.MustChange, Unlock: !reset.KeepLocked,
	}, reset.By)
}

// PrepareUnlock signs and seals an unlock without sending it.
func (c *Client) PrepareUnlock(unlock UnlockRequest) (Prepared, error) {
	return c.prepare(writeback.Request{Claims: writeback.Claims{Operation: writeback.OpUnlock}, Subject: unlock.User}, unlock.By)
}

// PreparePing signs and seals a ping without sending it.
func (c *Client) PreparePing() (Prepared, error) {
	return c.prepare(writeback.Request{Claims: writeback.Claims{Operation: writeback.OpPing}}, Verification{})
}

func (c *Client) prepare(request writeback.Request, by Verification) (Prepared, error) {
	if by.Actor.Kind == "" {
		by.Actor.Kind = ActorSelf
	}
	request.Actor, request.AuthTime, request.Methods = by.Actor, by.AuthTime, by.Methods
	request.ReplySession = c.config.Session
	return c.sealer.Seal(request)
}

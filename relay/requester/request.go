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

// ChangeRequest asks for a new password with the old one as proof: the rules for users apply, history and minimum age among them.
type ChangeRequest struct {
	User        Subject
	OldPassword Secret // as typed; not destroyed
	Password    Secret // as typed: neither trimmed nor normalised; not destroyed
	By          Verification
}

// CheckRequest asks what a reset of the user would meet, whatever the password. Nothing is written.
type CheckRequest struct {
	User Subject
	By   Verification
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

// Change asks for a new password on the strength of the old one. A wrong old password is answered with password.old_incorrect; an agent
// grants a user few of those. Waiting and errors are as with Reset.
func (c *Client) Change(ctx context.Context, change ChangeRequest) (Result, error) {
	prepared, err := c.PrepareChange(change)
	if err != nil {
		return Result{}, err
	}
	return c.Exchange(ctx, prepared.Token)
}

// Check asks, before a person is made to choose a password, whether a reset can succeed. The verdict [OK] says that nothing stands against it,
// and the outcome's Detail what is worth showing beforehand, such as MinLength; otherwise the reason is the one the reset would end with.
// Out of the portal's scope every user is answered alike, existing or not. Waiting and errors are as with Reset.
func (c *Client) Check(ctx context.Context, check CheckRequest) (Result, error) {
	prepared, err := c.PrepareCheck(check)
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

// PrepareChange signs and seals a change without sending it.
func (c *Client) PrepareChange(change ChangeRequest) (Prepared, error) {
	return c.prepare(writeback.Request{
		Claims:  writeback.Claims{Operation: writeback.OpChange},
		Subject: change.User, OldPassword: change.OldPassword, Password: change.Password,
	}, change.By)
}

// PrepareCheck signs and seals a check without sending it.
func (c *Client) PrepareCheck(check CheckRequest) (Prepared, error) {
	return c.prepare(writeback.Request{Claims: writeback.Claims{Operation: writeback.OpCheck}, Subject: check.User}, check.By)
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
	return c.keys.Load().sealer.Seal(request)
}

package ldapwriter

import (
	"context"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// ProbeResult says whether a password is the account's.
type ProbeResult string

// The results.
const (
	ProbeOurs         ProbeResult = "ours"         // the bind succeeded, or the password has expired (532) or must be changed (773): it is right
	ProbeNotOurs      ProbeResult = "not_ours"     // the controller called it wrong (52e)
	ProbeInconclusive ProbeResult = "inconclusive" // any other answer, or none
)

// Probe binds once as the account, with password, on a connection of its own to the controller the account was read from. A wrong
// password counts against the account's lockout threshold and a right one may be an old one within its hour of grace, so it is for the
// caller to decide whether a probe is due and what it proves. The error says why a result is inconclusive; it is nil otherwise.
func (d *Directory) Probe(ctx context.Context, account writeback.Account, password secret.Value) (ProbeResult, error) {
	c, err := d.pinned(account)
	if err != nil {
		return ProbeInconclusive, err
	}
	// The name is read again: for an account that was moved meanwhile, the old name would look like a wrong password.
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, []string{"objectGUID"})
	if err != nil {
		return ProbeInconclusive, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.DialTimeout, errTimeout("probing", c.domain.DialTimeout))
	defer cancel()
	s, err := dial(ctx, c.address, c.tls)
	if err != nil {
		return ProbeInconclusive, unavailable(err)
	}
	defer s.close()
	return probed(s.bind(ctx, seen.entry.DN, password))
}

// probed judges the answer to a bind.
func probed(err error) (ProbeResult, error) {
	if err == nil {
		return ProbeOurs, nil
	}
	if ldap.IsErrorWithCode(err, ldap.ErrorEmptyPassword) {
		return ProbeInconclusive, writeback.NewError(writeback.PasswordInvalidCharacters, err)
	}
	switch bindCode(err) {
	case bindPasswordExpired, bindMustChange:
		return ProbeOurs, nil
	case bindWrongPassword:
		return ProbeNotOurs, nil
	}
	return ProbeInconclusive, unavailable(err)
}

package ldapwriter

import (
	"context"
	"errors"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// ProbeResult says whether a password is the account's.
type ProbeResult string

// The results.
const (
	ProbeOurs         ProbeResult = "ours"         // the bind succeeded, or the password has expired (532) or must be changed (773): it is right
	ProbeNotOurs      ProbeResult = "not_ours"     // the controller called it wrong (52e)
	ProbeInconclusive ProbeResult = "inconclusive" // any other answer, or none
)

// Probe tries password once for the account, at the controller the account was read from. A wrong password counts once against the
// account's lockout threshold, and with a simple bind a right one may be an old one within its hour of grace, so it is for the caller to
// decide whether a probe is due and what it proves. The error says why a result is inconclusive; it is nil otherwise.
//
// Where the domain's bind method is Kerberos or that of the service, the controller's KDC is asked first: it grants old passwords nothing, and
// takes those of accounts that may not bind with a password. A bind follows only where the KDC cannot have counted anything, or says that
// the password has expired.
func (d *Directory) Probe(ctx context.Context, account writeback.Account, password secret.Value) (ProbeResult, error) {
	c, err := d.pinned(account)
	if err != nil {
		return ProbeInconclusive, err
	}
	// The name is read again: for an account that was moved meanwhile, the old name would look like a wrong password.
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, []string{"objectGUID", "sAMAccountName"})
	if err != nil {
		return ProbeInconclusive, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.DialTimeout, errTimeout("probing", c.domain.DialTimeout))
	defer cancel()
	if c.domain.BindMethod != BindSimple && !password.Empty() {
		result, final, err := c.probeByKerberos(ctx, seen.entry.GetEqualFoldAttributeValue("sAMAccountName"), password)
		if final {
			return result, err
		}
	}
	s, err := c.dial(ctx)
	if err != nil {
		return ProbeInconclusive, unavailable(err)
	}
	defer s.close()
	return probed(s.bind(ctx, seen.entry.DN, password))
}

// probeByKerberos asks the controller's own KDC. final is false where a bind may still follow.
func (c *controller) probeByKerberos(ctx context.Context, login string, password secret.Value) (result ProbeResult, final bool, err error) {
	counted, err := kerberos.Check(ctx, c.kdcDialer(), kdcOf(c.address), login, strings.ToUpper(c.domain.Name), password)
	return probedByKerberos(counted, err)
}

// probedByKerberos judges a KDC's answer; counted says whether it may have counted a wrong password.
func probedByKerberos(counted bool, err error) (result ProbeResult, final bool, failure error) {
	var refusal *kerberos.Refusal
	switch {
	case err == nil:
		return ProbeOurs, true, nil
	case !counted:
		return ProbeInconclusive, false, err
	case !errors.As(err, &refusal):
		return ProbeInconclusive, true, unavailable(err)
	case refusal.Code == kerberos.WrongKey:
		return ProbeNotOurs, true, nil
	case refusal.Code == kerberos.PasswordExpired:
		// Windows says so only of a right password. A bind says it too, inside TLS, where nobody can forge it.
		return ProbeInconclusive, false, err
	}
	return ProbeInconclusive, true, unavailable(err)
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

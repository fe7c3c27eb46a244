package ldapwriter

import (
	"crypto/x509"
	"errors"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Sub-codes of a refused bind, the hex number after "data" in AD's message: Windows error codes (MS-ERREF 2.2).
const (
	bindNoSuchUser      = "525" // ERROR_NO_SUCH_USER
	bindWrongPassword   = "52e" // ERROR_LOGON_FAILURE; Samba's answer for an unknown user too
	bindRestricted      = "52f" // ERROR_ACCOUNT_RESTRICTION, for example Protected Users
	bindWrongTime       = "530" // ERROR_INVALID_LOGON_HOURS
	bindWrongPlace      = "531" // ERROR_INVALID_WORKSTATION
	bindPasswordExpired = "532" // ERROR_PASSWORD_EXPIRED: the password was right
	bindDisabled        = "533" // ERROR_ACCOUNT_DISABLED
	bindAccountExpired  = "701" // ERROR_ACCOUNT_EXPIRED
	bindMustChange      = "773" // ERROR_PASSWORD_MUST_CHANGE: the password was right
	bindLockedOut       = "775" // ERROR_ACCOUNT_LOCKED_OUT
)

// bindCode returns the sub-code of a bind refused as invalid credentials; empty: it was not, or names none.
func bindCode(err error) string {
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		return ""
	}
	_, rest, found := strings.Cut(diagnose(err).text, ", data ")
	if !found {
		return ""
	}
	code, _, _ := strings.Cut(rest, ",")
	return strings.ToLower(strings.TrimSpace(code))
}

// bindFailure says what a bind of the delegated account that failed means; nil for one that did not.
func bindFailure(err error) error {
	if err == nil {
		return nil
	}
	if failure, ok := kerberosFailure(err); ok {
		return failure
	}
	code, ok := resultCode(err)
	if !ok {
		return &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: connectionHint(err), Cause: err}
	}
	if code == ldap.LDAPResultBusy || code == ldap.LDAPResultUnavailable {
		return writeback.NewError(writeback.DirectoryUnavailable, cleaned(err))
	}
	return &writeback.Error{Reason: writeback.DirectoryAccessDenied, Hint: bindHint(code, err), Cause: cleaned(err)}
}

func bindHint(code uint16, err error) string {
	switch {
	case diagnose(err).is(codeChannelBinding):
		return "The channel binding did not match (80090346): something between this host and the controller ends TLS. Connect to the controller itself."
	case code == ldap.LDAPResultStrongAuthRequired && strings.HasPrefix(diagnose(err).text, "SASL:"):
		// Samba 4.17; later ones take it with the channel binding (smb.conf(5), "ldap server require strong auth").
		return "The controller takes no Kerberos bind inside TLS: set \"ldap server require strong auth = allow_sasl_over_tls\" in its smb.conf, update it, or set domains[].bind.method to simple."
	case code == ldap.LDAPResultStrongAuthRequired:
		return "The controller demands a stronger bind (result code 8): signing or TLS is required by its policy. Set domains[].bind.method to kerberos."
	case code != ldap.LDAPResultInvalidCredentials:
		return "The controller refused the bind of the delegated account: see the cause."
	}
	switch sub := bindCode(err); sub {
	case bindWrongPassword, bindNoSuchUser:
		return "The delegated account's name or password is wrong (data " + sub + "): check domains[].bind. The same password is not tried again for at least a quarter of an hour."
	case bindRestricted:
		return "The delegated account may not bind with a password (data 52f): set domains[].bind.method to kerberos, or take it out of Protected Users and authentication policies."
	case bindWrongTime, bindWrongPlace:
		return "The delegated account may not log on at this time or from this host (data " + sub + ")."
	case bindPasswordExpired, bindMustChange:
		return "The delegated account's password has expired or must be changed (data " + sub + "): set a new one, with \"password never expires\" or a rotation."
	case bindDisabled, bindAccountExpired:
		return "The delegated account is disabled or has expired (data " + sub + ")."
	case bindLockedOut:
		return "The delegated account is locked out (data 775): find out who uses a wrong password, then unlock it. The next try follows within five minutes."
	}
	return "The controller refused the bind of the delegated account: see the cause."
}

// connectionHint says what to do about a connection that failed.
func connectionHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return "The controller's certificate is signed by an authority that is not trusted: set domains[].ca_file to the file of its issuing authority."
	case errors.As(err, &hostname):
		return "The controller's certificate does not carry the name it must: that it is listed by or, where DNS named it, the domain's. Correct the list or the certificate, or pin it."
	case errors.As(err, &invalid):
		return "The controller's certificate is not valid: see the cause."
	}
	return ""
}

// hintOf returns the outermost hint in err's chain.
func hintOf(err error) string {
	var typed *writeback.Error
	for errors.As(err, &typed) {
		if typed.Hint != "" {
			return typed.Hint
		}
		err = typed.Cause
	}
	return ""
}

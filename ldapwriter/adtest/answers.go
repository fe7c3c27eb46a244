package adtest

import "fmt"

// Result codes (RFC 4511 section 4.1.9).
const (
	success                = 0
	operationsError        = 1
	protocolError          = 2
	sizeLimitExceeded      = 4
	authMethodNotSupported = 7
	strongAuthRequired     = 8
	unavailableCritical    = 12
	referral               = 10
	noSuchAttribute        = 16
	constraintViolation    = 19
	invalidSyntax          = 21
	noSuchObject           = 32
	invalidDN              = 34
	invalidCredentials     = 49
	insufficientRights     = 50
	unwillingToPerform     = 53
	other                  = 80
)

// Windows' answers. What leads them, the error code, is fixed by MS-ERREF; the rest differs between versions, and ends in a NUL.

func done() answer { return answer{code: success} }

func badBind(data string) answer {
	return answer{invalidCredentials, fmt.Sprintf("80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data %s, v4563\x00", data)}
}

func notBound() answer {
	return answer{operationsError, "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563\x00"}
}

func unknownControl() answer {
	return answer{unavailableCritical, "00000057: LdapErr: DSID-0C090A22, comment: Error processing control, data 0, v4563\x00"}
}

func noObject() answer {
	return answer{noSuchObject, "0000208D: NameErr: DSID-0310028C, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''\n\x00"}
}

func badName() answer {
	return answer{invalidDN, "0000208F: NameErr: DSID-03100233, problem 2006 (BAD_NAME), data 8350, best match of:\n\t''\n\x00"}
}

// policyRefusesReset is all that Windows says when a reset breaks the password policy, whichever part of it.
func policyRefusesReset() answer {
	return answer{unwillingToPerform, "0000052D: SvcErr: DSID-031A126C, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00"}
}

// passwordAttribute is the shape of refusals of a change (delete and add).
func passwordAttribute(code string) answer {
	return answer{constraintViolation, fmt.Sprintf(
		"%s: AtrErr: DSID-03190F80, #1:\n\t0: %s: DSID-03190F80, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n\x00", code, code)}
}

func policyRefusesChange() answer { return passwordAttribute("0000052D") }
func wrongOldPassword() answer    { return passwordAttribute("00000056") }
func mayNotChange() answer        { return passwordAttribute("00000005") }

// badPasswordValue: not quoted, not UTF-16LE, or not one value.
func badPasswordValue() answer {
	return answer{unwillingToPerform, "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00"}
}

func mayNotReset() answer {
	return answer{insufficientRights, "00000005: SecErr: DSID-031A11ED, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00"}
}

func mayNotWrite() answer {
	return answer{insufficientRights, "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00"}
}

func badAttributeValue(attribute string) answer {
	return answer{constraintViolation, fmt.Sprintf(
		"00000057: AtrErr: DSID-03191083, #1:\n\t0: 00000057: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att (%s)\n\x00", attribute)}
}

func unwilling() answer {
	return answer{unwillingToPerform, "00002035: SvcErr: DSID-03190F00, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00"}
}

// writableElsewhere is how a read-only controller refers a write to a writable one.
func writableElsewhere(domain string) answer {
	return answer{referral, fmt.Sprintf("0000202B: RefErr: DSID-0310082F, data 0, 1 access points\n\tref 1: '%s'\n\x00", domain)}
}

func malformedRequest() answer {
	return answer{protocolError, "00000057: LdapErr: DSID-0C0C0095, comment: Error decoding ldap message, data 0, v4563\x00"}
}

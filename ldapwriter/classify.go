package ldapwriter

import (
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// classify turns the controller's answer to a Modify into a reason: by the Windows error code first, then by the result code.
func classify(err error, operation writeback.Operation) *writeback.Error {
	said := diagnose(err)
	code, _ := resultCode(err)
	typed := &writeback.Error{Cause: cleaned(err)}
	if typed.Reason = byWindowsCode(said, code); typed.Reason == "" {
		typed.Reason = byResultCode(code, operation)
	}
	switch typed.Reason {
	case writeback.PasswordRefused:
		readEvidence(typed, said.text)
	case writeback.AgentInternal:
		typed.Hint = "The controller refused the form of the Modify: report the log entry."
	case writeback.DirectoryUnavailable:
		if code == ldap.LDAPResultReferral {
			typed.Hint = "The controller is read-only and referred to another: list only writable controllers."
		}
	}
	return typed
}

// byWindowsCode returns the reason of the leading error code; empty: there is none, or it does not decide.
func byWindowsCode(said diagnostic, code uint16) writeback.Reason {
	switch {
	case said.is(codePasswordRestriction):
		return writeback.PasswordRefused
	case said.is(codeInvalidPassword):
		return writeback.PasswordOldIncorrect
	case said.is(codeAccessDenied) && code == ldap.LDAPResultConstraintViolation:
		return writeback.PasswordCannotChange // the user's own right to change is denied
	case said.is(codeAccessDenied, codeInsufficientRights, codeNoAuthentication):
		return writeback.DirectoryAccessDenied
	case said.is(codeNoSuchObject, codeNoSuchObjectSamba) && code == ldap.LDAPResultNoSuchObject:
		return writeback.UserNotFound
	case said.is(codeGenFailure, codeUnwilling):
		return writeback.AgentInternal
	}
	return ""
}

// byResultCode is for answers without an error code that decides, as some of Samba's are.
func byResultCode(code uint16, operation writeback.Operation) writeback.Reason {
	if !operation.SetsPassword() && (code == ldap.LDAPResultConstraintViolation || code == ldap.LDAPResultUnwillingToPerform) {
		return writeback.AgentInternal // no password was sent that a policy could refuse
	}
	switch code {
	case ldap.LDAPResultUnavailableCriticalExtension:
		return writeback.DirectoryPolicyHintsMissing
	case ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired,
		ldap.LDAPResultInappropriateAuthentication:
		return writeback.DirectoryAccessDenied
	case ldap.LDAPResultNoSuchObject:
		return writeback.UserNotFound
	case ldap.LDAPResultConstraintViolation:
		if operation == writeback.OpChange {
			return writeback.PasswordCannotChange // Samba: the access check of the change right, without a code
		}
		return writeback.PasswordRefused
	case ldap.LDAPResultUnwillingToPerform:
		return writeback.PasswordRefused
	case ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInvalidAttributeSyntax,
		ldap.LDAPResultObjectClassViolation, ldap.LDAPResultProtocolError, ldap.LDAPResultOther:
		return writeback.AgentInternal
	}
	return writeback.DirectoryUnavailable
}

// readEvidence takes what Samba says after the code. Windows says nothing there, and nothing is concluded from that.
func readEvidence(typed *writeback.Error, text string) {
	switch {
	case strings.Contains(text, "the password is too short"):
		typed.Reason = writeback.PasswordTooShort
		typed.Detail.MinLength = numberAfter(text, "longer than ") // 4.17: "equal or longer than 8", 4.24: "equal to or ..."
	case strings.Contains(text, "does not meet the complexity criteria"):
		typed.Reason = writeback.PasswordTooSimple
	case strings.Contains(text, "the password was already used"):
		typed.Reason = writeback.PasswordInHistory
	case strings.Contains(text, "password is too young to change"):
		typed.Reason = writeback.PasswordTooRecent
	}
}

// numberAfter returns the decimal number that follows marker; 0 where there is none.
func numberAfter(text, marker string) int {
	_, rest, _ := strings.Cut(text, marker)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	n, err := strconv.Atoi(rest[:end])
	if err != nil || n > 1024 {
		return 0
	}
	return n
}

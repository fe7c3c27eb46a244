package ldapwriter

import (
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// Windows error codes that lead AD's diagnostic messages (MS-ERREF 2.2). They, not the result code and never the text or the
// DSID, say what happened: the same refusal comes with different result codes.
const (
	codeAccessDenied        = 0x00000005 // ERROR_ACCESS_DENIED
	codeGenFailure          = 0x0000001f // ERROR_GEN_FAILURE: unicodePwd not as it must be, or the connection too weak
	codeInvalidPassword     = 0x00000056 // ERROR_INVALID_PASSWORD: the old password of a change
	codePasswordRestriction = 0x0000052d // ERROR_PASSWORD_RESTRICTION: the policy refused
	codeNoSuchObjectSamba   = 0x00002030 // ERROR_DS_NO_SUCH_OBJECT
	codeUnwilling           = 0x00002035 // ERROR_DS_UNWILLING_TO_PERFORM: Samba's word for a badly encoded unicodePwd
	codeNoSuchObject        = 0x0000208d // ERROR_DS_OBJ_NOT_FOUND
	codeInsufficientRights  = 0x00002098 // ERROR_DS_INSUFF_ACCESS_RIGHTS
	codeNoAuthentication    = 0x000004dc // ERROR_NOT_AUTHENTICATED
	codeChannelBinding      = 0x80090346 // SEC_E_BAD_BINDINGS
)

// diagnostic is the message of a controller's answer, made safe to log.
type diagnostic struct {
	code    uint32 // of the leading eight hex digits
	hasCode bool   // some Samba messages have none
	text    string // without control characters; AD ends its messages in a NUL
}

// diagnose reads the diagnostic message of err, a controller's answer.
func diagnose(err error) diagnostic {
	var answer *ldap.Error
	if !errors.As(err, &answer) || answer.Err == nil {
		return diagnostic{}
	}
	d := diagnostic{text: printable(answer.Err.Error())}
	if len(d.text) >= 8 {
		code, err := strconv.ParseUint(d.text[:8], 16, 32)
		d.code, d.hasCode = uint32(code), err == nil && (len(d.text) == 8 || d.text[8] == ':')
	}
	if !d.hasCode {
		d.code = 0
	}
	return d
}

// is reports whether the message is led by one of codes.
func (d diagnostic) is(codes ...uint32) bool {
	for _, code := range codes {
		if d.hasCode && d.code == code {
			return true
		}
	}
	return false
}

// maxDiagnostic bounds what of a message is kept, in bytes.
const maxDiagnostic = 500

// printable trims s and replaces the control characters inside it with spaces.
func printable(s string) string {
	if len(s) > maxDiagnostic {
		s = s[:maxDiagnostic]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// answerError is a controller's answer in a form that is safe in a log: control characters are gone.
type answerError struct {
	code uint16
	text string
	err  error
}

// Error returns the name of the result code, its number and the diagnostic message.
func (e *answerError) Error() string {
	name, known := ldap.LDAPResultCodeMap[e.code]
	if !known {
		name = "LDAP result"
	}
	return name + " (" + strconv.Itoa(int(e.code)) + "): " + e.text
}

// Unwrap returns go-ldap's error.
func (e *answerError) Unwrap() error { return e.err }

// cleaned returns err with a printable text.
func cleaned(err error) error {
	code, ok := resultCode(err)
	if err == nil || !ok {
		return err
	}
	return &answerError{code: code, text: diagnose(err).text, err: err}
}

package kerberos

import (
	"errors"
	"fmt"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
)

// Code is the number of a Kerberos error (RFC 4120 7.5.9).
type Code int32

// The codes that mean something for a logon.
const (
	UnknownAccount   Code = Code(errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN)
	UnknownService   Code = Code(errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN)
	NotAllowed       Code = Code(errorcode.KDC_ERR_POLICY)
	NoSuchEncryption Code = Code(errorcode.KDC_ERR_ETYPE_NOSUPP)
	Revoked          Code = Code(errorcode.KDC_ERR_CLIENT_REVOKED) // in Active Directory: disabled, expired, locked out or out of hours
	PasswordExpired  Code = Code(errorcode.KDC_ERR_KEY_EXPIRED)    // also: must be changed
	WrongKey         Code = Code(errorcode.KDC_ERR_PREAUTH_FAILED)
	NeedsProof       Code = Code(errorcode.KDC_ERR_PREAUTH_REQUIRED)
	ClockSkew        Code = Code(errorcode.KRB_AP_ERR_SKEW)
	WrongRealm       Code = Code(errorcode.KDC_ERR_WRONG_REALM)
)

// Refusal is a KRB-ERROR (RFC 4120 5.9.1). Nothing proves that it comes from the KDC.
type Refusal struct {
	Code Code
	// Proven reports whether the request that was refused carried a proof of the password: the KDC may have counted it.
	Proven bool
	// Ahead is by how much the KDC's clock, as the answer shows it, is ahead of ours.
	Ahead time.Duration
	data  []byte
}

// Error implements error. The KDC's own text is left out: it is anybody's.
func (r *Refusal) Error() string { return "the KDC refused: " + errorcode.Lookup(int32(r.Code)) }

// asRefusal returns the KDC's refusal in a reply that is not what was expected.
func asRefusal(reply []byte) (*Refusal, bool) {
	var answer messages.KRBError
	if answer.Unmarshal(reply) != nil {
		return nil, false
	}
	return &Refusal{Code: Code(answer.ErrorCode), Ahead: time.Until(answer.STime).Round(time.Second), data: answer.EData}, true
}

// ErrNoKey says that the keytab holds no key of the account that can be used.
var ErrNoKey = errors.New("the keytab holds no AES key of the account")

// ErrNotProven says that a reply could not be decrypted with the account's key: the password or key is wrong, or the reply forged.
var ErrNotProven = errors.New("the reply does not decrypt with the account's key")

// ErrSecurityLayer says that the controller insists on a SASL security layer, which cannot be combined with TLS.
var ErrSecurityLayer = errors.New("the controller insists on a SASL security layer")

// ErrNotMutual says that the controller does not prove to have the key of its ticket.
var ErrNotMutual = errors.New("the controller did not prove its identity (mutual authentication)")

var errOffer = errors.New("the controller's offer of security layers is malformed")

// tamed turns a panic of the library into an error: what it reads comes from the network.
func tamed(err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("a malformed Kerberos message (%T)", fault)
	}
}

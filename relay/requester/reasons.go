package requester

import "github.com/password-writeback/writeback/internal/writeback"

// The reasons an answer can carry; [Lookup] tells what each means. Newer agents may know more.
const (
	ReasonOK       = writeback.ReasonOK
	AlreadyApplied = writeback.AlreadyApplied

	EnvelopeMalformed       = writeback.EnvelopeMalformed
	EnvelopeUntrustedIssuer = writeback.EnvelopeUntrustedIssuer
	EnvelopeBadSignature    = writeback.EnvelopeBadSignature
	EnvelopeNotForUs        = writeback.EnvelopeNotForUs
	EnvelopeUndecryptable   = writeback.EnvelopeUndecryptable
	EnvelopeIDReused        = writeback.EnvelopeIDReused

	RequestExpired     = writeback.RequestExpired
	RequestNotYetValid = writeback.RequestNotYetValid
	RequestSuperseded  = writeback.RequestSuperseded
	RequestInProgress  = writeback.RequestInProgress
	RequestUnsupported = writeback.RequestUnsupported

	AuthTooFewMethods    = writeback.AuthTooFewMethods
	AuthMethodNotAllowed = writeback.AuthMethodNotAllowed
	AuthTooOld           = writeback.AuthTooOld

	UserNotFound          = writeback.UserNotFound
	UserAmbiguous         = writeback.UserAmbiguous
	UserDisabled          = writeback.UserDisabled
	UserExpired           = writeback.UserExpired
	UserLocked            = writeback.UserLocked
	UserSmartcardRequired = writeback.UserSmartcardRequired

	PolicyOperationNotAllowed = writeback.PolicyOperationNotAllowed
	PolicyOutOfScope          = writeback.PolicyOutOfScope
	PolicyProtectedUser       = writeback.PolicyProtectedUser
	PolicyRateLimited         = writeback.PolicyRateLimited
	PolicyQuietMode           = writeback.PolicyQuietMode

	PasswordTooShort          = writeback.PasswordTooShort
	PasswordTooLong           = writeback.PasswordTooLong
	PasswordTooSimple         = writeback.PasswordTooSimple
	PasswordContainsName      = writeback.PasswordContainsName
	PasswordTooRecent         = writeback.PasswordTooRecent
	PasswordInHistory         = writeback.PasswordInHistory
	PasswordBanned            = writeback.PasswordBanned
	PasswordInvalidCharacters = writeback.PasswordInvalidCharacters
	PasswordRefused           = writeback.PasswordRefused
	PasswordOldIncorrect      = writeback.PasswordOldIncorrect
	PasswordCannotChange      = writeback.PasswordCannotChange

	DirectoryAccessDenied       = writeback.DirectoryAccessDenied
	DirectoryUnavailable        = writeback.DirectoryUnavailable
	DirectoryPolicyHintsMissing = writeback.DirectoryPolicyHintsMissing
	DirectoryOutcomeUnknown     = writeback.DirectoryOutcomeUnknown

	AgentMisconfigured = writeback.AgentMisconfigured
	AgentInternal      = writeback.AgentInternal
)

// Reasons returns what is known about every reason, in the order of docs/reasons.md.
func Reasons() []ReasonInfo { return writeback.Reasons() }

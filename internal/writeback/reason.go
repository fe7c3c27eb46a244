package writeback

import "slices"

// Reason is the stable name of how a request ended. Names are never changed once released; new ones may be added.
type Reason string

// The reasons. What each means, how it is settled and what to do about it stands in [Reasons].
const (
	ReasonOK       Reason = "ok"
	AlreadyApplied Reason = "already_applied"

	EnvelopeMalformed       Reason = "envelope.malformed"
	EnvelopeUntrustedIssuer Reason = "envelope.untrusted_issuer"
	EnvelopeBadSignature    Reason = "envelope.bad_signature"
	EnvelopeNotForUs        Reason = "envelope.not_for_us"
	EnvelopeUndecryptable   Reason = "envelope.undecryptable"
	EnvelopeIDReused        Reason = "envelope.id_reused"

	RequestExpired     Reason = "request.expired"
	RequestNotYetValid Reason = "request.not_yet_valid"
	RequestSuperseded  Reason = "request.superseded"
	RequestInProgress  Reason = "request.in_progress"
	RequestUnsupported Reason = "request.unsupported"

	AuthTooFewMethods    Reason = "auth.too_few_methods"
	AuthMethodNotAllowed Reason = "auth.method_not_allowed"
	AuthTooOld           Reason = "auth.too_old"

	UserNotFound          Reason = "user.not_found"
	UserAmbiguous         Reason = "user.ambiguous"
	UserDisabled          Reason = "user.disabled"
	UserExpired           Reason = "user.expired"
	UserLocked            Reason = "user.locked"
	UserSmartcardRequired Reason = "user.smartcard_required"

	PolicyOperationNotAllowed Reason = "policy.operation_not_allowed"
	PolicyOutOfScope          Reason = "policy.out_of_scope"
	PolicyProtectedUser       Reason = "policy.protected_user"
	PolicyRateLimited         Reason = "policy.rate_limited"
	PolicyQuietMode           Reason = "policy.quiet_mode"

	PasswordTooShort          Reason = "password.too_short"
	PasswordTooLong           Reason = "password.too_long"
	PasswordTooSimple         Reason = "password.too_simple"
	PasswordContainsName      Reason = "password.contains_name"
	PasswordTooRecent         Reason = "password.too_recent"
	PasswordInHistory         Reason = "password.in_history"
	PasswordBanned            Reason = "password.banned"
	PasswordInvalidCharacters Reason = "password.invalid_characters"
	PasswordRefused           Reason = "password.refused"
	PasswordOldIncorrect      Reason = "password.old_incorrect"
	PasswordCannotChange      Reason = "password.cannot_change"

	DirectoryAccessDenied       Reason = "directory.access_denied"
	DirectoryUnavailable        Reason = "directory.unavailable"
	DirectoryPolicyHintsMissing Reason = "directory.policy_hints_missing"
	DirectoryOutcomeUnknown     Reason = "directory.outcome_unknown"

	AgentMisconfigured      Reason = "agent.misconfigured"
	AgentInternal           Reason = "agent.internal"
	AgentStorageUnavailable Reason = "agent.storage_unavailable" // never sent: the message goes back to the queue
	AgentStopping           Reason = "agent.stopping"            // never sent: the message goes back to the queue
	AgentLockLost           Reason = "agent.lock_lost"           // never sent: the message goes back to the queue
)

// Class groups reasons by who can do something about them.
type Class string

// The classes.
const (
	ClassDone      Class = "done"      // nothing to do
	ClassEnvelope  Class = "envelope"  // the message itself: the portal's operator
	ClassRequest   Class = "request"   // its time and order: try again
	ClassAuth      Class = "auth"      // how the person was verified: the portal
	ClassUser      Class = "user"      // the account: the help desk
	ClassPolicy    Class = "policy"    // what the administrator allows
	ClassPassword  Class = "password"  // the new password: the person chooses another
	ClassDirectory Class = "directory" // Active Directory: its administrator
	ClassAgent     Class = "agent"     // the agent: its administrator
)

// ReasonInfo is one row of the table of reasons.
type ReasonInfo struct {
	Reason     Reason
	Class      Class
	Verdict    Verdict    // the usual verdict of an answer with this reason; empty: no answer is sent
	Settlement Settlement // what becomes of the message
	Retry      bool       // whether the same person trying again, unchanged, may succeed
	Detail     string     // members of [Detail] it fills; empty: none
	Meaning    string     // what happened, for whoever reads the documentation
	Person     string     // what a portal may show to the person
	Remedy     string     // what the administrator can do
	EventID    int        // Windows event id
}

// Reasons returns the table of reasons, in the order of the documentation.
func Reasons() []ReasonInfo { return slices.Clone(reasonTable[:]) }

// Lookup returns the row of reason; an unknown reason is treated as [AgentInternal].
func Lookup(reason Reason) ReasonInfo {
	if i := indexOf(reason); i >= 0 {
		return reasonTable[i]
	}
	return reasonTable[indexOf(AgentInternal)]
}

func indexOf(reason Reason) int {
	return slices.IndexFunc(reasonTable[:], func(row ReasonInfo) bool { return row.Reason == reason })
}

// Known reports whether r is in the table.
func (r Reason) Known() bool { return indexOf(r) >= 0 }

// Answer returns the outcome of a request that ended with reason, with the reason's usual verdict.
func Answer(reason Reason, detail Detail) Outcome {
	return Outcome{Verdict: Lookup(reason).Verdict, Reason: reason, Detail: detail}
}

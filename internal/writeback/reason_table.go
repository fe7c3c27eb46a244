package writeback

// reasonTable is the one table of reasons: it is never changed at run time. docs/reasons.md is generated from it.
//
//archtest:table
var reasonTable = [...]ReasonInfo{
	{
		Reason: ReasonOK, Class: ClassDone, Verdict: Written, Settlement: Complete, EventID: 1000, Detail: "min_length, history_length, retry_after, warnings",
		Meaning: "Done: the password was set, the account unlocked, the check passed or the ping answered. Only a check has a detail.",
		Person:  "Done.",
		Remedy:  "Nothing to do.",
	},
	{
		Reason: AlreadyApplied, Class: ClassDone, Verdict: Written, Settlement: Complete, EventID: 1001,
		Meaning: "The account was not locked when an unlock was asked for.",
		Person:  "Your account is not locked.",
		Remedy:  "Nothing to do.",
	},

	{
		Reason: EnvelopeMalformed, Class: ClassEnvelope, Settlement: Discard, EventID: 2000,
		Meaning: "The message is not a request token: wrong content type, too large, or against the rules of the format. Answered only if it is a request that a trusted portal has signed, and its expiry can be read.",
		Person:  "The request could not be read.",
		Remedy:  "Look at the samples in the dead-letter queue. If your portal sent them, correct its format; if not, find out who else may send to the queue.",
	},
	{
		Reason: EnvelopeUntrustedIssuer, Class: ClassEnvelope, Settlement: Discard, EventID: 2001,
		Meaning: "The issuer is not configured, or the signing key is not one of its pinned keys, or the audience is another group.",
		Person:  "The request was not accepted.",
		Remedy:  "If the portal is yours, compare its issuer id, public key and group with the configuration; if not, find out who else may send to the queue.",
	},
	{
		Reason: EnvelopeBadSignature, Class: ClassEnvelope, Settlement: Discard, EventID: 2002,
		Meaning: "The signature does not verify with the pinned key: the message was forged or damaged.",
		Person:  "The request was not accepted.",
		Remedy:  "If the portal signs correctly, somebody with a send key for the requests queue forges messages: rotate those keys and find out who holds them.",
	},
	{
		Reason: EnvelopeNotForUs, Class: ClassEnvelope, Settlement: Abandon, Verdict: NotWritten, EventID: 2003,
		Meaning: "No sealed entry for this agent's key; handed on to other agents, and answered at the fourth delivery.",
		Person:  "The service cannot open the request. Please tell the help desk.",
		Remedy:  "Give the portal this agent's public keys (writeback-agent keys export); status names the portal that does not seal for it.",
	},
	{
		Reason: EnvelopeUndecryptable, Class: ClassEnvelope, Verdict: NotWritten, Settlement: Complete, EventID: 2004,
		Meaning: "The sealed part does not open or does not agree with the signed part.",
		Person:  "The service cannot open the request. Please tell the help desk.",
		Remedy:  "The portal seals wrongly, or with a key that is not this agent's: compare the key ids it uses with writeback-agent keys list.",
	},
	{
		Reason: EnvelopeIDReused, Class: ClassEnvelope, Verdict: NotWritten, Settlement: Complete, EventID: 2005,
		Meaning: "The issuer used a request id twice for different content. The first request's outcome stands.",
		Person:  "The request was not accepted. Please start again.",
		Remedy:  "The portal must make a new random id for each request.",
	},

	{
		Reason: RequestExpired, Class: ClassRequest, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2100,
		Meaning: "The request expired before this agent could serve it. The outcome is unknown where another agent may have written in time.",
		Person:  "It took too long. Please try again.",
		Remedy:  "If this happens often, compare the clocks of portal, agent and controllers, and look for a backlog in the queue.",
	},
	{
		Reason: RequestNotYetValid, Class: ClassRequest, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2101,
		Meaning: "The request is dated in the future, beyond the allowed clock skew.",
		Person:  "The service's clock is wrong. Please try again later.",
		Remedy:  "Synchronise the clocks of the portal and of this host.",
	},
	{
		Reason: RequestSuperseded, Class: ClassRequest, Verdict: NotWritten, Settlement: Complete, EventID: 2102,
		Meaning: "The password was set by somebody else, or by a newer request, after this request was issued; it is never overwritten.",
		Person:  "Your password was changed in the meantime. Use the newer one, or start again.",
		Remedy:  "No administrator has to act: the newer password stays. If nobody remembers setting it, the audit log holds the times.",
	},
	{
		Reason: RequestInProgress, Class: ClassRequest, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2103,
		Meaning: "An earlier request for the same user has no known outcome yet, or too many wait for it already.",
		Person:  "An earlier request of yours is still being worked on. Please try again in a few minutes.",
		Remedy:  "It ends by itself within an hour. Until then check the controller that status names: it did not answer an earlier write for this user.",
	},
	{
		Reason: RequestUnsupported, Class: ClassRequest, Verdict: NotWritten, Settlement: Complete, EventID: 2104,
		Meaning: "This version of the agent does not know the operation or the kind of user id.",
		Person:  "The service does not support this.",
		Remedy:  "Upgrade the agent, or make the portal use what this version supports.",
	},

	{
		Reason: AuthTooFewMethods, Class: ClassAuth, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2200,
		Meaning: "The person was verified by fewer methods than the administrator asks for.",
		Person:  "Please verify yourself with one more method.",
		Remedy:  "Make the portal ask for more methods, or lower issuers[].require_methods.",
	},
	{
		Reason: AuthMethodNotAllowed, Class: ClassAuth, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2201,
		Meaning: "The person was verified by a method the administrator does not allow.",
		Person:  "Please verify yourself with another method.",
		Remedy:  "Make the portal use one of issuers[].allowed_methods, or extend the list.",
	},
	{
		Reason: AuthTooOld, Class: ClassAuth, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2202,
		Meaning: "The person was verified longer ago than the administrator allows, or the portal does not say when.",
		Person:  "Please verify yourself again.",
		Remedy:  "Make the portal verify right before the reset, or raise issuers[].max_auth_age.",
	},

	{
		Reason: UserNotFound, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, EventID: 2300,
		Meaning: "No account matches. Said only to issuers whose scope is the whole directory; others get policy.out_of_scope.",
		Person:  "The account was not found.",
		Remedy:  "Compare the identifier that the portal sends with the account. A sid or guid stays the same when an account is renamed.",
	},
	{
		Reason: UserAmbiguous, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, EventID: 2301,
		Meaning: "More than one account matches, or the asserted immutable id belongs to another account.",
		Person:  "The account could not be found without doubt. Please tell the help desk.",
		Remedy:  "Make the identifier unique, or let the portal send sid or guid.",
	},
	{
		Reason: UserDisabled, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, EventID: 2302,
		Meaning: "The account is disabled.",
		Person:  "Your account is disabled. Please tell the help desk.",
		Remedy:  "Enable the account if the person should work with it.",
	},
	{
		Reason: UserExpired, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, EventID: 2303,
		Meaning: "The account's own expiry (accountExpires) has passed.",
		Person:  "Your account has expired. Please tell the help desk.",
		Remedy:  "Extend accountExpires if the person should work with it.",
	},
	{
		Reason: UserLocked, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2304,
		Meaning: "The account is locked out and the request did not ask to unlock it.",
		Person:  "Your account is locked. Please unlock it first, or wait and try again.",
		Remedy:  "Unlock the account, or let the portal ask for the unlock together with the reset.",
	},
	{
		Reason: UserSmartcardRequired, Class: ClassUser, Verdict: NotWritten, Settlement: Complete, EventID: 2305,
		Meaning: "The account may only log on with a smart card; a password would be of no use.",
		Person:  "Your account logs on with a smart card and has no password to reset.",
		Remedy:  "Clear the smart-card flag if the account should have a password.",
	},

	{
		Reason: PolicyOperationNotAllowed, Class: ClassPolicy, Verdict: NotWritten, Settlement: Complete, EventID: 2400, Detail: "hint",
		Meaning: "The issuer may not ask for this operation, or not for this kind of actor (hint actor), or not with this kind of user id (hint identifier).",
		Person:  "The service does not allow this.",
		Remedy:  "Extend issuers[].operations, issuers[].actors or issuers[].identifiers if the portal should be allowed to.",
	},
	{
		Reason: PolicyOutOfScope, Class: ClassPolicy, Verdict: NotWritten, Settlement: Complete, EventID: 2401,
		Meaning: "The account is outside of what the issuer may touch; users that do not exist look the same. The audit holds the cause.",
		Person:  "This account cannot be reset here. Please tell the help desk.",
		Remedy:  "Extend domains[].scope, domains[].enabled_for or issuers[].scope, or correct the identifier; the audit log says which it was.",
	},
	{
		Reason: PolicyProtectedUser, Class: ClassPolicy, Verdict: NotWritten, Settlement: Complete, EventID: 2402, Detail: "hint",
		Meaning: "The account is protected: an administrative or listed group, groups that could not be read (hint groups_unreadable), or only adminCount, perhaps left over (hint admin_count_orphaned).",
		Person:  "This account cannot be reset here. Please tell the help desk.",
		Remedy:  "Reset the account by hand. If it should not be protected, the audit log says why it is: take it out of the group, clear a left-over adminCount, or let the agent read tokenGroups.",
	},
	{
		Reason: PolicyRateLimited, Class: ClassPolicy, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2403, Detail: "retry_after, hint",
		Meaning: "The issuer sent more than its rate (hint issuer_rate), or the user had too many failed changes and unlocks (hint user_budget).",
		Person:  "Too many tries. Please wait a while.",
		Remedy:  "Find out why so many requests come; if they are genuine, raise issuers[].rate or policy.user_budget.",
	},
	{
		Reason: PolicyQuietMode, Class: ClassPolicy, Verdict: NotWritten, Settlement: Complete, EventID: 2404,
		Meaning: "The issuer exceeded its hourly number of resets and waits until an administrator lets it go on.",
		Person:  "The service is paused. Please tell the help desk.",
		Remedy:  "Make sure that the portal is not abused, then let it go on.",
	},

	{
		Reason: PasswordTooShort, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2500, Detail: "min_length",
		Meaning: "The password is shorter than the policy that applies to the user asks for.",
		Person:  "The new password is too short.",
		Remedy:  "The person chooses a longer password; the detail says how long it must be, where the agent knows.",
	},
	{
		Reason: PasswordTooLong, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2501, Detail: "max_length",
		Meaning: "The password is longer than 256 UTF-16 units, the most that Active Directory takes.",
		Person:  "The new password is too long.",
		Remedy:  "The person chooses a shorter password.",
	},
	{
		Reason: PasswordTooSimple, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2502,
		Meaning: "The password has too few kinds of characters for the policy that applies to the user.",
		Person:  "The new password is too simple: mix upper case, lower case, digits and symbols.",
		Remedy:  "The person chooses a password with more kinds of characters.",
	},
	{
		Reason: PasswordContainsName, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2503,
		Meaning: "The password contains the account name or a part of the display name.",
		Person:  "The new password contains your name.",
		Remedy:  "The person chooses a password without the own name in it.",
	},
	{
		Reason: PasswordTooRecent, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, EventID: 2504, Detail: "retry_after",
		Meaning: "The minimum age of the current password has not passed.",
		Person:  "Your password was changed only recently and cannot be changed again yet.",
		Remedy:  "Wait until the minimum age has passed, or lower it in the password policy that applies to the user.",
	},
	{
		Reason: PasswordInHistory, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2505, Detail: "history_length",
		Meaning: "The password is one of the earlier ones that the directory remembers.",
		Person:  "You have used this password before. Please choose another.",
		Remedy:  "The person chooses a password that was not used before.",
	},
	{
		Reason: PasswordBanned, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2506, Detail: "hint",
		Meaning: "The password is made of banned words and too little else, or is known from a data breach (hint breached). The directory was not asked.",
		Person:  "This password is too well known. Please choose another.",
		Remedy:  "The person chooses a less common password.",
	},
	{
		Reason: PasswordInvalidCharacters, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2507,
		Meaning: "The password is empty, is not valid Unicode, or contains NUL, line feed or carriage return.",
		Person:  "The new password is empty or contains characters that cannot be used.",
		Remedy:  "The person chooses a password without control characters. If it looked right, the portal damages what was typed: check its encoding.",
	},
	{
		Reason: PasswordRefused, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2508, Detail: "possible, history_length, retry_after",
		Meaning: "The directory refused the password and does not say why, and the policy that applies does not tell, or may not be read.",
		Person:  "The directory refused the new password. Please choose a quite different one.",
		Remedy:  "The person chooses a longer and quite different password. If that fails too, compare the password policy and the password filters on the controllers. Let the agent read the fine-grained policies (docs/operations.md), so that it can say more.",
	},
	{
		Reason: PasswordOldIncorrect, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2509,
		Meaning: "The old password given with a change is wrong.",
		Person:  "The old password is not correct.",
		Remedy:  "The person types the old password again, or asks for a reset in place of a change.",
	},
	{
		Reason: PasswordCannotChange, Class: ClassPassword, Verdict: NotWritten, Settlement: Complete, EventID: 2510,
		Meaning: "Active Directory does not let this user change the own password.",
		Person:  "You cannot change this password yourself. Please tell the help desk.",
		Remedy:  "If that is not intended, clear \"User cannot change password\" on the account.",
	},

	{
		Reason: DirectoryAccessDenied, Class: ClassDirectory, Verdict: NotWritten, Settlement: Complete, EventID: 2600,
		Meaning: "The delegated account has no right to do this to the user, or could not log on.",
		Person:  "The service is not set up for your account. Please tell the help desk.",
		Remedy:  "Check the delegated account's password, its rights on the user's OU (Reset Password, write lockoutTime and pwdLastSet), and that the user inherits them.",
	},
	{
		Reason: DirectoryUnavailable, Class: ClassDirectory, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2601,
		Meaning: "No controller of the domain could be reached; nothing was sent.",
		Person:  "The service is not available at the moment. Please try again later.",
		Remedy:  "Check name resolution, port 636, the controllers' certificates and their health.",
	},
	{
		Reason: DirectoryPolicyHintsMissing, Class: ClassDirectory, Verdict: NotWritten, Settlement: Complete, EventID: 2602,
		Meaning: "The controller does not know the policy-hints control, so password history would silently not be enforced.",
		Person:  "The service is not set up completely. Please tell the help desk.",
		Remedy:  "Update the controller (Windows Server 2016 and Samba 4.24 know it), or accept resets without history by setting policy.hints to warn or allow. On Samba also for must-change.",
	},
	{
		Reason: DirectoryOutcomeUnknown, Class: ClassDirectory, Verdict: Unknown, Settlement: Complete, EventID: 2603,
		Meaning: "The write was sent but no answer came, and the directory does not show yet whether it took effect. Revised once if it shows within an hour.",
		Person:  "It is not certain whether your password was changed. Try the new one first, then the old one.",
		Remedy:  "Find out which password works, and check the controller: the audit log names it and the account.",
	},

	{
		Reason: AgentMisconfigured, Class: ClassAgent, Verdict: NotWritten, Settlement: Complete, EventID: 2700, Detail: "hint",
		Meaning: "The agent's configuration does not allow it to serve the request. Hints: lock_duration, clock, breached_passwords (that list cannot be read).",
		Person:  "The service is not set up completely. Please tell the help desk.",
		Remedy:  "Look at writeback-agent status and at the log entry of the request, and run writeback-agent config validate.",
	},
	{
		Reason: AgentInternal, Class: ClassAgent, Verdict: NotWritten, Settlement: Complete, Retry: true, EventID: 2701,
		Meaning: "A fault in the agent, contained to this request; nothing was changed in the directory.",
		Person:  "Something went wrong. Please try again later.",
		Remedy:  "Report the log entry with the request's id to the maintainers: this is a bug.",
	},
	{
		Reason: AgentStorageUnavailable, Class: ClassAgent, Settlement: Abandon, EventID: 2702,
		Meaning: "The ledger or the audit log cannot be written. Without a record nothing is done: the message goes back to the queue and the intake stops.",
		Person:  "The service is not available at the moment. Please try again later.",
		Remedy:  "Make room on the disk, check the permissions of the state directory, then look at status.",
	},
	{
		Reason: AgentStopping, Class: ClassAgent, Settlement: Abandon, EventID: 2703,
		Meaning: "The agent was stopped before it had sent anything: the message goes back to the queue.",
		Person:  "The service is not available at the moment. Please try again later.",
		Remedy:  "Nothing to do: another agent takes the message, or this one when it runs again, if the request has not expired.",
	},
	{
		Reason: AgentLockLost, Class: ClassAgent, Settlement: Abandon, EventID: 2704,
		Meaning: "The queue's lock on the message ended before anything was sent: the message goes back to the queue.",
		Person:  "The service is not available at the moment. Please try again later.",
		Remedy:  "Set the lock duration of the requests queue to 5 minutes, and look in the log for requests that waited long.",
	},
}

// Package ldapwriter finds user accounts in Active Directory and writes passwords into it, over verified TLS.
//
// # Round trips
//
// On an open connection a reset costs, per step:
//
//	Resolve by guid or sid   1: a base read of <GUID=...> or <SID=...>, and beside it on the same connection the rootDSE
//	Resolve by another id    2: a subtree search for the objectGUID (beside it the rootDSE), then the base read
//	Write                    1: one Modify on <GUID=...>; no read after a clean success, one after a refusal by the policy
//	PasswordState            1: a base read, and beside it the rootDSE
//	Probe                    a base read of the current name, then one connection with one bind; with Kerberos two requests to the KDC instead
//
// The base read cannot be merged into the subtree search: tokenGroups and most other constructed attributes exist in
// base reads only (MS-ADTS 3.1.1.4.5). The rootDSE is asked for the controller's clock. Requests that run beside one
// another are separate LDAP messages on one connection: they cost the controller work, but the person no time.
// Connections are dialled and bound once and kept; each new one asks once for the rootDSE and then, beside one another, for the controller's invocation id,
// the index of the immutable id and dSHeuristics. The domain's password policy is read once a minute; a user's fine-grained one, where PasswordState, a refusal
// or a preflight needs it, costs one read more.
//
// # Where to read
//
//	resolve.go, identifier.go, routing.go, account.go   finding the account: which domains, which filter, what is read
//	write.go, modify.go, controls.go, classify.go       the one Modify, and what its answer means
//	preflight.go, explain.go, policy.go, acl.go         what stands in the way, before and after
//	probe.go, metadata.go, status.go                    evidence: a bind, the replication metadata, the controllers' health
//	domain.go, discovery.go, failover.go, standing.go, site.go   which controller
//	controller.go, pool.go, session.go, starttls.go, trust.go, rootdse.go   the connection to it
//	binder.go, bind.go, kerberosbind.go                 logging on as the delegated account
//	dn.go, sid.go, values.go, diagnostic.go             Active Directory's notations
//
// # Which policy applies
//
// The one that msDS-ResultantPSO names, else the domain's. An attribute that may not be read looks like one without a value, so the domain's policy is taken only
// where the user's access control list shows that the delegated account may read msDS-ResultantPSO (acl.go, policy.go). In doubt nothing is known: refusals
// are not explained and no bind is tried.
//
// # Controllers
//
// A domain's controllers are listed, or found by DNS (discovery.go, domain.go). Every request goes to the first in the order of preference that is in good
// standing (failover.go, standing.go): one that gave no answer is left for the others, asked again in the background, and on trial for a while when it is
// back. Each has its own pool (pool.go); whoever waits in it when the controller stops answering is sent to the next one. What was read from a controller is
// written on that controller or not at all. What a controller must show of itself is in trust.go, which domain is asked for whom in routing.go.
//
// # Must-change on Samba
//
// Samba 4.24 refuses every reset that sets must-change under policy hints as "too young", whatever the minimum age: it compares
// pwdLastSet=0 with the current value. Where the age cannot be the reason, the mode of [DomainConfig.PolicyHints] decides, as for a
// controller without the control: refuse, or send the Modify, still a single one, again without it. The first was refused, so nothing is repeated.
//
// # What it never does
//
// It never skips the verification of a certificate, never follows a referral, never repeats a write that may have taken effect, and never reuses a
// connection that failed: after a timeout go-ldap's connection still looks alive, but its next answer may be the last one's.
//
// # Errors
//
// Every error is a [writeback.Error]. The one that matters most is directory.outcome_unknown: the Modify may have
// reached the controller. After every other reason the controller answered, or nothing was sent.
//
// Nothing outside of this folder imports go-ldap.
package ldapwriter

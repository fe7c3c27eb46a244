package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// CheckAccount judges whether the request may touch the account. Reasons: policy.out_of_scope, policy.protected_user,
// user.disabled, user.expired, user.smartcard_required, user.locked; and policy.operation_not_allowed as in
// [Guard.CheckSubject]. A ping is about no account and is refused here.
func (g *Guard) CheckAccount(request *writeback.Request, account writeback.Account, now time.Time) error {
	if request.Operation == writeback.OpPing {
		return refusal(writeback.PolicyOperationNotAllowed, "a ping is about no account")
	}
	if err := g.CheckSubject(request); err != nil {
		return err
	}
	rules, err := g.checkScope(request.Issuer, account)
	if err != nil {
		return err
	}
	for _, check := range []func(writeback.Account) error{checkKind, rules.checkProtected, checkAdminCount} {
		if err := check(account); err != nil {
			return err
		}
	}
	return checkState(request, account, now)
}

// checkScope answers every failure alike: same reason, no detail, only the cause differs, which stays on the host.
func (g *Guard) checkScope(issuer string, account writeback.Account) (domain, error) {
	rules, known := g.domains[account.Domain]
	asking := g.issuers[issuer] // CheckSubject has seen that there are rules
	lies := func(in []string) bool {
		return slices.ContainsFunc(account.Containers, func(name string) bool { return slices.Contains(in, name) })
	}
	outside := func(format string, args ...any) (domain, error) {
		return domain{}, refusal(writeback.PolicyOutOfScope, format, args...)
	}
	switch {
	case !known:
		return outside("domain %q is not configured", account.Domain)
	case !lies(rules.include):
		return outside("%q lies in no included container of %s", account.DistinguishedName, account.Domain)
	case lies(rules.exclude):
		return outside("%q lies in an excluded container of %s", account.DistinguishedName, account.Domain)
	case !asking.WholeDirectory && !lies(asking.Scope):
		return outside("%q lies outside the scope of issuer %q", account.DistinguishedName, issuer)
	}
	return rules, rules.checkEnabled(account)
}

// checkEnabled is the switch for a beginning with few people. Whom the agent is not enabled for lies beyond its scope, so this comes before all that
// would tell more. Groups that cannot be read enable nobody.
func (d domain) checkEnabled(account writeback.Account) error {
	outside := func(format string, args ...any) error { return refusal(writeback.PolicyOutOfScope, format, args...) }
	enables := func(text string) bool { sid, ok := canonicalSID(text); return ok && d.enabled[sid] }
	switch {
	case d.enabledFor == EnabledAll:
		return nil
	case d.enabledFor != EnabledGroups:
		return outside("%s is enabled for nobody", account.Domain)
	case len(account.TokenGroups) == 0:
		return outside("tokenGroups: %w", errAbsent)
	case !enables(account.PrimaryGroupSID) && !slices.ContainsFunc(account.TokenGroups, enables):
		return outside("it is a member of none of the groups that %s is enabled for", account.Domain)
	}
	return nil
}

// checkKind admits user accounts of people: objects of class user that are no computer and no managed service account
// (their passwords are the system's own), and of account type normal, which leaves out trusts.
func checkKind(account writeback.Account) error {
	has := func(class string) bool {
		return slices.ContainsFunc(account.ObjectClasses, func(c string) bool { return strings.EqualFold(c, class) })
	}
	switch {
	case account.GUID.IsZero():
		return unreadable("objectGUID")
	case len(account.ObjectClasses) == 0:
		return unreadable("objectClass")
	case account.UserAccountControl == 0:
		return unreadable("userAccountControl")
	case !has("user") || account.UserAccountControl&accountTypes != writeback.UACNormalAccount:
		return refusal(writeback.PolicyOutOfScope, "%q is not a user account", account.DistinguishedName)
	}
	for _, class := range []string{
		"computer", "msDS-ManagedServiceAccount", "msDS-GroupManagedServiceAccount", "msDS-DelegatedManagedServiceAccount",
	} {
		if has(class) {
			return refusal(writeback.PolicyOutOfScope, "%q is a %s, not a user account", account.DistinguishedName, class)
		}
	}
	return nil
}

// accountTypes are the flags of userAccountControl that say what an account is for (MS-ADTS 2.2.16): a person's is NORMAL_ACCOUNT and none
// of INTERDOMAIN_TRUST, WORKSTATION_TRUST and SERVER_TRUST.
const accountTypes = writeback.UACNormalAccount | 0x0800 | 0x1000 | 0x2000

func unreadable(attribute string) error {
	return hinted(HintUnreadable, refusal(writeback.PolicyProtectedUser, "%s: %w", attribute, errAbsent))
}

// checkProtected compares every SID the account would carry in its token, its own first, with the protected ones.
func (d domain) checkProtected(account writeback.Account) error {
	own, ok := canonicalSID(account.SID)
	switch {
	case !ok:
		return unreadable("objectSid")
	case len(account.TokenGroups) == 0:
		return unreadable("tokenGroups")
	case d.accounts[own] || d.accounts[account.GUID.String()]:
		return refusal(writeback.PolicyProtectedUser, "%s is a protected account", own)
	case d.isBindAccount(account):
		return refusal(writeback.PolicyProtectedUser, "%s is the agent's own account", own)
	case isKerberosKey(account.SAMAccountName):
		return refusal(writeback.PolicyProtectedUser, "%s is the account of a Kerberos key distribution center", own)
	}
	carried := append([]string{own}, account.TokenGroups...)
	if account.PrimaryGroupSID != "" {
		carried = append(carried, account.PrimaryGroupSID)
	}
	for _, text := range carried {
		if err := d.checkSID(text); err != nil {
			return err
		}
	}
	return nil
}

func (d domain) checkSID(text string) error {
	sid, ok := canonicalSID(text)
	if !ok {
		return hinted(HintUnreadable, refusal(writeback.PolicyProtectedUser, "group %q is not a SID", text))
	}
	if name := wellKnown(sid); name != "" {
		return refusal(writeback.PolicyProtectedUser, "it is, or is a member of, %s (%s)", name, sid)
	}
	if d.groups[sid] {
		return refusal(writeback.PolicyProtectedUser, "it is, or is a member of, the protected group %s", sid)
	}
	return nil
}

// isBindAccount compares the names a bind takes with those of the account. When in doubt it says yes: the same logon name
// under another suffix counts.
func (d domain) isBindAccount(account writeback.Account) bool {
	return slices.ContainsFunc(d.bindNames, func(name string) bool {
		if _, user, ok := strings.Cut(name, `\`); ok && !strings.Contains(name, "=") {
			return strings.EqualFold(user, account.SAMAccountName)
		}
		if user, _, ok := strings.Cut(name, "@"); ok && strings.EqualFold(user, account.SAMAccountName) {
			return true
		}
		for _, own := range []string{account.DistinguishedName, account.UserPrincipalName, account.SAMAccountName} {
			if strings.EqualFold(name, own) {
				return true
			}
		}
		return false
	})
}

// isKerberosKey knows krbtgt and those of read-only controllers, krbtgt_ and a number (MS-ADTS 6.1.1.6.13, msDS-SecondaryKrbTgtNumber), whose
// RID is no fixed one.
func isKerberosKey(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name), "krbtgt")
	return ok && strings.Trim(strings.TrimPrefix(rest, "_"), "0123456789") == ""
}

// checkAdminCount only adds refusals: Windows sets adminCount on members of protected groups and leaves it when they
// leave, but an account without it may still be one, and Samba never sets it. It comes after the groups, so that what it refuses is in none of
// those that are known here.
func checkAdminCount(account writeback.Account) error {
	if account.AdminCount == 0 {
		return nil
	}
	return &writeback.Error{
		Reason: writeback.PolicyProtectedUser, Detail: writeback.Detail{Hint: HintAdminCountOrphaned},
		Hint: "Where the account is no administrator's any more: clear its adminCount and let it inherit permissions again, as docs/operations.md shows.",
		Cause: fmt.Errorf("adminCount is %d, although it is in no protected group: left over, or set for a group that is not known here",
			account.AdminCount),
	}
}

// checkState refuses accounts whose owner could not log on with the new password anyway.
func checkState(request *writeback.Request, account writeback.Account, now time.Time) error {
	switch {
	case !account.ExpiryKnown:
		return unreadable("accountExpires")
	case account.Disabled():
		return refusal(writeback.UserDisabled, "userAccountControl is %#x", account.UserAccountControl)
	case !account.AccountExpires.IsZero() && !now.Before(account.AccountExpires):
		return refusal(writeback.UserExpired, "it expired at %s", account.AccountExpires.UTC().Format(time.RFC3339))
	case account.SmartcardRequired():
		return refusal(writeback.UserSmartcardRequired, "userAccountControl is %#x", account.UserAccountControl)
	case account.LockedOut && request.Operation.SetsPassword() && !request.Unlock:
		return refusal(writeback.UserLocked, "it is locked out and the request does not unlock it")
	}
	return nil
}

package guard

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Words for writeback.Detail.Hint.
const (
	HintIdentifier = "identifier"        // policy.operation_not_allowed: this kind of user id is not allowed
	HintActor      = "actor"             // policy.operation_not_allowed: this kind of actor is not allowed
	HintUnreadable = "groups_unreadable" // policy.protected_user: the agent may not read what it needs to judge
	// HintAdminCountOrphaned: policy.protected_user, only because adminCount is set; the account is in no protected group.
	HintAdminCountOrphaned = "admin_count_orphaned"
)

func refusal(reason writeback.Reason, format string, args ...any) *writeback.Error {
	return writeback.NewError(reason, fmt.Errorf(format, args...))
}

func hinted(hint string, err *writeback.Error) *writeback.Error {
	err.Detail.Hint = hint
	return err
}

// CheckIssuer judges what the signed claims alone show: the operation, who asks, and how and when the person was verified.
// A ping is about nobody, so nobody need be verified for it. Reasons: policy.operation_not_allowed, auth.too_few_methods,
// auth.method_not_allowed, auth.too_old.
func (g *Guard) CheckIssuer(claims writeback.Claims, now time.Time) error {
	rules, ok := g.issuers[claims.Issuer]
	switch {
	case !ok:
		return refusal(writeback.PolicyOperationNotAllowed, "issuer %q has no rules", claims.Issuer)
	case !g.allows(claims.Issuer, claims.Operation):
		return refusal(writeback.PolicyOperationNotAllowed, "operation %q is not allowed to issuer %q", claims.Operation, claims.Issuer)
	case !slices.Contains(rules.Actors, claims.Actor.Kind):
		return hinted(HintActor,
			refusal(writeback.PolicyOperationNotAllowed, "actor %q is not allowed to issuer %q", claims.Actor.Kind, claims.Issuer))
	case claims.Operation == writeback.OpPing:
		return nil
	}
	if err := rules.checkMethods(claims.Methods); err != nil {
		return err
	}
	return rules.checkAge(claims.AuthTime, now, g.skew)
}

// allows reports whether the issuer may ask for the operation.
func (g *Guard) allows(issuer string, operation writeback.Operation) bool {
	return slices.Contains(g.issuers[issuer].Operations, operation)
}

func (r IssuerRules) checkMethods(given []string) error {
	var methods []string
	for _, method := range given {
		if countable(method) && !slices.Contains(methods, method) {
			methods = append(methods, method)
		}
	}
	required := r.RequireMethods
	if len(r.AllowedMethods) > 0 {
		required = max(required, 1)
	}
	if len(methods) < required {
		return refusal(writeback.AuthTooFewMethods, "%d methods %q, and %d are required", len(methods), methods, required)
	}
	if len(r.AllowedMethods) == 0 {
		return nil
	}
	for _, method := range methods {
		if !slices.Contains(r.AllowedMethods, method) {
			return refusal(writeback.AuthMethodNotAllowed, "method %q is not one of %q", method, r.AllowedMethods)
		}
	}
	return nil
}

// countable reports whether an amr value names a method: "mfa" and "mca" only say that there were several (RFC 8176,
// section 2), and an empty value names none.
func countable(method string) bool { return method != "" && method != "mfa" && method != "mca" }

func (r IssuerRules) checkAge(verified, now time.Time, skew time.Duration) error {
	if r.MaxAuthAge == 0 {
		return nil
	}
	age := now.Sub(verified)
	switch {
	case verified.IsZero():
		return refusal(writeback.AuthTooOld, "the request does not say when the person was verified")
	case age < -skew:
		return refusal(writeback.AuthTooOld, "the person is said to be verified %s in the future", -age)
	case age > r.MaxAuthAge+skew:
		return refusal(writeback.AuthTooOld, "the person was verified %s ago, and %s is the limit", age.Round(time.Second), r.MaxAuthAge)
	}
	return nil
}

// CheckSubject judges whether the issuer may name users in this way. Reason: policy.operation_not_allowed with
// [HintIdentifier]. [Guard.CheckAccount] asks it again.
func (g *Guard) CheckSubject(request *writeback.Request) error {
	if request.Operation == writeback.OpPing {
		return nil
	}
	if rules, ok := g.issuers[request.Issuer]; !ok || !slices.Contains(rules.Identifiers, request.Subject.Kind) {
		return hinted(HintIdentifier,
			refusal(writeback.PolicyOperationNotAllowed, "identifier %q is not allowed to issuer %q", request.Subject.Kind, request.Issuer))
	}
	return nil
}

// Conceal turns the errors of a look-up into what the issuer may learn: that a user does not exist, or is not unique, is
// said only to an issuer whose scope is the whole directory; all others hear policy.out_of_scope, as for a user beyond
// their scope. The given error stays as the cause. Other errors are returned as they are.
func (g *Guard) Conceal(issuer string, err error) error {
	switch reason := writeback.ReasonOf(err); {
	case err == nil, reason != writeback.UserNotFound && reason != writeback.UserAmbiguous:
		return err
	case g.issuers[issuer].WholeDirectory:
		return err
	}
	return writeback.NewError(writeback.PolicyOutOfScope, err)
}

// errAbsent is the cause where LDAP left something out.
var errAbsent = errors.New("it could not be read; absent is not taken for none")

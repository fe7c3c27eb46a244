package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Words of detail.warnings: what works, or may work, and should be looked at.
const (
	warningHistoryOff       = "history_not_enforced" // the controller lacks the policy-hints control, and the configuration allows that
	warningPolicyUnknown    = "policy_unreadable"    // which policy applies, or what it says, may not be read: refusals cannot be explained
	warningMaybeRecent      = "may_be_too_recent"    // the minimum age has not passed; sources differ on whether a reset must obey it
	warningMustChangeDenied = "must_change_no_right" // pwdLastSet may not be written
	warningUnlockDenied     = "unlock_no_right"      // lockoutTime may not be written
	warningRightsUnknown    = "rights_unreadable"    // the access control list may not be read: the right to reset is not known
)

// Preflight says, without writing anything, what operation would meet on the account whatever the password: as the error it would fail
// with, or else what a portal can show beforehand (min_length, history_length, retry_after) with warnings for whoever runs the agent.
//
// Rights are judged by the account's access control list and allowedAttributesEffective. Only what these show for certain is an error; what may
// not be read is a warning. The errors are those of [Directory.Write].
func (d *Directory) Preflight(ctx context.Context, account writeback.Account, operation writeback.Operation) (writeback.Detail, error) {
	c, err := d.pinned(account)
	if err != nil {
		return writeback.Detail{}, err
	}
	attributes := append(policyQuestion(), "pwdLastSet", "allowedAttributesEffective")
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, attributes)
	if err != nil {
		return writeback.Detail{}, err
	}
	p := preflight{sighting: seen, hintsMode: c.domain.PolicyHints}
	switch operation {
	case writeback.OpReset, writeback.OpCheck:
		return p.reset()
	case writeback.OpChange:
		return p.change()
	case writeback.OpUnlock:
		return p.unlock()
	}
	return writeback.Detail{}, writeback.NewError(writeback.RequestUnsupported, errors.New("the operation writes nothing"))
}

// preflight judges what was seen of one account.
type preflight struct {
	sighting
	hintsMode HintsMode
	detail    writeback.Detail
}

func (p *preflight) warn(word string) { p.detail.Warnings = append(p.detail.Warnings, word) }

func (p *preflight) reset() (writeback.Detail, error) {
	if err := p.mayReset(); err != nil {
		return writeback.Detail{}, err
	}
	if p.root.hints == "" {
		if p.hintsMode == HintsRequire {
			return writeback.Detail{}, writeback.NewError(writeback.DirectoryPolicyHintsMissing, errNoHints)
		}
		p.warn(warningHistoryOff)
	}
	p.describePolicy()
	if until := p.youngUntil(); !until.IsZero() && p.root.hints != "" {
		p.detail.RetryAfter = &until
		p.warn(warningMaybeRecent)
	}
	if p.mayNotWrite("pwdLastSet") {
		p.warn(warningMustChangeDenied)
	}
	if p.mayNotWrite("lockoutTime") {
		p.warn(warningUnlockDenied)
	}
	return p.detail, nil
}

var errNoHints = errors.New("the controller names no policy-hints control in supportedControl")

// change needs no delegation: the right is everybody's who knows the old password, unless it is denied (MS-ADTS 3.1.1.3.1.5).
func (p *preflight) change() (writeback.Detail, error) {
	if p.mayNotChange() {
		return writeback.Detail{}, writeback.NewError(writeback.PasswordCannotChange, errors.New("the access control list denies the right to change the password"))
	}
	if until := p.youngUntil(); !until.IsZero() {
		return writeback.Detail{}, &writeback.Error{Reason: writeback.PasswordTooRecent, Detail: writeback.Detail{RetryAfter: &until},
			Cause: fmt.Errorf("the minimum age is %v", p.policy.minAge)}
	}
	p.describePolicy()
	return p.detail, nil
}

func (p *preflight) unlock() (writeback.Detail, error) {
	if p.mayNotWrite("lockoutTime") {
		return writeback.Detail{}, denied("lockoutTime may not be written")
	}
	return p.detail, nil
}

func denied(cause string) error {
	return writeback.NewError(writeback.DirectoryAccessDenied, errors.New(cause))
}

// mayReset fails where the access control list shows that the delegated account lacks the right.
func (p *preflight) mayReset() error {
	list, known := p.accessList()
	if !known {
		p.warn(warningRightsUnknown)
		return nil
	}
	if !list.grants(p.root.identities, rightControlAccess, rightToReset) {
		return denied("the access control list does not grant the right Reset Password")
	}
	return nil
}

// mayNotChange reports whether the right to change is denied for certain. "User cannot change password" denies it to Everyone, so to us too.
func (p *preflight) mayNotChange() bool {
	list, known := p.accessList()
	if !known {
		p.warn(warningRightsUnknown)
		return false
	}
	return !list.grants(p.root.identities, rightControlAccess, rightToChange)
}

// accessList is known where both the list and our own identities can be read.
func (p *preflight) accessList() (list acl, known bool) {
	list, err := parseDACL(p.entry.GetEqualFoldRawAttributeValue(descriptorAttribute))
	return list, err == nil && len(p.root.identities) > 0
}

// mayNotWrite believes the controller's own computation (allowedAttributesEffective, MS-ADTS 3.1.1.4.5.20), where the access control list shows that
// it was made for us.
func (p *preflight) mayNotWrite(attribute string) bool {
	if _, known := p.accessList(); !known {
		return false
	}
	return !slices.ContainsFunc(p.entry.GetEqualFoldAttributeValues("allowedAttributesEffective"), func(name string) bool {
		return strings.EqualFold(name, attribute)
	})
}

func (p *preflight) describePolicy() {
	if !p.policy.known {
		p.warn(warningPolicyUnknown)
		return
	}
	p.detail.MinLength, p.detail.HistoryLength = p.policy.minLength, p.policy.history
}

package ldapwriter

import (
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Write makes the change in one Modify on the account's objectGUID, on the controller the account was read from and on no
// other. It is never repeated.
//
// A nil error means that the controller confirmed it. directory.outcome_unknown means that the Modify may have reached the controller
// and no answer came; ask [Directory.PasswordState], and do not write again. Every other reason means that the controller answered
// (password.*, user.not_found, directory.access_denied, directory.policy_hints_missing, ...) or that nothing was sent
// (directory.unavailable, directory.access_denied, agent.misconfigured, ...).
func (d *Directory) Write(ctx context.Context, account writeback.Account, change writeback.Change) error {
	c, err := d.pinned(account)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.WriteTimeout, errTimeout("writing", c.domain.WriteTimeout))
	defer cancel()
	err = d.write(ctx, c, account, attempt{Change: change, hints: change.Operation == writeback.OpReset})
	if !c.confusesHints(ctx, err, account, change) {
		return err
	}
	// The first Modify was refused, so another one, without the control, repeats nothing.
	if err := d.permitWithoutHints(c, err); err != nil {
		return err
	}
	return d.write(ctx, c, account, attempt{Change: change})
}

// write makes and sends the one Modify.
func (d *Directory) write(ctx context.Context, c *controller, account writeback.Account, tried attempt) error {
	m, err := newModification(account, tried.Change)
	if err != nil {
		return err
	}
	defer m.clear()
	s, err := c.forWriting(ctx)
	if err != nil {
		return notSent(err)
	}
	if tried.hints {
		if err := d.addHints(c, s, m); err != nil {
			c.pool.put(s)
			return err
		}
		tried.hints = len(m.request.Controls) > 0
	}
	sent, err := s.modify(ctx, m.request)
	c.note(err)
	c.pool.put(s)
	switch {
	case err == nil:
		d.unlockNearby(c, account, tried.Change)
		return nil
	case answered(err):
		return c.explain(ctx, classify(err, tried.Operation), account, tried)
	case sent:
		return &writeback.Error{Reason: writeback.DirectoryOutcomeUnknown, Cause: err}
	}
	return notSent(err)
}

// modify sends the request and reports whether any of it may have left.
func (s *session) modify(ctx context.Context, request *ldap.ModifyRequest) (sent bool, err error) {
	before := s.wire.writes.Load()
	err = s.do(ctx, func(conn *ldap.Conn) error { return conn.Modify(request) })
	return s.wire.writes.Load() != before, err
}

// notSent is the failure of a write before anything of it was sent.
func notSent(err error) error {
	var typed *writeback.Error
	if errors.As(err, &typed) {
		return err
	}
	return unavailable(err)
}

// addHints asks for the password history to be enforced on a reset, in which AD otherwise does not look at it. A change
// always obeys it, and an unlock has no password.
func (d *Directory) addHints(c *controller, s *session, m *modification) error {
	if s.root.hints == "" {
		return d.permitWithoutHints(c, errors.New("supportedControl of "+c.address+" names neither "+
			policyHintsOID+" nor "+policyHintsDeprecatedOID))
	}
	m.request.Controls = []ldap.Control{criticalControl{oid: s.root.hints, value: policyHintsOn}}
	return nil
}

// permitWithoutHints decides by the configuration whether a reset may go past the history.
func (d *Directory) permitWithoutHints(c *controller, cause error) error {
	switch c.domain.PolicyHints {
	case HintsAllow:
		return nil
	case HintsWarn:
		d.log.WithError(cause).WithField("controller", c.address).
			Warn("policy hints cannot be used: this password is not checked against the history")
		return nil
	}
	return &writeback.Error{Reason: writeback.DirectoryPolicyHintsMissing, Hint: hintsHint(cause), Cause: cause}
}

func hintsHint(cause error) string {
	if writeback.ReasonOf(cause) != writeback.PasswordTooRecent {
		return ""
	}
	return "This controller (Samba) cannot enforce the history and set must-change in one Modify: set policy.hints to warn or allow, or ask without must_change."
}

// confusesHints recognises a fault of Samba (seen with 4.24): under policy hints it takes pwdLastSet=0 for the time the new password is
// set, finds it before the current one, and refuses every must-change reset as "too young", whatever the minimum age. It is that fault,
// and not the age, where the policy that applies and the password's time are known and the age has been reached.
func (c *controller) confusesHints(ctx context.Context, refusal error, account writeback.Account, change writeback.Change) bool {
	if change.Operation != writeback.OpReset || !change.MustChange || writeback.ReasonOf(refusal) != writeback.PasswordTooRecent {
		return false
	}
	seen, err := c.look(ctx, query{base: guidDN(account.GUID)}, append(policyQuestion(), "pwdLastSet"))
	return err == nil && seen.policy.known && seen.entry.GetEqualFoldAttributeValue("pwdLastSet") != "" && seen.youngUntil().IsZero()
}

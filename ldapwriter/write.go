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
	_, c, err := d.pinned(account)
	if err != nil {
		return err
	}
	m, err := newModification(account, change)
	if err != nil {
		return err
	}
	defer m.clear()
	ctx, cancel := context.WithTimeoutCause(ctx, c.domain.WriteTimeout, errTimeout("writing", c.domain.WriteTimeout))
	defer cancel()
	s, err := c.forWriting(ctx)
	if err != nil {
		return notSent(err)
	}
	if err := d.addHints(c, s, m, change); err != nil {
		c.pool.put(s)
		return err
	}
	sent, err := s.modify(ctx, m.request)
	c.pool.put(s)
	c.note(err)
	switch {
	case err == nil:
		return nil
	case answered(err):
		return c.explain(ctx, classify(err, change.Operation), account, change)
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
func (d *Directory) addHints(c *controller, s *session, m *modification, change writeback.Change) error {
	if change.Operation != writeback.OpReset {
		return nil
	}
	if s.root.hints != "" {
		m.request.Controls = []ldap.Control{criticalControl{oid: s.root.hints, value: policyHintsOn}}
		return nil
	}
	switch c.domain.PolicyHints {
	case HintsAllow:
		return nil
	case HintsWarn:
		d.log.WithField("controller", c.address).
			Warn("the controller has no policy-hints control: this password is not checked against the history")
		return nil
	}
	return writeback.NewError(writeback.DirectoryPolicyHintsMissing, errors.New("supportedControl of "+c.address+" names neither "+
		policyHintsOID+" nor "+policyHintsDeprecatedOID))
}

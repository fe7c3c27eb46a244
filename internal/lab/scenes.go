package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
	"github.com/password-writeback/writeback/relay/requester"
)

// scene is one request of the demonstration and how it has to end.
type scene struct {
	request string
	want    expectation
	play    func(ctx context.Context, s *stage) (answer, error)
}

// The ways to end.
func written() expectation {
	return expectation{verdict: writeback.Written, reason: writeback.ReasonOK}
}

func refused(reason writeback.Reason) expectation {
	return expectation{verdict: writeback.NotWritten, reason: reason}
}

// inHistory is how Active Directory refuses a password that was used before: without saying why. Length and complexity are
// ruled out by the agent; the history is secret.
func inHistory() expectation {
	e := refused(writeback.PasswordRefused)
	e.possible = "in_history"
	return e
}

func answered() expectation { return expectation{verdict: writeback.OK, reason: writeback.ReasonOK} }

// scenes are the requests, in the order they are sent.
func scenes() []scene {
	return append(honest(), hostile()...)
}

// The requests that Samba answers in another way than Windows.
const (
	mustChangeRequest = `reset, by DOMAIN\name, must change at logon`
	historyRequest    = "reset, password in the history"
	expiredRequest    = "reset, expired before it arrived"
)

// onSamba are the same requests, as Samba 4.24 answers them. justSeeded: the people's passwords are newer than the request that has expired,
// so another agent may have written it, for all this one knows.
func onSamba(justSeeded bool) []scene {
	list := scenes()
	for i := range list {
		switch list[i].request {
		case mustChangeRequest:
			list[i].want, list[i].play = refused(writeback.DirectoryPolicyHintsMissing), attemptMustChange
		case historyRequest:
			list[i].want = refused(writeback.PasswordInHistory)
		case expiredRequest:
			if justSeeded { // so that this is certain
				list[i].want.verdict, list[i].play = writeback.Unknown, expired(3*longAgo)
			}
		}
	}
	return list
}

// onWindows says how Windows ends a request that Samba ends in another way.
func onWindows(request string) string {
	switch request {
	case mustChangeRequest:
		return "written; Samba 4.24 cannot enforce the history and set must-change at once"
	case historyRequest:
		return "password.refused, possible: in_history; only Samba says which rule it is"
	}
	return ""
}

// honest requests are what a portal sends in the course of its day.
func honest() []scene {
	return []scene{
		{"ping", answered(), ping},
		{"reset, user named by SID", written(), reset(ada, writeback.BySID, "New-", false)},
		{"reset, user named by objectGUID", written(), reset(ben, writeback.ByGUID, "New-", false)},
		{"reset, by UPN, password beyond ASCII", written(), reset(chloe, writeback.ByUPN, "Größe-密码-🔑-", false)},
		{mustChangeRequest, written(), reset(dana, writeback.BySAM, "New-", true)},
		{"reset, by immutable id", written(), reset(emil, writeback.ByImmutableID, "New-", false)},
		{"unlock", written(), unlock},
		{"reset, password too short", refused(writeback.PasswordTooShort), attempt(gina, short)},
		{historyRequest, inHistory(), attempt(hugo, again)},
		{"reset of a domain administrator", refused(writeback.PolicyProtectedUser), attempt(ida, fresh)},
		{"reset of a user out of scope", refused(writeback.PolicyOutOfScope), attempt(jan, fresh)},
		// Looks like the one before: who exists is nobody's business.
		{"reset of a user who does not exist", refused(writeback.PolicyOutOfScope), attempt(nadia, fresh)},
	}
}

// hostile requests are what an honest portal never sends.
func hostile() []scene {
	replayed := written()
	replayed.replayed = true
	return []scene{
		{"reset, token sent for the first time", written(), original},
		{"the same token again, in a fresh message", replayed, replay},
		{expiredRequest, refused(writeback.RequestExpired), expired(longAgo)},
		{"reset with a forged signature", expectation{silent: true}, forged},
		{"reset sealed for another agent's key", refused(writeback.EnvelopeNotForUs), sealedElsewhere},
		{"ping, after all that", answered(), ping},
	}
}

func ping(ctx context.Context, s *stage) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return received(s.portal.Ping(ctx))
}

// reset gives a person a new password and notes what is to be proved afterwards.
func reset(login string, kind writeback.IdentifierKind, beginning string, mustChange bool) func(context.Context, *stage) (answer, error) {
	return func(ctx context.Context, s *stage) (answer, error) {
		user, err := s.directory.Subject(login, kind)
		if err != nil {
			return answer{}, err
		}
		password := newPassword(beginning)
		s.resets = append(s.resets, doneReset{login: login, password: password, mustChange: mustChange})
		return s.reset(ctx, user, password, mustChange)
	}
}

// unlock shows first that the account is locked: AD says so even to the right password.
func unlock(ctx context.Context, s *stage) (answer, error) {
	code, err := s.directory.Logon(ctx, finn, s.directory.First(finn))
	if err != nil || code != codeLocked {
		return answer{}, errors.Join(fmt.Errorf("the account should be locked before, but a logon was answered with %q", code), err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return received(s.portal.Unlock(ctx, requester.UnlockRequest{User: byUPN(finn), By: Verified()}))
}

// attempt asks for a reset that is to be refused.
func attempt(login string, choose func(s *stage, login string) secret.Value) func(context.Context, *stage) (answer, error) {
	return func(ctx context.Context, s *stage) (answer, error) {
		return s.reset(ctx, byUPN(login), choose(s, login), false)
	}
}

// attemptMustChange asks for a password that must be changed at the next logon.
func attemptMustChange(ctx context.Context, s *stage) (answer, error) {
	user, err := s.directory.Subject(dana, writeback.BySAM)
	if err != nil {
		return answer{}, err
	}
	return s.reset(ctx, user, newPassword("New-"), true)
}

// What somebody may choose for a password.
func fresh(*stage, string) secret.Value { return newPassword("New-") }

func short(*stage, string) secret.Value { return secret.NewString("Ab1-xy") }

func again(s *stage, login string) secret.Value { return s.directory.First(login) }

// original sends a token and keeps it, to send it again.
func original(ctx context.Context, s *stage) (answer, error) {
	password := newPassword("New-")
	token, err := s.craft(kira, password, nil)
	if err != nil {
		return answer{}, err
	}
	s.original = token
	s.resets = append(s.resets, doneReset{login: kira, password: password})
	return s.exchange(ctx, token)
}

// replay sends it again. A fresh message id passes the queue's duplicate detection: only the agent's memory can tell.
func replay(ctx context.Context, s *stage) (answer, error) { return s.exchange(ctx, s.original) }

// longAgo is when a request was issued that has expired.
const longAgo = 5 * time.Minute

// expired sends a token whose life ended a while ago, longer than clocks may differ.
func expired(age time.Duration) func(context.Context, *stage) (answer, error) {
	return func(ctx context.Context, s *stage) (answer, error) {
		token, err := s.craft(liam, newPassword("New-"), func(d *envelopetest.Draft) { d.Aged(-age) })
		if err != nil {
			return answer{}, err
		}
		return s.exchange(ctx, token)
	}
}

// forged sends a token with a signature that is not the portal's, and listens for an answer until the agent has counted it.
func forged(ctx context.Context, s *stage) (answer, error) {
	token, err := s.craft(mona, newPassword("New-"), nil)
	if err != nil {
		return answer{}, err
	}
	listening, stop := context.WithTimeout(ctx, answerWithin)
	defer stop()
	counted := make(chan error, 1)
	go func() {
		defer stop()
		counted <- s.agent.Until(listening, func(now Status) bool { return now.Count(writeback.EnvelopeBadSignature) > 0 })
	}()
	got, err := s.exchange(listening, envelopetest.Forged(token))
	if errors.Is(err, requester.ErrNoAnswer) || errors.Is(err, requester.ErrNotConfirmed) {
		got.silent, err = true, nil // the agent may have counted it before the queue's confirmation was back: that it counted proves that it was sent
	}
	stop()
	return got, errors.Join(err, <-counted)
}

// sealedElsewhere seals a token for a key this agent does not have, as a portal does that was never given this agent's keys.
func sealedElsewhere(ctx context.Context, s *stage) (answer, error) {
	stranger, err := envelope.GenerateSealingKey()
	if err != nil {
		return answer{}, err
	}
	token, err := s.portal.Token(s.portal.Draft(byUPN(nils), newPassword("New-")), stranger.Public())
	if err != nil {
		return answer{}, err
	}
	return s.exchange(ctx, token)
}

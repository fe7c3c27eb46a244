package lab

import (
	"context"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
	"github.com/password-writeback/writeback/relay/requester"
)

// stage is where the scenes are played: both ends, and what was done so far.
type stage struct {
	namespace *Namespace
	directory directory
	agent     *Agent
	portal    *Portal

	resets   []doneReset
	original []byte // the token that is replayed
}

// directory is where the people of the demonstration are: the fake [Directory], or a real [Controller].
type directory interface {
	Addr() string
	Domain() Domain
	// First is the password a person had at the start.
	First(login string) secret.Value
	// Subject names a person by one of the identifiers.
	Subject(login string, kind writeback.IdentifierKind) (writeback.Subject, error)
	// Logon binds as a person: "" when let in, else AD's sub-code.
	Logon(ctx context.Context, login string, password secret.Value) (code string, err error)
	// CountWrites says how often a person's password was written since the start.
	CountWrites(ctx context.Context, login string) (int, error)
	Close() error
}

// doneReset is a reset that has to show in the directory.
type doneReset struct {
	login      string
	password   secret.Value
	mustChange bool
}

// answerWithin bounds the wait for one answer. The slowest is that of a request sealed for another key, which the agent
// gives back three times, each time after a pause, before it answers.
const answerWithin = 25 * time.Second

// reset asks the portal for a reset of the person's own password.
func (s *stage) reset(ctx context.Context, user writeback.Subject, password secret.Value, mustChange bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return received(s.portal.Reset(ctx, requester.ResetRequest{User: user, Password: password, MustChange: mustChange, By: Verified()}))
}

// craft makes a token by hand; spoil, where not nil, changes it before it is sealed and signed.
func (s *stage) craft(login string, password secret.Value, spoil func(*envelopetest.Draft)) ([]byte, error) {
	draft := s.portal.Draft(byUPN(login), password)
	if spoil != nil {
		spoil(draft)
	}
	return s.portal.Token(draft)
}

// exchange sends a token as it is and waits for its answer.
func (s *stage) exchange(ctx context.Context, token []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return received(s.portal.Exchange(ctx, token))
}

func received(result writeback.Result, err error) (answer, error) {
	return answer{outcome: result.Outcome}, err
}

func byUPN(login string) writeback.Subject {
	return writeback.Subject{Kind: writeback.ByUPN, Value: upn(login)}
}

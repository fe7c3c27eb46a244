package requester_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

// stage is what the examples play on: an emulated Service Bus, an agent behind it, and the files a portal has.
type stage struct {
	testing.TB // an example has none: what fails ends the tests

	keyFile, agentsFile string
	config              requester.DialConfig
	ends                []func()
}

func (*stage) Helper()                           {}
func (*stage) Error(args ...any)                 { log.Print(args...) }
func (*stage) Fatal(args ...any)                 { log.Fatal(args...) }
func (*stage) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func (s *stage) Cleanup(f func())                { s.ends = append(s.ends, f) }

// close takes the stage down in the opposite order.
func (s *stage) close() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

// play opens the stage.
func play() *stage {
	s := &stage{}
	n, b := newNetwork(s), newBus(s)
	directory, err := os.MkdirTemp("", "portal")
	must(s, err)
	s.Cleanup(func() { _ = os.RemoveAll(directory) })
	s.keyFile, s.agentsFile = filepath.Join(directory, "portal.jwk"), filepath.Join(directory, "agents.jwks")
	must(s, envelope.SaveKey(s.keyFile, n.config.SigningKey))
	set, err := envelope.EncodePublicKeys(n.config.Agents, agent)
	must(s, err)
	must(s, os.WriteFile(s.agentsFile, set, 0o600))
	s.config = b.dialConfig(n)

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.serveAs(ctx, s, n, judge) }()
	s.Cleanup(func() { cancel(); <-done })
	return s
}

// dial is requester.Dial for the examples that begin later.
func (s *stage) dial() *requester.Client {
	client, err := requester.Dial(context.Background(), s.config)
	must(s, err)
	s.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// judge is an agent whose directory wants 14 characters, knows one locked and one protected user, and loses sight of one write.
func judge(request *writeback.Request) []writeback.Outcome {
	answer := func(reason writeback.Reason, detail writeback.Detail) []writeback.Outcome {
		return []writeback.Outcome{writeback.Answer(reason, detail)}
	}
	switch {
	case request.Subject.Value == "S-1-5-21-1-2-3-500":
		return answer(writeback.PolicyProtectedUser, writeback.Detail{})
	case request.Operation == writeback.OpPing:
		return []writeback.Outcome{{Verdict: writeback.OK, Reason: writeback.ReasonOK}}
	case request.Operation == writeback.OpCheck:
		return []writeback.Outcome{{Verdict: writeback.OK, Reason: writeback.ReasonOK, Detail: writeback.Detail{MinLength: 14, HistoryLength: 24}}}
	case request.Operation == writeback.OpChange && !request.OldPassword.Equal(secret.NewString("Winter-2025-Wien")):
		return answer(writeback.PasswordOldIncorrect, writeback.Detail{})
	case request.Subject.Value == "S-1-5-21-1-2-3-1999":
		return append(answer(writeback.DirectoryOutcomeUnknown, writeback.Detail{}), answer(writeback.ReasonOK, writeback.Detail{})...)
	case request.Operation.SetsPassword() && request.Password.Len() < 14:
		return answer(writeback.PasswordTooShort, writeback.Detail{MinLength: 14})
	}
	return answer(writeback.ReasonOK, writeback.Detail{})
}

// verified says how long ago the person was verified in the examples.
func verified() time.Time { return time.Now().Add(-30 * time.Second) }

// readSecret stands for the portal's secret store.
func (s *stage) readSecret() requester.Secret { return s.config.ConnectionString }

// say prints what cannot go wrong in an example, if it does.
func say(err error) bool {
	if err != nil {
		fmt.Println(err)
	}
	return err != nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/servicebus"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"writeback-send": main})
}

// TestScripts types the commands as a person does. Each script finds in its directory a profile for a queue and an agent of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"request": makeRequest,
			"result":  checkResult,
			"trust":   trust,
		},
	})
}

// exits runs "exits CODE program args..." and checks the exit code, which "exec" does not tell from another.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var failed interface{ ExitCode() int }
	if errors.As(err, &failed) {
		got = strconv.Itoa(failed.ExitCode())
	}
	if got != want {
		ts.Fatalf("exit code %s, want %s (%v)", got, want, err)
	}
}

const (
	issuer     = "https://portal.example.test"
	group      = "corp"
	agentName  = "corp/a1"
	requestsQ  = "requests"
	resultsQ   = "results"
	accessKey  = "all"
	accessText = "a2V5LW9mLXRoZS10ZXN0cw=="
)

// setUp starts a queue with an agent behind it and writes what a portal's operator would have at hand.
func setUp(env *testscript.Env) error {
	ctx, cancel := context.WithCancel(context.Background())
	env.Defer(cancel)
	address, server, err := startQueue(ctx)
	if err != nil {
		return err
	}
	env.Defer(func() { _ = server.Close() })
	connection := server.ConnectionString(address, accessKey)
	portalKey, err := envelope.GenerateSigningKey()
	if err != nil {
		return err
	}
	agent, err := newAgent(ctx, connection, portalKey.Public())
	if err != nil {
		return err
	}
	env.Values[agentValue{}] = agent
	done := make(chan struct{})
	go func() { defer close(done); agent.serve(ctx) }()
	env.Defer(func() { cancel(); <-done })
	return writeFiles(env.WorkDir, connection, portalKey, agent.public)
}

func startQueue(ctx context.Context) (address string, server *emulator.Server, err error) {
	server, err = emulator.New(emulator.Config{
		Queues: []emulator.Queue{{Name: requestsQ}, {Name: resultsQ, RequiresSession: true}},
		Keys:   []emulator.AccessKey{{Name: accessKey, Key: secret.NewString(accessText), Rights: emulator.Manage}},
	})
	if err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() { _ = server.Serve(ctx, listener) }()
	return listener.Addr().String(), server, nil
}

func writeFiles(directory, connection string, key envelope.PrivateKey, agents []byte) error {
	profile, err := json.Marshal(map[string]any{
		"issuer": issuer, "group": group, "key": "portal.jwk", "agents": []string{"agents.jwks"},
		"connection_string_file": "queue.secret", "requests_queue": requestsQ, "results_queue": resultsQ,
	})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"profile.json": profile, "agents.jwks": agents, "queue.secret": []byte(connection + "\n")} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			return err
		}
	}
	return envelope.SaveKey(filepath.Join(directory, "portal.jwk"), key)
}

// agent answers as the user's name tells it to, with real tokens over the real queue.
type agent struct {
	queue   *servicebus.Agent
	sealing envelope.PrivateKey
	opener  atomic.Pointer[envelope.Opener]
	signer  *envelope.ResultSigner
	public  []byte
}

// agentValue is where a script finds its agent.
type agentValue struct{}

// trust runs "trust PROFILE": the agent accepts the portal's key in use and the next one.
func trust(ts *testscript.TestScript, _ bool, args []string) {
	keys, err := (&ownKeys{profile: ts.MkAbs(args[0])}).load()
	ts.Check(err)
	var public []envelope.PublicKey
	for _, own := range keys {
		public = append(public, own.key.Public())
	}
	ts.Check(ts.Value(agentValue{}).(*agent).accept(public...))
}

// accept makes the agent open what these keys sign.
func (a *agent) accept(portal ...envelope.PublicKey) error {
	opener, err := envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: portal}, SealingKeys: []envelope.PrivateKey{a.sealing},
	})
	a.opener.Store(opener)
	return err
}

func newAgent(ctx context.Context, connection string, portal envelope.PublicKey) (*agent, error) {
	sealing, err := envelope.GenerateSealingKey()
	if err != nil {
		return nil, err
	}
	signing, err := envelope.GenerateSigningKey()
	if err != nil {
		return nil, err
	}
	a := &agent{sealing: sealing}
	if a.public, err = envelope.EncodePublicKeys([]envelope.PublicKey{sealing.Public(), signing.Public()}, agentName); err != nil {
		return nil, err
	}
	if a.signer, err = envelope.NewResultSigner(agentName, signing); err != nil {
		return nil, err
	}
	if err := a.accept(portal); err != nil {
		return nil, err
	}
	var log logrus.FieldLogger
	log, _ = logtest.NewNullLogger()
	a.queue, err = servicebus.DialAgent(ctx, servicebus.AgentConfig{ConnectionString: secret.NewString(connection), RequestsQueue: requestsQ, Logger: log})
	return a, err
}

func (a *agent) serve(ctx context.Context) {
	for ctx.Err() == nil {
		delivery, err := a.queue.Receive(ctx)
		if err != nil {
			continue
		}
		opener := a.opener.Load()
		if verified, err := opener.Verify(delivery.Body); err == nil {
			if request, err := opener.Decrypt(verified); err == nil {
				a.answer(ctx, request)
			}
		}
		_ = a.queue.Complete(ctx, delivery)
	}
	closing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = a.queue.Close(closing)
}

func (a *agent) answer(ctx context.Context, request *writeback.Request) {
	outcome, speaks := decide(request)
	if !speaks {
		return
	}
	token, err := a.signer.Sign(writeback.Result{
		Audience: request.Issuer, RequestID: request.ID, RequestDigest: request.Digest, Outcome: outcome,
	})
	if err != nil {
		return
	}
	_ = a.queue.SendResult(ctx, writeback.PendingResult{
		Request: request.Key(), MessageID: envelope.NewID(), Queue: resultsQ, Session: request.ReplySession, Token: token, Expires: time.Now().Add(time.Minute),
	})
}

// decide plays a directory in which users are named after their fate.
func decide(request *writeback.Request) (writeback.Outcome, bool) {
	refused := func(reason writeback.Reason, detail writeback.Detail) (writeback.Outcome, bool) {
		return writeback.Answer(reason, detail), true
	}
	switch {
	case request.Operation == writeback.OpPing:
		return writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK}, true
	case request.Operation == writeback.OpCheck && request.Subject.Value == "ada@example.test":
		detail := writeback.Detail{MinLength: 14, HistoryLength: 24, Warnings: []string{writeback.WarningNotIndexed}}
		return writeback.Outcome{Verdict: writeback.OK, Reason: writeback.ReasonOK, Detail: detail}, true
	case request.Operation == writeback.OpCheck:
		return refused(writeback.PolicyProtectedUser, writeback.Detail{})
	case request.Operation == writeback.OpChange && !request.OldPassword.Equal(secret.NewString("Alt-1234")):
		return refused(writeback.PasswordOldIncorrect, writeback.Detail{})
	case request.Operation == writeback.OpChange && (request.MustChange || request.Unlock):
		return refused(writeback.AgentInternal, writeback.Detail{})
	case request.Subject.Value == "silent@example.test":
		return writeback.Outcome{}, false
	case request.Subject.Value == "lost@example.test":
		return refused(writeback.DirectoryOutcomeUnknown, writeback.Detail{})
	case request.Subject.Value == "short@example.test":
		return refused(writeback.PasswordTooShort, writeback.Detail{MinLength: 14})
	case request.Operation == writeback.OpUnlock:
		return refused(writeback.AlreadyApplied, writeback.Detail{})
	case !request.Password.Equal(secret.NewString(" Grüße 42 ")):
		return refused(writeback.PasswordRefused, writeback.Detail{Possible: []string{"in_history", "filter"}})
	case request.Operation == writeback.OpReset && request.MustChange == request.Unlock: // --must-change and --no-unlock go together or not at all in the scripts
		return refused(writeback.AgentInternal, writeback.Detail{})
	}
	return writeback.Outcome{Verdict: writeback.Written, Reason: writeback.ReasonOK, Replayed: request.Subject.AssertedImmutableID != ""}, true
}

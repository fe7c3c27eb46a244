package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// makeRequest runs "request OPERATION UPN > FILE" without the arrow: it makes a token as a program of another language does.
func makeRequest(ts *testscript.TestScript, _ bool, args []string) {
	operation, upn, file := args[0], args[1], args[2]
	key, err := envelope.LoadKey(ts.MkAbs("portal.jwk"))
	ts.Check(err)
	agents, err := envelope.LoadPublicKeys(ts.MkAbs("agents.jwks"))
	ts.Check(err)
	sealer, err := envelope.NewSealer(envelope.SealerConfig{Issuer: issuer, Group: group, SigningKey: key, Recipients: keysFor(agents, envelope.UseSeal)})
	ts.Check(err)
	request := writeback.Request{Claims: writeback.Claims{
		Operation: writeback.Operation(operation), Actor: writeback.Actor{Kind: writeback.ActorSelf}, ReplySession: envelope.NewID(),
	}}
	if request.Operation != writeback.OpPing {
		request.Subject = writeback.Subject{Kind: writeback.ByUPN, Value: upn}
	}
	sealed, err := sealer.Seal(request)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(file), sealed.Token, 0o644))
}

// checkResult runs "result REQUEST-FILE VERDICT": what the last command printed must be the signed answer to the request, and nothing else.
func checkResult(ts *testscript.TestScript, _ bool, args []string) {
	peeked, err := envelope.Peek([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	agents, err := envelope.LoadPublicKeys(filepath.Join(ts.MkAbs("."), "agents.jwks"))
	ts.Check(err)
	verifier, err := envelope.NewResultVerifier(envelope.ResultVerifierConfig{
		Issuer: issuer, Agents: map[string][]envelope.PublicKey{agentName: keysFor(agents, envelope.UseSign)},
	})
	ts.Check(err)
	verified, err := verifier.Verify(bytes.TrimSuffix([]byte(ts.ReadFile("stdout")), []byte("\n")))
	ts.Check(err)
	result, err := verified.For(peeked.ID, peeked.Digest)
	ts.Check(err)
	if string(result.Outcome.Verdict) != args[1] {
		ts.Fatalf("verdict %q, want %q", result.Outcome.Verdict, args[1])
	}
}

func keysFor(keys []envelope.PublicKey, use envelope.Use) []envelope.PublicKey {
	var picked []envelope.PublicKey
	for _, key := range keys {
		if key.Use() == use {
			picked = append(picked, key)
		}
	}
	return picked
}

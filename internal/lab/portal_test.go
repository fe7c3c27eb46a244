package lab_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

// openPortal opens a portal that knows the keys of an agent which does not run.
func openPortal(t *testing.T) (*lab.Portal, []envelope.PublicKey) {
	t.Helper()
	namespace := openNamespace(t)
	site, err := lab.NewSite(t.TempDir(), namespace, openDirectory(t).Domain())
	check(t, err)
	agents, err := envelope.LoadPublicKeys(agentKeys(t))
	check(t, err)
	portal, err := lab.OpenPortal(t.Context(), namespace, site, agents, quiet(t))
	check(t, err)
	t.Cleanup(func() { check(t, portal.Close(context.WithoutCancel(t.Context()))) })
	return portal, agents
}

// claimsOf reads what anybody can read of a token.
func claimsOf(t *testing.T, token []byte) (claims struct {
	Issuer string `json:"iss"`
	Reply  string `json:"reply"`
	Actor  struct {
		Kind string `json:"kind"`
	} `json:"act"`
	Sealed map[string]string `json:"sealed"`
}) {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(string(token), ".")[1])
	check(t, err)
	check(t, json.Unmarshal(payload, &claims))
	return claims
}

func TestTokensAreSealedForTheAgentOrForWhomeverIsNamed(t *testing.T) {
	t.Parallel()
	portal, agents := openPortal(t)
	draft := portal.Draft(writeback.Subject{Kind: writeback.ByUPN, Value: "ada@corp.example.com"}, secret.NewString("Some-Password-1"))
	token, err := portal.Token(draft)
	check(t, err)
	claims := claimsOf(t, token)
	var sealing []string
	for _, key := range agents {
		if key.Use() == envelope.UseSeal {
			sealing = append(sealing, key.KeyID())
		}
	}
	if recipients := slices.Collect(maps.Keys(claims.Sealed)); !slices.Equal(recipients, sealing) {
		t.Errorf("sealed for %v, want the agent's %v", recipients, sealing)
	}
	if claims.Issuer != lab.Issuer || claims.Actor.Kind != "self" || len(claims.Reply) < 22 {
		t.Errorf("the claims are %+v", claims)
	}

	stranger, err := envelope.GenerateSealingKey()
	check(t, err)
	token, err = portal.Token(draft, stranger.Public())
	check(t, err)
	if recipients := slices.Collect(maps.Keys(claimsOf(t, token).Sealed)); !slices.Equal(recipients, []string{stranger.KeyID()}) {
		t.Errorf("sealed for %v, want the stranger alone", recipients)
	}
}

// TestSilence: without an agent there is no answer, and that is an error and not an outcome.
func TestSilence(t *testing.T) {
	t.Parallel()
	portal, _ := openPortal(t)
	token, err := portal.Token(portal.Draft(writeback.Subject{Kind: writeback.ByUPN, Value: "ada@corp.example.com"}, secret.NewString("Some-Password-1")))
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if result, err := portal.Exchange(ctx, token); err == nil {
		t.Errorf("nobody answered %+v", result)
	}
}

func TestVerifiedIsRecent(t *testing.T) {
	t.Parallel()
	by := lab.Verified()
	if age := time.Since(by.AuthTime); age < 0 || age > time.Minute || len(by.Methods) != 2 {
		t.Errorf("verified %s ago by %v", age, by.Methods)
	}
}

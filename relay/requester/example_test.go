package requester_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/relay/requester"
)

// A portal makes one client for its whole life.
func ExampleDial() {
	key, err := requester.LoadSigningKey("/etc/portal/signing.jwk")
	if err != nil {
		fmt.Println(err)
		return
	}
	agents, err := requester.LoadAgents("/etc/portal/agents.jwks")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	client, err := requester.Dial(ctx, requester.DialConfig{
		Issuer: "https://portal.example.com", Group: "corp", SigningKey: key, Agents: agents,
		ConnectionString: requester.NewSecret([]byte("Endpoint=sb://...")), // from a secret store
		RequestsQueue:    "writeback-requests", ResultsQueue: "portal-results",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(ctx)
}

// What a portal tells the person in front of the browser.
func ExampleClient_Reset() {
	var client *requester.Client // from Dial
	tell := func(ctx context.Context, sid string, typed []byte, verified time.Time) string {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		password := requester.NewSecret(typed)
		defer password.Destroy()
		result, err := client.Reset(ctx, requester.ResetRequest{
			User: requester.Subject{Kind: requester.BySID, Value: sid}, Password: password,
			By: requester.Verification{AuthTime: verified, Methods: []string{"otp", "face"}},
		})
		switch {
		case errors.Is(err, requester.ErrNoAnswer), errors.Is(err, requester.ErrNotConfirmed):
			return "It is not certain whether your password was changed. Try the new one first."
		case err != nil:
			return "The service is not set up completely."
		}
		return requester.Lookup(result.Outcome.Reason).Person
	}
	_ = tell
}

// An outcome nobody knew yet may be revised to Written within the hour.
func ExampleClient_Await() {
	var client *requester.Client // from Dial
	settle := func(ctx context.Context, result requester.Result) (requester.Verdict, error) {
		if result.Outcome.Verdict != requester.Unknown {
			return result.Outcome.Verdict, nil
		}
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		revised, err := client.Await(ctx, result.RequestID)
		if err != nil {
			return requester.Unknown, err
		}
		return revised.Outcome.Verdict, nil
	}
	_ = settle
}

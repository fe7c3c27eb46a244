package requester_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/relay/requester"
)

// A portal makes one client for its whole life. What is special to this example: the queue is an emulator in this process, which NewConn
// leads to, and stage holds the files a portal finds on its disk.
func ExampleDial() {
	stage := play()
	defer stage.close()

	key, err := requester.LoadSigningKey(stage.keyFile) // from: writeback-send keys new
	if say(err) {
		return
	}
	agents, err := requester.LoadAgents(stage.agentsFile) // from: writeback-agent keys export
	if say(err) {
		return
	}
	ctx := context.Background()
	client, err := requester.Dial(ctx, requester.DialConfig{
		Issuer: "portal", Group: "corp", SigningKey: key, Agents: agents,
		ConnectionString: stage.readSecret(), // of the portal's own access policy, from its secret store
		RequestsQueue:    "requests", ResultsQueue: "results",
		NewConn: stage.config.NewConn, // only here
	})
	if say(err) {
		return
	}
	defer client.Close(ctx)

	result, err := client.Ping(ctx)
	if say(err) {
		return
	}
	fmt.Println(result.Outcome.Verdict, "from", result.Agent)
	// Output: ok from corp/a1
}

// Before a person thinks of a new password, the portal asks whether it can be set at all, and what it must be like.
func ExampleClient_Check() {
	stage := play()
	defer stage.close()
	client := stage.dial()

	for _, sid := range []string{"S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-500"} {
		result, err := client.Check(context.Background(), requester.CheckRequest{
			User: requester.Subject{Kind: requester.BySID, Value: sid},
			By:   requester.Verification{AuthTime: verified(), Methods: []string{"otp", "face"}},
		})
		switch {
		case say(err):
			return
		case result.Outcome.Verdict == requester.OK:
			fmt.Println("Choose a password of at least", result.Outcome.Detail.MinLength, "characters.")
		default:
			fmt.Println(requester.Lookup(result.Outcome.Reason).Person)
		}
	}
	// Output:
	// Choose a password of at least 14 characters.
	// This account cannot be reset here. Please tell the help desk.
}

// What a portal tells the person in front of the browser.
func ExampleClient_Reset() {
	stage := play()
	defer stage.close()
	client := stage.dial()

	tell := func(ctx context.Context, sid string, typed []byte, verified time.Time) string {
		ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
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

	ctx := context.Background()
	fmt.Println(tell(ctx, "S-1-5-21-1-2-3-1104", []byte("short"), verified()))
	fmt.Println(tell(ctx, "S-1-5-21-1-2-3-1104", []byte("a longer one this time"), verified()))
	// Output:
	// The new password is too short.
	// Done.
}

// A change needs the old password. The directory then applies its rules for users: history and minimum age, too.
func ExampleClient_Change() {
	stage := play()
	defer stage.close()
	client := stage.dial()

	result, err := client.Change(context.Background(), requester.ChangeRequest{
		User:        requester.Subject{Kind: requester.ByUPN, Value: "ada@corp.example.com"},
		OldPassword: requester.NewSecret([]byte("not the old one")),
		Password:    requester.NewSecret([]byte("a longer one this time")),
	})
	if say(err) {
		return
	}
	fmt.Println(result.Outcome.Verdict, result.Outcome.Reason)
	// Output: not_written password.old_incorrect
}

// The reason decides what the portal does; its class is enough in most cases.
func ExampleLookup() {
	for _, reason := range []requester.Reason{requester.PasswordTooShort, requester.PolicyProtectedUser, requester.DirectoryUnavailable} {
		info := requester.Lookup(reason)
		switch info.Class {
		case requester.ClassPassword:
			fmt.Println(reason, "- ask for another password")
		case requester.ClassRequest, requester.ClassDirectory:
			fmt.Println(reason, "- offer to try again:", info.Retry)
		default:
			fmt.Println(reason, "- show the help desk's number")
		}
	}
	// Output:
	// password.too_short - ask for another password
	// policy.protected_user - show the help desk's number
	// directory.unavailable - offer to try again: true
}

// An outcome nobody knew yet may be revised to Written within the hour.
func ExampleClient_Await() {
	stage := play()
	defer stage.close()
	client := stage.dial()

	result, err := client.Reset(context.Background(), requester.ResetRequest{
		User:     requester.Subject{Kind: requester.BySID, Value: "S-1-5-21-1-2-3-1999"},
		Password: requester.NewSecret([]byte("a longer one this time")),
	})
	if say(err) {
		return
	}
	fmt.Println(result.Outcome.Verdict)
	if result.Outcome.Verdict == requester.Unknown { // tell the person to try the new one first; then, in the background:
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		result, err = client.Await(ctx, result.RequestID)
		if say(err) {
			return
		}
	}
	fmt.Println(result.Outcome.Verdict)
	// Output:
	// unknown
	// written
}

// When an agent changes its keys, the portal gets a new export and takes it over without a restart, for instance when the file changes.
func ExampleClient_SetAgents() {
	stage := play()
	defer stage.close()
	client := stage.dial()

	agents, err := requester.LoadAgents(stage.agentsFile)
	if say(err) || say(client.SetAgents(agents)) {
		return
	}
	if err := client.SetAgents(nil); err != nil {
		fmt.Println("kept the earlier keys")
	}
	result, err := client.Ping(context.Background())
	if say(err) {
		return
	}
	fmt.Println(result.Outcome.Verdict)
	// Output:
	// kept the earlier keys
	// ok
}

// A result that comes from outside, or a broken profile, never gets this far: every error has a reason and a remedy.
func ExampleError() {
	_, err := requester.New(requester.Config{Issuer: "portal", Group: "corp"})
	var fault *requester.Error
	if errors.As(err, &fault) {
		fmt.Println(fault.Reason)
	}
	// Output: agent.misconfigured
}

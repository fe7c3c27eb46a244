// Command go sets a user's password as a portal does, with the project's own client, which speaks to the queues itself:
//
//	go run ./examples/senders/go PROFILE UPN <new-password
//
// PROFILE is writeback-send's. Exit code: 0 written, 1 not written, 3 unknown.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/password-writeback/writeback/relay/requester"
)

func main() {
	result, err := ask(context.Background(), os.Args[1], os.Args[2], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stdout, "unknown, unless nothing was sent:", err) // errors.Is(err, requester.ErrNoAnswer) and the like would tell
		os.Exit(3)
	}
	outcome := result.Outcome
	fmt.Fprintf(os.Stdout, "%s: %s (%s)\n", outcome.Verdict, outcome.Reason, requester.Lookup(outcome.Reason).Person)
	os.Exit(map[requester.Verdict]int{requester.NotWritten: 1, requester.Unknown: 3}[outcome.Verdict])
}

// ask resets a password. The client hands out no answer but one that a pinned agent signed for exactly this request.
func ask(ctx context.Context, profile, upn string, stdin io.Reader) (requester.Result, error) {
	config, err := load(profile)
	typed, readErr := io.ReadAll(stdin)
	if err := errors.Join(err, readErr); err != nil {
		return requester.Result{}, err
	}
	password := requester.NewSecret(bytes.TrimSuffix(bytes.TrimSuffix(typed, []byte("\n")), []byte("\r")))
	defer password.Destroy()
	client, err := requester.Dial(ctx, config) // a portal has one for its whole life
	if err != nil {
		return requester.Result{}, err
	}
	defer client.Close(ctx)
	asking, cancel := context.WithTimeout(ctx, 20*time.Second) // as long as a person is left waiting
	defer cancel()
	return client.Reset(asking, requester.ResetRequest{
		User: requester.Subject{Kind: requester.ByUPN, Value: upn}, Password: password,
		By: requester.Verification{AuthTime: time.Now(), Methods: []string{"otp"}},
	})
}

// load reads a profile and the files it names, which are relative to it.
func load(path string) (requester.DialConfig, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that whoever runs this names
	var profile struct {
		Issuer, Group, Key string
		Agents             []string
		Connection         string `json:"connection_string_file"`
		Requests           string `json:"requests_queue"`
		Results            string `json:"results_queue"`
	}
	if err := errors.Join(err, json.Unmarshal(text, &profile), os.Chdir(filepath.Dir(path))); err != nil {
		return requester.DialConfig{}, err
	}
	key, keyErr := requester.LoadSigningKey(profile.Key)
	agents, agentsErr := requester.LoadAgents(profile.Agents...)
	connection, connectionErr := os.ReadFile(profile.Connection)
	return requester.DialConfig{
		Issuer: profile.Issuer, Group: profile.Group, SigningKey: key, Agents: agents, RequestsQueue: profile.Requests, ResultsQueue: profile.Results,
		ConnectionString: requester.NewSecret(connection),
	}, errors.Join(keyErr, agentsErr, connectionErr)
}

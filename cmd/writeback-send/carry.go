package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

func newCarry() *cobra.Command {
	var (
		link connection
		path string
	)
	cmd := &cobra.Command{
		Use: "carry", Short: "Take a request token made elsewhere to the agents, and print the result token", Args: noArguments,
		Long: `Takes a request token, made by any program, from the standard input to the agents' queue, waits on the session that the token
names, and prints the first result token that comes for it. It waits until 75 seconds after the request's expiry, when no answer is
to be expected any more. The profile needs no keys: connection_string_file, requests_queue and results_queue are enough.

The result is not verified here: whoever made the request has the keys, and must. A session is used by one carry at a time.

Exit codes:
  0  a result token was printed, whatever it says
  2  wrong command line or profile, or the input is no request token: nothing was sent
  3  no result came: what became of the request is unknown
  4  the queue did not confirm the request: unknown as well`,
		Example: `  make-request | writeback-send carry --profile queues.json | verify-result`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := link.carryConfig()
			if err != nil {
				return err
			}
			token, err := readToken(cmd.InOrStdin(), path)
			if err != nil {
				return err
			}
			return carry(cmd, link, config, token)
		},
	}
	link.registerQueues(cmd)
	link.waitInFull(cmd)
	cmd.Flags().StringVar(&path, "token-file", "", "`file` with the request token; default: the standard input")
	return cmd
}

// carryConfig makes the queues' part of the profile ready.
func (c *connection) carryConfig() (requester.CarryConfig, error) {
	joined, err := c.resolveQueues()
	if err != nil {
		return requester.CarryConfig{}, err
	}
	config := requester.CarryConfig{RequestsQueue: joined.RequestsQueue, ResultsQueue: joined.ResultsQueue}
	config.ConnectionString, config.ResultsConnectionString, err = joined.connectionStrings()
	return config, err
}

// carry prints the result token alone, or says why there is none.
func carry(cmd *cobra.Command, link connection, config requester.CarryConfig, token []byte) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), link.timeout)
	defer cancel()
	started := time.Now()
	stop := waiting(ctx, cmd)
	result, err := requester.Carry(ctx, config, token)
	stop()
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", result)
		return err
	}
	a, isAnswer := newAnswer(requester.Result{}, err, time.Since(started))
	if !isAnswer {
		return err
	}
	tell(cmd.ErrOrStderr(), a.headline(palette{}), a.Remedy)
	return exitError(a.Exit)
}

// readToken reads a request token. Spaces and line ends around it do not belong to it.
func readToken(stdin io.Reader, path string) ([]byte, error) {
	from := stdin
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usageError{err.Error(), "correct --token-file"}
		}
		defer file.Close()
		from = file
	}
	const room = 64 // for what stands around the token
	text, err := io.ReadAll(io.LimitReader(from, envelope.MaxToken+room))
	if err != nil {
		return nil, usageError{fmt.Sprintf("the request token cannot be read: %v", err), "make sure that the file or the standard input can be read"}
	}
	token := bytes.TrimSpace(text)
	if _, err := envelope.Peek(token); err != nil {
		return nil, usageError{causeText(err), "give the compact JWS that docs/protocol.md describes, and nothing else"}
	}
	return token, nil
}

// causeText is an error's text without its reason.
func causeText(err error) string {
	var fault *requester.Error
	if errors.As(err, &fault) && fault.Cause != nil {
		return "no request token: " + fault.Cause.Error()
	}
	return err.Error()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/term"

	"github.com/password-writeback/writeback/relay/requester"
)

// readTerminal asks for a new password twice, without echo.
func readTerminal(ctx context.Context, prompt io.Writer, terminal int) (requester.Secret, error) {
	read, err := silently(ctx, terminal)
	if err != nil {
		return requester.Secret{}, err
	}
	return askTwice(prompt, read)
}

// readTerminalOnce asks for an old password without echo: a slip is noticed by the directory.
func readTerminalOnce(ctx context.Context, prompt io.Writer, terminal int) (requester.Secret, error) {
	read, err := silently(ctx, terminal)
	if err != nil {
		return requester.Secret{}, err
	}
	return ask(prompt, "Old password: ", read)
}

// silently returns a function that reads a line without echo. An interrupt turns the echo on again: term.ReadPassword would sit there
// until the next line.
func silently(ctx context.Context, terminal int) (read func() ([]byte, error), err error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, unreadable(err)
	}
	type line struct {
		typed []byte
		err   error
	}
	return func() ([]byte, error) {
		read := make(chan line, 1)
		go func() {
			typed, err := term.ReadPassword(terminal)
			read <- line{typed, err}
		}()
		select {
		case got := <-read:
			return got.typed, got.err
		case <-ctx.Done():
			return nil, errors.Join(errors.New("interrupted"), term.Restore(terminal, before))
		}
	}, nil
}

func unreadable(err error) error {
	return usageError{fmt.Sprintf("the password cannot be read: %v", err), "use --password-fd or --password-file"}
}

// askTwice reads a password that nobody sees, and again, to catch slips.
func askTwice(prompt io.Writer, read func() ([]byte, error)) (requester.Secret, error) {
	first, err := ask(prompt, "New password: ", read)
	if err != nil {
		return requester.Secret{}, err
	}
	second, err := ask(prompt, "Again: ", read)
	if err != nil {
		first.Destroy()
		return requester.Secret{}, err
	}
	defer second.Destroy()
	if !first.Equal(second) {
		first.Destroy()
		return requester.Secret{}, usageError{"the two passwords differ", "type the same password twice"}
	}
	return first, nil
}

func ask(prompt io.Writer, text string, read func() ([]byte, error)) (requester.Secret, error) {
	_, _ = fmt.Fprint(prompt, text)
	typed, err := read()
	_, _ = fmt.Fprintln(prompt)
	if err != nil {
		return requester.Secret{}, unreadable(err)
	}
	return requester.NewSecret(typed), nil
}

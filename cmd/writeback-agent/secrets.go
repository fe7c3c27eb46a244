package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/password-writeback/writeback/internal/dpapi"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

func newSecrets() *cobra.Command {
	return group("secrets", "Work with the files that hold the agent's secrets", newSecretsProtect())
}

func newSecretsProtect() *cobra.Command {
	return &cobra.Command{
		Use: "protect FILE", Short: "On Windows, write a secret into a file that only this machine can read",
		Args: exactly("the name of the file to write"),
		Long: `Reads a secret, from the terminal without echo or from the standard input up to its end, and writes it into FILE,
encrypted with DPAPI for this machine, with an access list for the system, the administrators, the agent's service and
you. The configuration names FILE like any other secret file: a connection string, the bind password, a keytab. A FILE
that is there is replaced as a whole, and a running agent reads it without a restart.

  writeback-agent secrets protect C:\ProgramData\writeback-agent\secrets\bind-password
  writeback-agent secrets protect bind.keytab < made.keytab

PowerShell knows no "<" and changes what it pipes; there, write: cmd /c "writeback-agent secrets protect ... < ...".
Afterwards delete the plain file, if there was one. On another machine the file cannot be read: run this there again.

It is for Windows only. On Linux, use systemd credentials (credential:NAME) or a file with mode 0600.`,
		RunE: func(cmd *cobra.Command, args []string) error { return protectSecret(cmd, args[0]) },
	}
}

func protectSecret(cmd *cobra.Command, path string) error {
	if !dpapi.Available() {
		// Before anything is read: nobody shall type a secret in vain.
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: dpapi.ErrNotWindows,
			Hint: "Hand the secret over as a systemd credential (credential:NAME in the configuration), or write it into a file with mode 0600.",
		}
	}
	plain, err := enteredSecret(cmd)
	if err != nil {
		return err
	}
	defer plain.Destroy()
	if err := dpapi.WriteFile(path, plain, dpapi.Configuration); err != nil {
		return &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("the secret is not stored: %w", err),
			Hint: "Run it in an elevated prompt, name a file in a folder that is there, and one that no other program has open.",
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Stored in %s, protected for this machine.\n", path)
	return err
}

// enteredSecret reads the secret from where it comes.
func enteredSecret(cmd *cobra.Command) (secret.Value, error) {
	terminal, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return wholeSecret(cmd.InOrStdin())
	}
	return typedTwice(cmd.ErrOrStderr(), func() ([]byte, error) { return term.ReadPassword(int(terminal.Fd())) })
}

// maxEnteredSecret bounds a secret, so that the agent, which reads at most 64 KiB, can read what protecting makes of it.
const maxEnteredSecret = 32 << 10

// wholeSecret reads up to the end. Nothing is trimmed: a line end at the end may belong to a keytab, and does no harm to the others.
func wholeSecret(from io.Reader) (secret.Value, error) {
	buffer := make([]byte, maxEnteredSecret+1)
	n, err := io.ReadFull(from, buffer)
	entered := secret.New(buffer)
	switch {
	case err == nil:
		err = unusable(fmt.Errorf("the secret is longer than %d bytes", maxEnteredSecret), "Make sure that it is the right file.")
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		err = unusable(fmt.Errorf("the secret cannot be read: %w", err), "Make sure that the standard input can be read.")
	case len(bytes.TrimRight(buffer[:n], "\r\n")) == 0:
		err = unusable(errors.New("the secret is empty"), "Type it, or give it on the standard input.")
	default:
		defer entered.Destroy()
		return secret.New(bytes.Clone(buffer[:n])), nil
	}
	entered.Destroy()
	return secret.Value{}, err
}

// typedTwice reads a secret that nobody sees, and again, to catch slips.
func typedTwice(prompt io.Writer, read func() ([]byte, error)) (secret.Value, error) {
	first, err := typed(prompt, "Secret: ", read)
	if err != nil {
		return secret.Value{}, err
	}
	second, err := typed(prompt, "Again: ", read)
	defer second.Destroy()
	switch {
	case err == nil && first.Empty():
		err = unusable(errors.New("the secret is empty"), "Type it, or give it on the standard input.")
	case err == nil && !first.Equal(second):
		err = unusable(errors.New("the two secrets differ"), "Type the same secret twice.")
	}
	if err != nil {
		first.Destroy()
		return secret.Value{}, err
	}
	return first, nil
}

func typed(prompt io.Writer, text string, read func() ([]byte, error)) (secret.Value, error) {
	_, _ = fmt.Fprint(prompt, text)
	line, err := read()
	_, _ = fmt.Fprintln(prompt)
	if err != nil {
		clear(line)
		return secret.Value{}, unusable(fmt.Errorf("the secret cannot be read: %w", err), "Give it on the standard input.")
	}
	return secret.New(line), nil
}

// unusable is a secret that cannot be protected; nothing was written.
func unusable(cause error, remedy string) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Cause: cause, Hint: remedy}
}
